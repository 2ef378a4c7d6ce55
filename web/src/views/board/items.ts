/** What a board shows of work items, as pure functions: lanes, order, filters, places, and what an event says of one. */
import type { Schema } from '../../api/client';
import type { Project } from '../../api/projects';
import type { Event } from '../../live/socket';
import { words, type Tone } from '../../parts';

export type Item = Schema<'WorkItem'>;
export type Claim = NonNullable<Item['claim']>;
export type Priority = Schema<'Priority'>;
export type Lane = Schema<'Lane'>;

/** Where an item goes: before another one, or to the end of the lane. */
export interface Place {
  lane: string;
  beforeId?: string;
}

export interface Filter {
  text: string;
  role: string;
  /** A principal's id, `anybody` or `nobody`. */
  holder: string;
}

export const PRIORITIES: { value: Priority; label: string; tone: Tone }[] = [
  { value: 'urgent', label: 'Urgent', tone: 'bad' },
  { value: 'high', label: 'High', tone: 'warn' },
  { value: 'normal', label: 'Normal', tone: 'plain' },
  { value: 'low', label: 'Low', tone: 'plain' },
];

export const lanesOf = (project: Project): Lane[] =>
  project.config.lanes ?? ['backlog', 'ready', 'doing', 'review', 'done'].map((name) => ({ name }));

/** `in_design` is shown as "In design". */
export function laneTitle(name: string): string {
  const title = words(name);
  return title.charAt(0).toUpperCase() + title.slice(1);
}

/** In `done` what was done last comes first; elsewhere what comes next. */
function compare(one: Item, other: Item): number {
  if (one.lane === 'done') {
    const [a, b] = [one.finishedAt ?? one.updatedAt, other.finishedAt ?? other.updatedAt];
    return a === b ? other.id.localeCompare(one.id) : a < b ? 1 : -1;
  }
  return one.rank - other.rank || (one.id < other.id ? -1 : 1);
}

/** The items of each lane, in their order. */
export function byLane(items: Iterable<Item>, lanes: readonly Lane[]): Map<string, Item[]> {
  const sorted = new Map<string, Item[]>(lanes.map(({ name }) => [name, []]));
  for (const item of items) sorted.get(item.lane)?.push(item);
  for (const lane of sorted.values()) lane.sort(compare);
  return sorted;
}

export const isFiltered = ({ text, role, holder }: Filter): boolean => Boolean(text.trim() || role || holder);

export function matches(item: Item, { text, role, holder }: Filter): boolean {
  if (role && (role === 'any' ? item.role : item.role !== role)) return false;
  if (holder === 'nobody' ? item.claim : holder === 'anybody' ? !item.claim : holder && item.claim?.holderId !== holder) return false;
  const said = `${item.title} ${item.description ?? ''} ${item.claim?.holderName ?? ''} ${item.claim?.task ?? ''}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => said.includes(word));
}

/** A rank that puts an item where it was let go, until the service has given it one. */
export function rankBetween(lane: readonly Item[], id: string, beforeId: string | undefined): number {
  const others = lane.filter((item) => item.id !== id);
  const at = beforeId === undefined ? others.length : others.findIndex((item) => item.id === beforeId);
  const [previous, next] = [others[at - 1]?.rank, others[at]?.rank];
  if (previous !== undefined && next !== undefined) return (previous + next) / 2;
  if (next !== undefined) return next - 1;
  return previous !== undefined ? previous + 1 : 0;
}

/** Whether an item would be where it is already. */
export function isSamePlace(lane: readonly Item[], item: Item, { lane: name, beforeId }: Place, isPlaced: boolean): boolean {
  if (name !== item.lane) return false;
  if (!isPlaced || beforeId === item.id) return true;
  const at = lane.findIndex(({ id }) => id === item.id);
  return lane[at + 1]?.id === beforeId;
}

type Fields = Record<string, unknown>;

const string = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

export interface News {
  id: string;
  /** Grows with every change; none where the event is about presence alone. */
  version: number | undefined;
  isDeleted: boolean;
  isMoved: boolean;
  /** Who did it, if somebody did. */
  by: string | undefined;
  /** The item as the event tells it; what it leaves out is read from the service. */
  apply: (item: Item) => Item;
}

/** What an event says of an item, if it is about one. */
export function newsOf({ event, payload, timestamp }: Event): News | undefined {
  const it = (typeof payload === 'object' && payload ? payload : {}) as Fields;
  const id = string(it['workItemId']);
  if (!id) return undefined;
  const lane = string(it['lane']);
  const claim = event === 'work_claimed' ? claimOf(it, timestamp) : undefined;
  return {
    id,
    version: number(it['version']),
    isDeleted: it['change'] === 'deleted',
    isMoved: it['change'] === 'moved' || it['change'] === 'created' || claim !== undefined || event === 'work_released',
    by: string(it['principalName']) ?? string(it['holderName']),
    apply: (item) => ({
      ...item,
      title: string(it['title']) ?? item.title,
      lane: lane ?? item.lane,
      // Its place in a lane that it comes to is not told: until it is read it stands at the end.
      rank: lane === undefined || lane === item.lane ? item.rank : Number.MAX_SAFE_INTEGER,
      finishedAt: lane === 'done' ? (item.finishedAt ?? timestamp) : lane ? undefined : item.finishedAt,
      priority: (string(it['priority']) as Priority | undefined) ?? item.priority,
      role: 'role' in it ? (string(it['role']) ?? null) : item.role,
      artifactId: 'artifactId' in it ? (string(it['artifactId']) ?? null) : item.artifactId,
      version: number(it['version']) ?? item.version,
      fencingToken: number(it['fencingToken']) ?? item.fencingToken,
      blockers: number(it['blockers']) ?? item.blockers,
      claim: event === 'work_released' ? undefined : (claim ?? item.claim),
    }),
  };
}

function claimOf(it: Fields, at: string): Claim {
  return {
    holderId: string(it['holderId']) ?? '',
    holderName: string(it['holderName']) ?? '',
    claimedAt: at,
    expiresAt: string(it['expiresAt']) ?? at,
    lastSeenAt: at,
    lastSeenBy: 'claim',
    branch: string(it['branch']),
  };
}

/** How much of a lease is left, of the time that each sign of life gives it. */
export function leaseLeft({ expiresAt, lastSeenAt }: Claim, now: number): { ms: number; share: number } {
  const end = Date.parse(expiresAt);
  const whole = Math.max(end - Date.parse(lastSeenAt), 1);
  const ms = Math.max(end - now, 0);
  return { ms, share: Math.min(ms / whole, 1) };
}
