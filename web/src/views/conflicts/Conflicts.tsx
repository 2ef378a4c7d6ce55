/** What clashes: a map of who is where, the conflicts with what can be done about them, and who reserved what. */
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { RefreshCw, ShieldCheck } from 'lucide-preact';
import { api, need } from '../../api/client';
import { usePages, useResource, type Pages } from '../../api/resource';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import { useLive, type EventName } from '../../live/useLive';
import { Dialog, EmptyState, Loading, ProblemNote, ViewHead, VirtualList, count, toast } from '../../parts';
import { projectHome, type ViewProps } from '../../views';
import { Heat } from './Heat';
import { ConflictRow, ReservationRow } from './Rows';
import { Release, Resolve } from './deeds';
import { mapOf, type Conflict, type Reservation } from './map';
import './conflicts.css';

const CHANGES: EventName[] = [
  'paths_reserved', 'paths_released', 'conflict_detected', 'conflict_resolved', 'agent_status_changed', 'work_claimed', 'work_released',
  'run_started', 'run_finished',
];
const ROWS = 200;
/** What the map is made of at most. */
const MAPPED = 1_000;
/** Rows up to which a list is as long as its rows. */
const LONG = 8;

const STATES = [
  { key: 'open', title: 'Open' },
  { key: 'resolved', title: 'Resolved' },
  { key: 'all', title: 'All' },
] as const;

const SEVERITIES = ['critical', 'warning', 'info'] as const;

export default function Conflicts({ project }: ViewProps) {
  const { id } = project;
  const { path, query, route } = useLocation();
  const [resolving, setResolving] = useState<Conflict>();
  const [releasing, setReleasing] = useState<Reservation>();
  const [opened, setOpened] = useState<{ path: string; column: string }>();
  const home = projectHome(id);
  const state = STATES.find(({ key }) => key === query['show'])?.key ?? 'open';
  const severity = SEVERITIES.find((key) => key === query['severity']);

  const open = usePages(`conflicts/${id}/open`, (cursor, signal) => readConflicts(id, { cursor, signal }));
  const isUsual = state === 'open' && !severity;
  // The usual list is what the map is made of; it is read once.
  const chosen = usePages(isUsual ? '' : `conflicts/${id}/${state}/${severity ?? ''}`, (cursor, signal) => readConflicts(id, { cursor, signal, state, severity }));
  const list = isUsual ? open : chosen;
  const reservations = usePages(`reservations/${id}`, (cursor, signal) =>
    need(api.GET('/api/v1/projects/{project_id}/reservations', { params: { path: { project_id: id }, query: { limit: ROWS, cursor } }, signal })),
  );
  const wanted = query['conflict'] ?? '';
  const linked = useResource(wanted && `conflict/${id}/${wanted}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/conflicts/{conflict_id}', { params: { path: { project_id: id, conflict_id: wanted } }, signal })),
  );
  const refresh = async () => {
    await Promise.all([open.refresh(), reservations.refresh(), chosen.refresh(), linked.refresh()]);
  };
  useLive(id, CHANGES, refresh);
  useMore(open);
  useMore(reservations);
  const detect = useWrite(() => need(api.POST('/api/v1/projects/{project_id}/conflicts/detect', { params: { path: { project_id: id } } })));
  const map = useMemo(() => mapOf(reservations.items, open.items), [reservations.items, open.items]);
  const place = opened && map.places.find((it) => it.path === opened.path);
  const column = opened && map.columns.find((it) => it.id === opened.column);
  const cell = column && place?.cells.get(column.id);

  const filter = (words: Record<string, string | undefined>) => {
    const next = new URLSearchParams(query);
    for (const [key, value] of Object.entries(words)) {
      if (value) next.set(key, value);
      else next.delete(key);
    }
    const text = next.toString();
    route(text ? `${path}?${text}` : path, true);
  };
  const look = async () => {
    const found = await detect.run();
    if (found) toast(found.detected + found.resolved > 0 ? `${found.detected} found, ${found.resolved} over.` : 'Nothing new.');
    await refresh();
  };
  const isCalm = map.places.length === 0;
  const isLoading = open.isLoading || reservations.isLoading;
  const problem = open.problem ?? reservations.problem ?? detect.problem;
  const row = (conflict: Conflict) => <ConflictRow of={conflict} onResolve={setResolving} />;

  return (
    <div class="conflicts">
      <ViewHead title="Conflicts" about={isLoading || problem ? undefined : about(open, reservations)}>
        {may('conflicts.write') && (
          <button type="button" class="button" aria-disabled={detect.isRunning} onClick={() => void look()}>
            <RefreshCw size={15} aria-hidden="true" /> Look again
          </button>
        )}
      </ViewHead>
      {problem && <ProblemNote problem={problem} retry={() => void refresh()} />}
      {isLoading && !problem && <Loading what="Reading who is where" />}
      {!isLoading && !problem && isCalm && (
        <EmptyState icon={ShieldCheck} title="Nothing clashes">
          Nobody has reserved files, and no document contradicts another. Agents reserve with <code>reserve_paths</code> what they are
          about to edit; what they hold, and whoever gets in their way, shows up here.
        </EmptyState>
      )}
      {!isLoading && !isCalm && (
        <section aria-labelledby="conflicts-where">
          <h2 id="conflicts-where">Who is where</h2>
          <Heat of={map} onOpen={(place, column) => setOpened({ path: place.path, column: column.id })} />
        </section>
      )}
      {wanted && (linked.value || linked.problem) && (
        <section aria-labelledby="conflicts-linked">
          <div class="conflicts-section">
            <h2 id="conflicts-linked">This conflict</h2>
            <button type="button" class="button bare" onClick={() => filter({ conflict: undefined })}>Show all</button>
          </div>
          {linked.problem && <ProblemNote problem={linked.problem} />}
          {linked.value && <div class="conflicts-list sheet"><ConflictRow of={linked.value} onResolve={setResolving} isCurrent /></div>}
        </section>
      )}
      {!open.isLoading && !open.problem && (
        <section aria-labelledby="conflicts-list">
          <div class="conflicts-section">
            <h2 id="conflicts-list">Conflicts</h2>
            <div class="chips" role="group" aria-label="Which conflicts">
              {STATES.map(({ key, title }) => (
                <button type="button" class="chip" key={key} aria-pressed={key === state} onClick={() => filter({ show: key === 'open' ? undefined : key })}>{title}</button>
              ))}
            </div>
            <select class="select input" aria-label="Severity" value={severity ?? ''} onChange={(event) => filter({ severity: event.currentTarget.value })}>
              <option value="">Any severity</option>
              {SEVERITIES.map((key) => <option key={key} value={key}>{key}</option>)}
            </select>
          </div>
          <Rows of={list} label="Conflicts" none={state === 'open' ? 'None is open' : 'None of that kind'} itemKey={({ id }) => id}>{row}</Rows>
        </section>
      )}
      {!reservations.isLoading && !reservations.problem && (
        <section aria-labelledby="conflicts-reserved">
          <h2 id="conflicts-reserved">Reservations</h2>
          <Rows of={reservations} label="Reservations" none="Nothing is reserved" itemKey={({ id }) => id}>
            {(it) => <ReservationRow of={it} home={home} onRelease={setReleasing} />}
          </Rows>
        </section>
      )}
      {opened && !resolving && !releasing && (
        <Dialog title={column ? `${column.name} at ${opened.path}` : opened.path} onClose={() => setOpened(undefined)} isWide>
          <div class="conflicts-list">
            {!cell && <p class="faint">It is over.</p>}
            {cell?.conflicts.map((it) => <ConflictRow key={it.id} of={it} onResolve={setResolving} />)}
            {cell?.reservations.map((it) => <ReservationRow key={it.id} of={it} home={home} onRelease={setReleasing} />)}
          </div>
        </Dialog>
      )}
      {resolving && <Resolve projectId={id} of={resolving} onClose={() => setResolving(undefined)} onDone={() => void refresh()} />}
      {releasing && <Release projectId={id} of={releasing} onClose={() => setReleasing(undefined)} onDone={() => void refresh()} />}
    </div>
  );
}

interface Asked {
  cursor: string | undefined;
  signal: AbortSignal;
  state?: (typeof STATES)[number]['key'];
  severity?: (typeof SEVERITIES)[number];
}

const readConflicts = (project_id: string, { cursor, signal, state, severity }: Asked) =>
  need(api.GET('/api/v1/projects/{project_id}/conflicts', {
    params: { path: { project_id }, query: { limit: ROWS, cursor, resolved: state, severity } }, signal,
  }));

/** Reads on until the map has all of it, or as much as it takes. */
function useMore<T>({ items, hasMore, problem, more }: Pages<T>): void {
  const wants = hasMore && !problem && items.length < MAPPED;
  useEffect(() => {
    if (wants) void more();
  }, [wants, items.length]);
}

interface RowsProps<T> {
  of: Pages<T>;
  label: string;
  none: string;
  itemKey: (item: T) => string;
  children: (item: T) => ComponentChildren;
}

/** Rows one below the other; many of them scroll in themselves. */
function Rows<T>({ of, label, none, itemKey, children }: RowsProps<T>) {
  if (of.isLoading) return <Loading />;
  if (of.problem && of.items.length === 0) return <ProblemNote problem={of.problem} retry={() => void of.refresh()} />;
  if (of.items.length === 0) return <p class="faint conflicts-none">{none}.</p>;
  if (of.items.length <= LONG) {
    return <ul class="conflicts-list sheet">{of.items.map((item) => <li key={itemKey(item)}>{children(item)}</li>)}</ul>;
  }
  return (
    <div class="conflicts-frame sheet">
      <VirtualList label={label} class="conflicts-long" items={of.items} itemKey={itemKey} estimate={96} onEnd={() => void of.more()}>{children}</VirtualList>
    </div>
  );
}

/** `2 open conflicts, 1 of them critical; 4 reservations`. */
function about(open: Pages<Conflict>, reservations: Pages<Reservation>): string {
  const more = ({ hasMore }: { hasMore: boolean }) => (hasMore ? 'more than ' : '');
  const critical = open.items.filter(({ severity }) => severity === 'critical').length;
  const conflicts = `${more(open)}${count(open.items.length, 'open conflict')}${critical ? `, ${critical} of them critical` : ''}`;
  return `${conflicts}; ${more(reservations)}${count(reservations.items.length, 'reservation')}`;
}
