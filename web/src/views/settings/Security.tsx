/** Who signed in, was refused, or changed who may do what: the log of it, newest first. */
import { useState } from 'preact/hooks';
import { ShieldCheck } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { usePoll } from '../../api/poll';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { Badge, EmptyState, Loading, ProblemNote, Time, ViewHead, VirtualList, words } from '../../parts';
import { browserOf } from './browser';
import { actions, deedOf, detailsOf, targetOf, type SecurityAction } from './security';

type SecurityEvent = Schema<'SecurityEvent'>;

const EVERY_MS = 5_000;

export function Security() {
  const [action, setAction] = useState<SecurityAction | ''>('');
  const events = usePages<SecurityEvent>(`security/${action}`, (cursor, signal) => {
    const query = { limit: PAGE_ROWS, cursor, ...(action && { action }) };
    return need(api.GET('/api/v1/security-events', { params: { query }, signal }));
  });
  const [isBelow, setBelow] = useState(false);
  // While somebody reads further down, rows must not move under their eyes.
  usePoll(events.refresh, EVERY_MS, !isBelow);
  return (
    <>
      <ViewHead title="Security events" about="Sign-ins, keys, roles and secrets: who changed what, from where, and what was refused.">
        <select class="select input" aria-label="Show only" value={action} onChange={(event) => setAction(event.currentTarget.value as SecurityAction | '')}>
          <option value="">Everything</option>
          {actions.map((each) => <option key={each} value={each}>{words(each)}</option>)}
        </select>
      </ViewHead>
      {events.problem && <ProblemNote problem={events.problem} retry={() => void events.refresh()} />}
      {events.isLoading && <Loading what="Reading the log" />}
      {events.items.length > 0 && (
        <div class="sheet settings-events">
          <VirtualList label="Security events, newest first" class="settings-event-list" items={events.items} itemKey={({ id }) => id} estimate={64}
            onEnd={events.hasMore ? () => void events.more() : undefined} onScroll={(top) => setBelow(top > 8)}>
            {(event) => <Line event={event} />}
          </VirtualList>
        </div>
      )}
      {!events.isLoading && !events.problem && events.items.length === 0 && (
        <EmptyState icon={ShieldCheck} title={action ? 'Nothing of that kind so far' : 'Nothing so far'} />
      )}
    </>
  );
}

function Line({ event }: { event: SecurityEvent }) {
  const target = targetOf(event);
  const more = detailsOf(event.details);
  return (
    <div class="settings-event">
      <div>
        <p>
          <strong>{event.actorName}</strong> {deedOf(event.action)} {target && <strong>{target}</strong>}
          {event.outcome === 'refused' && <> <Badge tone="bad">refused</Badge></>}
        </p>
        <p class="faint small settings-event-more" title={[event.userAgent, event.credential].filter(Boolean).join('\n')}>
          {event.actorKind === 'system' ? 'at the command line, or by itself' : [event.ip, event.userAgent && browserOf(event.userAgent)].filter(Boolean).join(' · ')}
          {more.length > 0 && ` · ${more.join(', ')}`}
        </p>
      </div>
      <span class="faint small"><Time at={event.at} /></span>
    </div>
  );
}
