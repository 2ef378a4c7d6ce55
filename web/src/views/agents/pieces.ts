/**
 * What the swimlanes consist of: claims and runs, which last, and pushes, gates and conflicts, which are moments. All of
 * it is put together from the event log and the list of runs, without asking the service for each.
 */
import type { Schema } from '../../api/client';
import type { Event } from '../../live/socket';
import type { Tone } from '../../parts';

export type Agent = Schema<'Agent'>;
export type Run = Schema<'Run'>;
export type WorkItem = Schema<'WorkItem'>;
export type Kind = 'claim' | 'run' | 'push' | 'gate' | 'conflict';

export interface Piece {
  key: string;
  kind: Kind;
  from: number;
  /** When it ended; a moment ends when it begins, and what goes on has no end. */
  to: number | undefined;
  /** It began earlier than is known. */
  isOlder?: boolean;
  title: string;
  /** How it ended or stands, in a word or two. */
  state: string;
  tone: Tone;
  more?: string;
  /** A page of this project, or of the Git host. */
  href?: string;
}

export interface Lane {
  id: string;
  name: string;
  agent?: Agent;
  /** What this lane is, for one that is nobody's. */
  about?: string;
  pieces: Piece[];
}

export const CI = 'ci';
export const PROJECT = 'project';

export interface Known {
  agents: readonly Agent[];
  /** Newest first. */
  events: readonly Event[];
  runs: readonly Run[];
  /** Items that are held now. */
  held: readonly WorkItem[];
  /** The address of the project. */
  home: string;
}

type Fields = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value ? (value as Fields) : {});

/** An address of the web, or nothing: what else a payload may hold leads nowhere. */
export const web = (value: unknown): string | undefined => (/^https?:\/\//i.test(text(value)) ? text(value) : undefined);

/** Everything that is known, by lane: agents by name, then CI, then the project itself. */
export function lanesOf(known: Known): Lane[] {
  const lanes = new Lanes(known.agents);
  const holders = addClaims(known, lanes);
  addRuns(known, lanes);
  addMoments(known, lanes, holders);
  return lanes.all();
}

class Lanes {
  private readonly byId = new Map<string, Lane>();
  private readonly byName = new Map<string, Lane>();

  constructor(agents: readonly Agent[]) {
    for (const agent of agents) this.make(agent.principalId, agent.name).agent = agent;
  }

  private make(id: string, name: string): Lane {
    const lane: Lane = { id, name, pieces: [] };
    this.byId.set(id, lane);
    this.byName.set(name.toLowerCase(), lane);
    return lane;
  }

  /** The lane of somebody; of one who is not listed, too. */
  of(id: string, name: string): Lane {
    return this.byId.get(id) ?? this.make(id, name || 'somebody');
  }

  known(id: string): Lane | undefined {
    return this.byId.get(id);
  }

  called(name: string): Lane | undefined {
    return this.byName.get(name.toLowerCase());
  }

  /** A lane that is nobody's. */
  common(id: string, name: string, about: string): Lane {
    const lane = this.byId.get(id) ?? { id, name, about, pieces: [] };
    this.byId.set(id, lane);
    return lane;
  }

  get ci(): Lane {
    return this.common(CI, 'CI', 'Runs at the Git host');
  }

  get project(): Lane {
    return this.common(PROJECT, 'Project', 'Gates, documents, pushes by others');
  }

  all(): Lane[] {
    const rank = ({ id }: Lane) => (id === PROJECT ? 2 : id === CI ? 1 : 0);
    return [...this.byId.values()].sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name));
  }
}

const ENDED: Record<string, [state: string, tone: Tone]> = {
  finished: ['finished', 'good'],
  released: ['given back', 'plain'],
  expired: ['ran out', 'warn'],
};

/** Who held an item, and when. */
type Holders = Map<string, { piece: Piece; lane: Lane }[]>;

/** A claim is known by its item and fencing token: an item is claimed again under another one. */
function addClaims({ events, held, home }: Known, lanes: Lanes): Holders {
  const claims = new Map<string, { piece: Piece; lane: Lane }>();
  const holders: Holders = new Map();
  const begin = (item: string, fence: unknown, lane: Lane, from: number, title: string, branch: string) => {
    const key = `${item}/${String(fence)}`;
    const piece: Piece = {
      key, kind: 'claim', from, to: undefined, title: title || 'Untitled', state: 'held', tone: 'busy',
      more: branch && `on ${branch}`, href: `${home}/board?item=${item}`,
    };
    lane.pieces.push(piece);
    claims.set(key, { piece, lane });
    holders.set(item, [...(holders.get(item) ?? []), { piece, lane }]);
    return piece;
  };
  const oldest = events.length > 0 ? Date.parse(events.at(-1)?.timestamp ?? '') : 0;
  for (let index = events.length - 1; index >= 0; index--) {
    const { event, payload, timestamp } = events[index] as Event;
    if (event !== 'work_claimed' && event !== 'work_released') continue;
    const it = fieldsOf(payload);
    const item = text(it['workItemId']);
    const lane = lanes.of(text(it['holderId']), text(it['holderName']));
    const at = Date.parse(timestamp);
    const known = claims.get(`${item}/${String(it['fencingToken'])}`)?.piece;
    if (event === 'work_claimed') {
      if (!known) begin(item, it['fencingToken'], lane, at, text(it['title']), text(it['branch']));
      continue;
    }
    const piece = known ?? begin(item, it['fencingToken'], lane, oldest, text(it['title']), '');
    if (!known) piece.isOlder = true;
    const reason = text(it['reason']);
    [piece.state, piece.tone] = ENDED[reason] ?? [reason.replaceAll('_', ' '), 'warn'];
    piece.to = at;
    piece.more = text(it['note']) || piece.more;
  }
  for (const { id, fencingToken, claim, title } of held) {
    if (!claim || claims.has(`${id}/${fencingToken}`)) continue;
    begin(id, fencingToken, lanes.of(claim.holderId, claim.holderName), Date.parse(claim.claimedAt), title, claim.branch ?? '');
  }
  return holders;
}

const RUN_TONES: Record<string, Tone> = { success: 'good', failed: 'bad', running: 'busy', lost: 'warn' };
const RUN_STATES: Record<string, string> = { success: 'succeeded', lost: 'lost: nothing more was heard' };
const isFinal = (status: string): boolean => status !== 'queued' && status !== 'running';

/** Runs as the list has them, and what the log has told of them since. */
function addRuns({ runs, events, home }: Known, lanes: Lanes): void {
  const all = new Map<string, Run>(runs.map((run) => [run.id, run]));
  for (let index = events.length - 1; index >= 0; index--) {
    const { event, payload, timestamp } = events[index] as Event;
    if (event !== 'run_started' && event !== 'run_finished') continue;
    const told = fieldsOf(payload) as unknown as Run;
    const known = all.get(told.id);
    if (event === 'run_started') {
      if (!known) all.set(told.id, { ...told, startedAt: timestamp });
      else if (!known.startedAt) all.set(told.id, { ...known, startedAt: timestamp });
    } else if (!known || !isFinal(known.status)) {
      const began = known?.startedAt ?? new Date(Date.parse(timestamp) - (told.durationMs ?? 0)).toISOString();
      all.set(told.id, { ...known, ...told, startedAt: began, finishedAt: timestamp });
    }
  }
  for (const run of all.values()) {
    const began = run.startedAt ?? run.finishedAt;
    if (!began) continue;
    const from = Date.parse(began);
    const ended = run.finishedAt ? Date.parse(run.finishedAt) : isFinal(run.status) ? from + (run.durationMs ?? 0) : undefined;
    const lane = run.principal ? lanes.of(run.principal.id, run.principal.name) : lanes.ci;
    lane.pieces.push({
      key: run.id, kind: 'run', from, to: ended === undefined ? undefined : Math.max(ended, from), title: run.name,
      state: RUN_STATES[run.status] ?? run.status, tone: RUN_TONES[run.status] ?? 'plain',
      more: run.summary || [run.branch && `on ${run.branch}`, run.commit?.slice(0, 8)].filter(Boolean).join(', '),
      href: web(run.url) ?? (run.workItemId ? `${home}/board?item=${run.workItemId}` : `${home}/timeline?show=runs`),
    });
  }
}

const GATE_TONES: Record<string, Tone> = { passed: 'good', failed: 'bad', waived: 'warn' };

function addMoments({ events, home }: Known, lanes: Lanes, holders: Holders): void {
  const settled = new Set<string>();
  for (const { event, payload, timestamp, id } of events) {
    const it = fieldsOf(payload);
    const at = Date.parse(timestamp);
    const moment = { key: id, from: at, to: at };
    if (event === 'push') {
      const lane = lanes.called(text(it['author'])) ?? lanes.project;
      const to = text(it['tag']) || text(it['branch']);
      lane.pieces.push({
        ...moment, kind: 'push', title: text(it['message']) || `Push to ${to}`, tone: it['forced'] ? 'warn' : 'deed',
        state: it['deleted'] ? 'deleted' : it['forced'] ? 'force-pushed' : 'pushed',
        more: [to && `to ${to}`, lane.id === PROJECT && text(it['author']) && `by ${text(it['author'])}`].filter(Boolean).join(' '),
        href: web(it['url']),
      });
    } else if (event === 'gate_evaluated') {
      const by = fieldsOf(it['by']);
      const holder = holders.get(text(it['workItemId']))?.find(({ piece }) => piece.from <= at && at <= (piece.to ?? Infinity));
      const lane = lanes.known(text(by['id'])) ?? holder?.lane ?? lanes.project;
      const state = text(it['to']);
      lane.pieces.push({
        ...moment, kind: 'gate', title: text(it['name']), state, tone: GATE_TONES[state] ?? 'plain',
        more: text(it['message']), href: it['workItemId'] ? `${home}/board?item=${text(it['workItemId'])}` : `${home}/gates`,
      });
    } else if (event === 'conflict_resolved') {
      settled.add(text(it['id']));
    } else if (event === 'conflict_detected') {
      // The newest come first: whether it was settled since is known by now.
      const isOpen = !settled.has(text(it['id']));
      for (const lane of concerned(it, lanes)) {
        lane.pieces.push({
          ...moment, key: `${id} ${lane.id}`, kind: 'conflict', title: `${text(it['kind']).replaceAll('_', ' ')} at ${text(it['artifactPath'])}`,
          state: isOpen ? `${text(it['severity'])}, open` : 'resolved', tone: isOpen ? (it['severity'] === 'critical' ? 'bad' : 'warn') : 'plain',
          more: text(it['message']), href: `${home}/conflicts?conflict=${text(it['id'])}`,
        });
      }
    }
  }
}

function concerned(conflict: Fields, lanes: Lanes): Lane[] {
  const parties = fieldsOf(conflict['edit'])['principals'];
  const found = (Array.isArray(parties) ? parties : []).flatMap((party) => {
    const { id, name } = fieldsOf(party);
    return text(id) ? [lanes.of(text(id), text(name))] : [];
  });
  return found.length > 0 ? [...new Set(found)] : [lanes.project];
}
