/**
 * What keeps a view live: it names the events that make what it shows stale.
 *
 * `useLive(projectId, ['work_item_changed', 'work_claimed'], items.refresh)` reads again when one of them happens, at
 * most one reading at a time and at most four per second, however many events there are, and reads again after a
 * `reset`. With `apply` a view takes the events themselves, in order, and reads again only after a `reset`.
 */
import { useEffect, useRef } from 'preact/hooks';
import { watch, type Event } from './socket';

/** Names of events, as the service appends them; the last is for names of newer services. */
export type EventName =
  | 'delivery_received'
  | 'delivery_failed'
  | 'push'
  | 'pull_request_changed'
  | 'issue_changed'
  | 'release_published'
  | 'artifact_scan_started'
  | 'artifact_scan_progress'
  | 'artifact_scan_completed'
  | 'artifact_scan_failed'
  | 'artifact_updated'
  | 'artifact_removed'
  | 'work_item_changed'
  | 'work_claimed'
  | 'work_released'
  | 'paths_reserved'
  | 'paths_released'
  | 'agent_status_changed'
  | 'run_started'
  | 'run_finished'
  | 'gate_evaluated'
  | 'phase_progress_changed'
  | 'conflict_detected'
  | 'conflict_resolved'
  | 'project_changed';

/** Milliseconds between the beginnings of two readings. */
const PACE_MS = 250;

/** Runs `read` at a pace: one at a time, and once more when it was asked for meanwhile. */
export function paced(read: () => Promise<void> | void): { ask: () => void; stop: () => void } {
  let isRunning = false;
  let isAsked = false;
  let timer: number | undefined;
  let began = -Infinity;
  let isStopped = false;
  const go = async () => {
    timer = undefined;
    isRunning = true;
    isAsked = false;
    began = performance.now();
    try {
      await read();
    } catch (thrown) {
      console.error(thrown);
    }
    isRunning = false;
    if (isAsked) ask();
  };
  const ask = () => {
    isAsked = true;
    if (isStopped || isRunning || timer !== undefined) return;
    timer = setTimeout(go, Math.max(20, began + PACE_MS - performance.now())) as unknown as number;
  };
  return {
    ask,
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

export interface LiveOptions {
  /** Takes each event, in order; `refresh` is then for a `reset` alone. */
  apply?: (event: Event) => void;
  /** The id of the last event that is known already, such as `lastEventId` of the project's status. */
  after?: string;
}

/** Keeps what is shown of a project fresh. Without a project, or with an empty id, it does nothing. */
export function useLive(
  projectId: string | undefined,
  names: readonly EventName[] | 'all',
  refresh: () => Promise<void> | void,
  options: LiveOptions = {},
): void {
  const now = useRef({ names, refresh, options });
  now.current = { names, refresh, options };
  useEffect(() => {
    if (!projectId) return;
    const reading = paced(() => now.current.refresh());
    const end = watch(
      projectId,
      {
        event: (event) => {
          const { names, options } = now.current;
          if (names !== 'all' && !(names as readonly string[]).includes(event.event)) return;
          if (options.apply) options.apply(event);
          else reading.ask();
        },
        stale: reading.ask,
      },
      now.current.options.after,
    );
    return () => {
      end();
      reading.stop();
    };
  }, [projectId]);
}

/** The same for many projects at once: `refresh` is told which one is stale, each at its own pace. */
export function useLiveMany(
  projectIds: readonly string[],
  names: readonly EventName[] | 'all',
  refresh: (projectId: string) => Promise<void> | void,
): void {
  const now = useRef({ names, refresh });
  now.current = { names, refresh };
  const key = projectIds.join();
  useEffect(() => {
    const ends = key
      .split(',')
      .filter(Boolean)
      .map((projectId) => {
        const reading = paced(() => now.current.refresh(projectId));
        const end = watch(projectId, {
          event: (event) => {
            const { names } = now.current;
            if (names === 'all' || (names as readonly string[]).includes(event.event)) reading.ask();
          },
          stale: reading.ask,
        });
        return () => {
          end();
          reading.stop();
        };
      });
    return () => ends.forEach((end) => end());
  }, [key]);
}
