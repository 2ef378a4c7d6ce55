/** The gates of work items, for the whole board at once: which card is held back by what. */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import type { Event } from '../../live/socket';
import { paced, useLive, type EventName } from '../../live/useLive';
import type { Tone } from '../../parts';

export type Gate = Schema<'Gate'>;
export type GateStatus = Schema<'GateStatus'>;

/** What a card needs to know of a gate. */
export type GateBrief = Pick<Gate, 'id' | 'name' | 'status' | 'message' | 'workItemId'>;

const NAMES: EventName[] = ['gate_evaluated', 'project_changed', 'work_item_changed', 'work_claimed', 'work_released'];
/** Red ones first: they are what holds an item back. */
const STATUSES: GateStatus[] = ['failed', 'pending', 'waived', 'passed'];
const PAGE_ROWS = 200;
/** Gates of each status that are read at most. */
const MOST = 2_000;
/** Items whose gates are read one by one; for more of them all gates are read again. */
const SINGLES = 20;

/** A gate that holds its item back. */
export const isRed = ({ status }: Pick<Gate, 'status'>): boolean => status === 'failed' || status === 'pending';

/** The gates of a card in a few words; nothing for a card without any. */
export function gateWords(gates: readonly GateBrief[]): { text: string; tone: Tone; title: string } | undefined {
  const counted = gates.filter(({ status }) => status !== 'skipped');
  if (counted.length === 0) return undefined;
  const failed = counted.filter(({ status }) => status === 'failed').length;
  const waiting = counted.filter(({ status }) => status === 'pending').length;
  const title = counted.map(({ name, status, message }) => `${name}: ${status}, ${message}`).join('\n');
  const some = (number: number) => (counted.length === 1 ? 'Gate' : `${number} of ${counted.length} gates`);
  if (failed > 0) return { text: `${some(failed)} failed`, tone: 'bad', title };
  if (waiting > 0) return { text: `${some(waiting)} open`, tone: 'warn', title };
  return { text: counted.length === 1 ? 'Gate passed' : `${counted.length} gates passed`, tone: 'good', title };
}

async function read(project_id: string, which: { status: GateStatus } | { workItemId: string }, signal?: AbortSignal): Promise<GateBrief[]> {
  const found: GateBrief[] = [];
  let cursor: string | undefined;
  do {
    const params = { path: { project_id }, query: { ...which, limit: PAGE_ROWS, cursor } };
    const page = await need(api.GET('/api/v1/projects/{project_id}/gates', { params, signal }));
    found.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor && found.length < MOST);
  return found;
}

function told({ payload }: Event): GateBrief | undefined {
  const it = (typeof payload === 'object' && payload ? payload : {}) as Record<string, unknown>;
  if (typeof it['gateId'] !== 'string' || typeof it['workItemId'] !== 'string') return undefined;
  const [id, workItemId] = [it['gateId'], it['workItemId']];
  return { id, workItemId, name: String(it['name']), status: String(it['to']) as GateStatus, message: String(it['message']) };
}

/** The gates by work item. A board is as useful without them: what goes wrong here goes unsaid. */
export function useGates(projectId: string): ReadonlyMap<string, GateBrief[]> {
  const gates = useResource(may('gates.read') ? `gates/${projectId}` : '', async (signal) => {
    const found = await Promise.all(STATUSES.map((status) => read(projectId, { status }, signal)));
    return new Map(found.flat().flatMap((gate) => (gate.workItemId ? [[gate.id, gate] as const] : [])));
  });
  // That an item has a gate more, or one less, no event says: it may be so whenever the item has changed.
  const stale = useRef(new Set<string>());
  const singles = useMemo(
    () =>
      paced(async () => {
        const ids = [...stale.current];
        stale.current.clear();
        if (ids.length > SINGLES) return gates.refresh();
        const found = (await Promise.all(ids.map((workItemId) => read(projectId, { workItemId })))).flat();
        const others = (known: Map<string, GateBrief>) => [...known].filter(([, gate]) => !ids.includes(gate.workItemId ?? ''));
        gates.set((known) => known && new Map([...others(known), ...found.map((gate) => [gate.id, gate] as const)]));
      }),
    [projectId, gates.refresh],
  );
  useEffect(() => singles.stop, [singles]);
  const touch = ({ payload }: Event) => {
    const id = (payload as Record<string, unknown> | null)?.['workItemId'];
    if (typeof id !== 'string' || !may('gates.read')) return;
    stale.current.add(id);
    singles.ask();
  };
  const apply = (event: Event) => {
    if (event.event === 'project_changed') return void gates.refresh();
    if (event.event.startsWith('work_')) return touch(event);
    const gate = told(event);
    if (gate) gates.set((known) => known && new Map(known).set(gate.id, gate));
  };
  useLive(projectId, NAMES, gates.refresh, { apply });
  return useMemo(() => {
    const sorted = new Map<string, GateBrief[]>();
    for (const gate of gates.value?.values() ?? []) {
      const theirs = sorted.get(gate.workItemId ?? '');
      if (theirs) theirs.push(gate);
      else sorted.set(gate.workItemId ?? '', [gate]);
    }
    return sorted;
  }, [gates.value]);
}
