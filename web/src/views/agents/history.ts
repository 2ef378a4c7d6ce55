/**
 * What the swimlanes know: who is there now, the log as far back as it is looked at, the runs of that time, and what is
 * held since before it. It is read backwards until the time that is shown is covered, or there is too much of it.
 */
import { useEffect, useMemo } from 'preact/hooks';
import { api, need } from '../../api/client';
import type { Problem } from '../../api/problem';
import type { Project } from '../../api/projects';
import { usePages, useResource } from '../../api/resource';
import { useLive, type EventName } from '../../live/useLive';
import { projectHome } from '../../views';
import { useLog } from '../timeline/log';
import { lanesOf, type Agent, type Lane, type WorkItem } from './pieces';

/** Events, runs and agents that are read at most. */
const MOST_EVENTS = 8_000;
const MOST_RUNS = 2_000;
const MOST_AGENTS = 1_000;
/** Agents of whom is asked what they hold. */
const ASKED = 30;
const ROWS = 200;
/** Signs of life make no event; they are asked for. */
const SIGNS_MS = 20_000;

const CHANGES: EventName[] = ['agent_status_changed', 'work_claimed', 'work_released', 'push'];

export interface History {
  /** Nothing until agents and the newest events are there. */
  lanes: Lane[] | undefined;
  agents: Agent[];
  problem: Problem | undefined;
  /** Earlier than this nothing is known. */
  knownFrom: number;
  isReading: boolean;
  /** There is more of it than is read. */
  isCutOff: boolean;
  refresh: () => void;
}

export function useHistory(project: Project, from: number): History {
  const { id } = project;
  const log = useLog(id);
  const agents = useResource(`agents/${id}`, (signal) => readAgents(id, signal));
  const runs = usePages(`runs/${id}`, (cursor, signal) =>
    need(api.GET('/api/v1/projects/{project_id}/runs', { params: { path: { project_id: id }, query: { limit: ROWS, cursor } }, signal })),
  );
  useLive(agents.value && id, CHANGES, agents.refresh);
  // What runs do is in the log; their list is read again only when the log has a gap.
  useLive(id, [], runs.refresh);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && void agents.refresh(), SIGNS_MS);
    return () => clearInterval(timer);
  }, [agents.refresh]);

  const events = log.events;
  const read = events?.length ?? 0;
  const oldest = events?.at(-1);
  const knownFrom = !oldest || !log.hasOlder ? -Infinity : Date.parse(oldest.timestamp);
  const isShort = events !== undefined && knownFrom > from;
  const isCutOff = isShort && read >= MOST_EVENTS;
  const wants = isShort && !isCutOff && !log.problem;
  useEffect(() => {
    // What was read while the log began anew is dropped, and read again.
    if (wants && !log.isReadingOlder) void log.older();
  }, [wants, read, log.isReadingOlder]);

  const last = runs.items.at(-1);
  const lastBegan = Date.parse(last?.startedAt ?? last?.finishedAt ?? '');
  const wantsRuns = runs.hasMore && !runs.problem && runs.items.length < MOST_RUNS && !(lastBegan < from);
  useEffect(() => {
    if (wantsRuns) void runs.more();
  }, [wantsRuns, runs.items.length]);

  const busy = (agents.value ?? []).filter(({ status, workItemId }) => workItemId ?? status !== 'idle').slice(0, ASKED);
  const asked = busy.map(({ principalId }) => principalId).sort().join();
  const held = useResource(asked && `held/${id}/${asked}`, (signal) => readHeld(id, asked.split(','), signal));

  const home = projectHome(id);
  const lanes = useMemo(
    () => (events && agents.value ? lanesOf({ agents: agents.value, events, runs: runs.items, held: held.value ?? [], home }) : undefined),
    [events, agents.value, runs.items, held.value, home],
  );
  return {
    lanes,
    agents: agents.value ?? [],
    // Who may not see the list of runs still sees in the log what became of them.
    problem: log.problem ?? agents.problem ?? (runs.problem?.isForbidden ? undefined : runs.problem),
    knownFrom,
    isReading: wants || wantsRuns,
    isCutOff,
    refresh: () => void Promise.all([log.events ? log.older() : log.refresh(), agents.refresh(), runs.refresh()]),
  };
}

async function readAgents(project_id: string, signal: AbortSignal): Promise<Agent[]> {
  const found: Agent[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: ROWS, cursor };
    const page = await need(api.GET('/api/v1/projects/{project_id}/agents', { params: { path: { project_id }, query }, signal }));
    found.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor && found.length < MOST_AGENTS);
  return found;
}

/** What some hold: claims may be older than what is read of the log. It is worth little enough to do without. */
async function readHeld(project_id: string, holders: string[], signal: AbortSignal): Promise<WorkItem[]> {
  const read = holders.map(async (holderId) => {
    const query = { holderId, limit: 50 };
    const answer = api.GET('/api/v1/projects/{project_id}/work-items', { params: { path: { project_id }, query }, signal });
    return (await need(answer)).items;
  });
  return (await Promise.allSettled(read)).flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
}
