/**
 * The log of a project, newest first: its newest events, older ones as they are asked for, and what happens now.
 *
 * The service lists a log oldest first, behind a position. Positions have no gaps, so the page before the oldest known
 * event is known by its number alone.
 */
import { useCallback, useRef, useState } from 'preact/hooks';
import { api, need } from '../../api/client';
import { Problem } from '../../api/problem';
import { readStatus } from '../../api/projects';
import { useResource } from '../../api/resource';
import type { Event } from '../../live/socket';
import { useLive } from '../../live/useLive';

const ROWS = 200;

interface Known {
  /** Newest first, without a gap. */
  events: Event[];
  lastId: string;
}

export interface Log {
  events: Event[] | undefined;
  problem: Problem | undefined;
  hasOlder: boolean;
  isReadingOlder: boolean;
  older: () => Promise<void>;
  refresh: () => Promise<void>;
}

export const positionOf = (id: string): number => Number(id.slice(id.lastIndexOf(':') + 1));

async function readWindow(project_id: string, after: number, limit: number, signal?: AbortSignal): Promise<Event[]> {
  const params = { path: { project_id }, query: { after: String(after), limit } };
  const { items } = await need(api.GET('/api/v1/projects/{project_id}/events', { params, signal }));
  return items.reverse();
}

export function useLog(projectId: string): Log {
  const known = useResource<Known>(`log/${projectId}`, async (signal) => {
    const { lastEventId } = await readStatus(projectId, signal);
    const head = positionOf(lastEventId);
    const events = head > 0 ? await readWindow(projectId, Math.max(0, head - ROWS), ROWS, signal) : [];
    return { events, lastId: events[0]?.id ?? lastEventId };
  });
  const now = useRef(known.value);
  now.current = known.value;
  const [isReadingOlder, setReading] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const reading = useRef(false);

  const apply = useCallback(
    (event: Event) => {
      known.set((value) => {
        if (!value) return value;
        const [at, newest] = [positionOf(event.id), positionOf(value.lastId)];
        if (at <= newest) return value;
        if (at > newest + 1) {
          queueMicrotask(() => void known.refresh());
          return value;
        }
        return { events: [event, ...value.events], lastId: event.id };
      });
    },
    [known.set, known.refresh],
  );
  useLive(known.value && projectId, 'all', known.refresh, { apply, after: known.value?.lastId });

  const oldest = known.value?.events.at(-1);
  const hasOlder = oldest !== undefined && positionOf(oldest.id) > 1;
  const older = useCallback(async () => {
    const last = now.current?.events.at(-1);
    const at = last ? positionOf(last.id) : 1;
    if (!last || at <= 1 || reading.current) return;
    reading.current = true;
    setReading(true);
    try {
      const after = Math.max(0, at - 1 - ROWS);
      const found = await readWindow(projectId, after, at - 1 - after);
      setProblem(undefined);
      known.set((value) => (value?.events.at(-1)?.id === last.id ? { ...value, events: [...value.events, ...found] } : value));
    } catch (thrown) {
      setProblem(Problem.from(thrown));
    } finally {
      reading.current = false;
      setReading(false);
    }
  }, [projectId, known.set]);

  return {
    events: known.value?.events,
    problem: known.problem ?? problem,
    hasOlder,
    isReadingOlder,
    older,
    refresh: known.refresh,
  };
}
