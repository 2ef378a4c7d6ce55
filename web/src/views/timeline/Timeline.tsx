/** Everything that happened in a project, newest first, as it happens. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ArrowUp, ExternalLink, History } from 'lucide-preact';
import type { Event } from '../../live/socket';
import { EmptyState, Loading, ProblemNote, Time, ViewHead, VirtualList, count, dayOf, words } from '../../parts';
import type { ViewProps } from '../../views';
import { positionOf, useLog } from './log';
import { tell } from './sentences';
import { topicOf, topics } from './topics';
import './timeline.css';

/** Events that are looked through by themselves for a filter that matches few. */
const LOOKED_THROUGH = 1_000;
const ENOUGH = 60;

type Row = { day: string; key: string } | { event: Event; key: string };

export default function Timeline({ project }: ViewProps) {
  const log = useLog(project.id);
  const { path, query, route } = useLocation();
  const chosen = useMemo(() => new Set((query['show'] ?? '').split(',').filter(Boolean)), [query['show']]);
  const frame = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<number>();

  // While somebody reads further down, what is new waits above: rows must not move under their eyes.
  const newest = log.events?.[0] ? positionOf(log.events[0].id) : 0;
  const scrolled = (top: number) => setHeld((at) => (top > 8 ? (at ?? newest) : undefined));
  const isShown = (event: Event) => chosen.size === 0 || chosen.has(topicOf(event.event).key);
  const matching = (log.events ?? []).filter(isShown);
  const shown = held === undefined ? matching : matching.filter(({ id }) => positionOf(id) <= held);
  const waiting = matching.length - shown.length;
  const rows = useMemo(() => withDays(shown), [shown.length, shown[0]?.id, shown.at(-1)?.id]);

  const looked = log.events?.length ?? 0;
  const wantsMore = log.hasOlder && !log.problem && shown.length < ENOUGH && looked < LOOKED_THROUGH;
  useEffect(() => {
    if (wantsMore) void log.older();
  }, [wantsMore, looked]);

  const toggle = (key: string) => {
    const next = new Set(chosen);
    if (!next.delete(key)) next.add(key);
    setHeld(undefined);
    frame.current?.scrollTo({ top: 0 });
    route(next.size > 0 ? `${path}?show=${[...next].join()}` : path, true);
  };
  const toTop = () => {
    setHeld(undefined);
    frame.current?.scrollTo({ top: 0 });
  };

  return (
    <div class="timeline">
      <ViewHead title="Timeline" />
      <div class="chips" role="group" aria-label="Show">
        <button type="button" class="chip" aria-pressed={chosen.size === 0} onClick={() => route(path, true)}>Everything</button>
        {topics.map(({ key, title }) => (
          <button type="button" class="chip" key={key} aria-pressed={chosen.has(key)} onClick={() => toggle(key)}>{title}</button>
        ))}
      </div>
      {log.problem && <ProblemNote problem={log.problem} retry={() => void (log.events ? log.older() : log.refresh())} />}
      {!log.events && !log.problem && <Loading what="Reading the log" />}
      {log.events && rows.length > 0 && (
        <div class="timeline-frame sheet">
          {waiting > 0 && (
            <button type="button" class="button main timeline-new" onClick={toTop}>
              <ArrowUp size={16} aria-hidden="true" />
              {count(waiting, 'new event')}
            </button>
          )}
          <VirtualList label="Events, newest first" class="timeline-list" frame={frame} items={rows} itemKey={({ key }) => key}
            estimate={52} onEnd={chosen.size === 0 ? log.older : undefined} onScroll={scrolled}>
            {(row) => ('day' in row ? <h2 class="timeline-day">{row.day}</h2> : <Line event={row.event} />)}
          </VirtualList>
        </div>
      )}
      {log.events && rows.length === 0 && !wantsMore && (
        <EmptyState icon={History} title={chosen.size > 0 ? 'Nothing of that kind so far' : 'Nothing has happened yet'}>
          {chosen.size > 0
            ? `The last ${count(looked, 'event')} are about other things.`
            : 'Once the repository delivers its first webhook, or an agent does something, it shows up here.'}
        </EmptyState>
      )}
      {log.events && <p class="timeline-foot faint small">
        {log.isReadingOlder ? 'Reading older events…' : log.hasOlder ? `${count(looked, 'event')} looked through` : `All of it: ${count(looked, 'event')}`}
        {chosen.size > 0 && log.hasOlder && !wantsMore && !log.isReadingOlder && (
          <button type="button" class="button bare" onClick={() => void log.older()}>Look further back</button>
        )}
      </p>}
    </div>
  );
}

function withDays(events: Event[]): Row[] {
  const rows: Row[] = [];
  let last = '';
  for (const event of events) {
    const day = dayOf(event.timestamp);
    if (day !== last) rows.push({ day, key: `day ${day}` });
    last = day;
    rows.push({ event, key: event.id });
  }
  return rows;
}

function Line({ event }: { event: Event }) {
  const { text, more, tone = 'plain', url } = tell(event);
  const { icon: Icon, title } = topicOf(event.event);
  return (
    <div class="timeline-line">
      <span class="timeline-mark" data-tone={tone} title={words(event.event)}>
        <Icon size={15} aria-hidden="true" />
        <span class="unseen">{title}:</span>
      </span>
      <div class="timeline-text">
        <p>
          {text}
          {url && (
            <a class="timeline-out" href={url} target="_blank" rel="noreferrer" aria-label="Open at the Git host" title={url}>
              <ExternalLink size={13} aria-hidden="true" />
            </a>
          )}
        </p>
        {more && <p class="faint small timeline-more" title={more}>{more}</p>}
      </div>
      <span class="faint small number"><Time at={event.timestamp} form="clock" /></span>
    </div>
  );
}
