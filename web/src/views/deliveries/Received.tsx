/** The deliveries that were taken in: a list with filters, and beside it the one that the address names. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Inbox, MousePointerClick, RotateCcw } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { useNewest } from '../../api/newest';
import { usePoll } from '../../api/poll';
import type { Project } from '../../api/projects';
import { may } from '../../api/scopes';
import { useLive } from '../../live/useLive';
import { EmptyState, Loading, NewestList, ProblemNote, Since, Status, When, beginOf, count, useAddress, words } from '../../parts';
import { Detail } from './Detail';
import { ReplayMany } from './Replay';
import { hostName, size } from './hosts';

type Delivery = Schema<'Delivery'>;
type DeliveryStatus = Schema<'DeliveryStatus'>;

const STATUSES: DeliveryStatus[] = ['pending', 'processed', 'failed'];
/** What is offered as an event before any was seen. */
const USUAL = ['push', 'pull_request', 'issues', 'workflow_run', 'release', 'Push Hook', 'Merge Request Hook', 'Pipeline Hook', 'repo:push'];
/** Rows whose status may still change are looked at again; no event tells that a replay has ended. */
const PENDING_EVERY_MS = 2_000;
const FRESH_ROWS = 100;

const isStatus = (word: string | undefined): word is DeliveryStatus => (STATUSES as (string | undefined)[]).includes(word);

export function Received({ project }: { project: Project }) {
  const { query, to, go } = useAddress();
  const { event, since, delivery: openId } = query;
  const status = isStatus(query['status']) ? query['status'] : undefined;
  const from = useMemo(() => beginOf(since), [since]);
  const [epoch, setEpoch] = useState(0);
  const [isReplaying, setReplaying] = useState(false);
  const key = `deliveries/${project.id}/${status}/${event}/${from}/${epoch}`;
  const rows = useNewest<Delivery>(key, ({ cursor, limit }, signal) => {
    const asked = { status, eventType: event, from, cursor, limit };
    const params = { path: { project_id: project.id }, query: asked };
    return need(api.GET('/api/v1/projects/{project_id}/deliveries', { params, signal }));
  }, FRESH_ROWS);
  useLive(project.id, ['delivery_received', 'delivery_failed'], rows.refresh);
  const isUnsettled = rows.items.slice(0, FRESH_ROWS).some((row) => row.status === 'pending');
  usePoll(rows.refresh, PENDING_EVERY_MS, isUnsettled);

  const events = useSeen(rows.items);
  const isFiltered = Boolean(status || event || since);
  // With nothing to choose from there is nothing to stand beside it, and nothing to filter.
  const isBare = !openId && !rows.isLoading && rows.items.length === 0;
  const clear = () => go({ status: undefined, event: undefined, since: undefined });
  const close = () => {
    const row = openId && document.querySelector<HTMLElement>(`[data-delivery="${CSS.escape(openId)}"]`);
    go({ delivery: undefined }, 'push');
    if (row) row.focus({ preventScroll: true });
  };
  // What is shown beside the list is known better there.
  const settle = (known: Delivery) =>
    rows.set((items) => items.map((row) => (row.id === known.id && row.status !== known.status ? { ...row, ...shortOf(known) } : row)));

  return (
    <>
      {(!isBare || isFiltered) && <div class="deliveries-filters" role="search" aria-label="Filter deliveries">
        <div class="chips" role="group" aria-label="Status">
          <button type="button" class="chip" aria-pressed={!status} onClick={() => go({ status: undefined })}>All</button>
          {STATUSES.map((one) => (
            <button type="button" class="chip" key={one} aria-pressed={status === one} onClick={() => go({ status: one })}>{words(one)}</button>
          ))}
        </div>
        <EventFilter value={event} known={events} onChange={(next) => go({ event: next })} />
        <Since value={since} onChange={(next) => go({ since: next })} />
        {status === 'failed' && rows.items.length > 0 && may('deliveries.write') && (
          <button type="button" class="button deliveries-all" onClick={() => setReplaying(true)}>
            <RotateCcw size={15} aria-hidden="true" />
            Replay all of these…
          </button>
        )}
      </div>}
      <div class="deliveries-two" data-bare={isBare}>
        <section class="deliveries-left" aria-label="Received deliveries">
          {rows.problem && <ProblemNote problem={rows.problem} retry={() => void rows.refresh()} />}
          {rows.isLoading && <Loading what="Reading the deliveries" />}
          {rows.items.length > 0 && (
            <NewestList key={key} label="Deliveries, newest first" items={rows.items} estimate={58} onEnd={() => void rows.more()}
              fresh={(number) => count(number, 'new delivery', 'new deliveries')}>
              {(row) => <Row row={row} href={to({ delivery: row.id })} isOpen={row.id === openId} />}
            </NewestList>
          )}
          {!rows.isLoading && !rows.problem && rows.items.length === 0 && (isFiltered ? (
            <EmptyState icon={Inbox} title="No delivery fits" deed={<button type="button" class="button" onClick={clear}>Show all</button>}>
              {status === 'failed' && !event && !since ? 'Nothing failed: all that came was understood.' : 'Others may; the filters above leave them out.'}
            </EmptyState>
          ) : (
            <EmptyState icon={Inbox} title="Nothing was delivered yet">
              Once the webhook is set up at the Git host, each push, pull request and pipeline shows up here. What is
              refused stands under Refused, with what to do about it.
            </EmptyState>
          ))}
          {rows.items.length > 0 && (
            <p class="deliveries-foot faint small" aria-live="off">
              {rows.isLoadingMore ? 'Reading older ones…' : rows.hasMore ? `The newest ${rows.items.length.toLocaleString('en')}; older ones follow as you scroll` : `All of them: ${count(rows.items.length, 'delivery', 'deliveries')}`}
            </p>
          )}
        </section>
        {openId ? (
          <Detail key={openId} project={project} id={openId} back={to({ delivery: undefined })} onClose={close} onKnown={settle} />
        ) : rows.items.length > 0 && (
          <div class="deliveries-none sheet">
            <EmptyState icon={MousePointerClick} title="Choose a delivery">Its headers, its body, what it caused, and the way to replay it.</EmptyState>
          </div>
        )}
      </div>
      {isReplaying && (
        <ReplayMany project={project} what={{ status: 'failed', eventType: event, from }} since={since}
          onClose={() => setReplaying(false)} onDone={() => setEpoch(epoch + 1)} />
      )}
    </>
  );
}

/** A delivery without what only its detail has. */
const shortOf = ({ status, attempts, lastError }: Delivery): Partial<Delivery> => ({ status, attempts, lastError });

/** The names of events that were met since the view was opened, with what is usual. */
function useSeen(items: readonly Delivery[]): string[] {
  const seen = useRef(new Set<string>());
  for (const { eventType } of items.slice(0, FRESH_ROWS)) if (eventType) seen.current.add(eventType);
  const number = seen.current.size;
  return useMemo(() => [...(number > 0 ? seen.current : USUAL)].sort(), [number]);
}

/** Events are named by the host, so that any word may be right; those that were seen are offered. */
function EventFilter({ value = '', known, onChange }: { value?: string; known: string[]; onChange: (next: string) => void }) {
  const all = value && !known.includes(value) ? [value, ...known] : known;
  return (
    <select class="select" aria-label="Event" value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">Every event</option>
      {all.map((name) => <option key={name} value={name}>{words(name)}</option>)}
    </select>
  );
}

interface RowProps {
  row: Delivery;
  href: string;
  isOpen: boolean;
}

function Row({ row, href, isOpen }: RowProps) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    // Somebody who comes by a link to it finds it in the list, if it is among the newest.
    if (isOpen) link.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  return (
    <a class="deliveries-row" ref={link} href={href} data-delivery={row.id} aria-current={isOpen ? 'true' : undefined} onKeyDown={move}>
      <span class="deliveries-status"><Status of={row.status} /></span>
      <span class="deliveries-what">
        <strong>{words(row.eventType) || 'unnamed event'}</strong>
        <span class="faint"> from {hostName(row.source)}</span>
      </span>
      <span class="deliveries-when faint small number"><When at={row.receivedAt} /></span>
      <span class="deliveries-id faint small cut">
        {row.lastError ? <span class="deliveries-error">{row.lastError}</span> : <code>{row.deliveryId}</code>}
      </span>
      <span class="deliveries-size faint small number">{size(row.bodyBytes)}</span>
    </a>
  );
}

/** Arrows go from row to row. */
function move(event: KeyboardEvent): void {
  const down = event.key === 'ArrowDown';
  if (!down && event.key !== 'ArrowUp') return;
  const row = (event.currentTarget as HTMLElement).closest('.virtual-row');
  const next = down ? row?.nextElementSibling : row?.previousElementSibling;
  const link = next?.querySelector<HTMLElement>('a');
  if (!link) return;
  event.preventDefault();
  link.focus();
}
