/** One delivery: what became of it, what it caused, its headers and its body. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ArrowLeft, RotateCcw, X } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { usePoll } from '../../api/poll';
import { sentence } from '../../api/problem';
import type { Project } from '../../api/projects';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import { useLive } from '../../live/useLive';
import { CopyButton, EmptyState, Shown, Status, Time, count, words } from '../../parts';
import { tell } from '../timeline/sentences';
import { Body } from './Body';
import { ReplayOne } from './Replay';
import { hostName, size } from './hosts';

type Delivery = Schema<'Delivery'>;
type DeliveryDetail = Schema<'DeliveryDetail'>;

const PENDING_EVERY_MS = 1_500;

interface DetailProps {
  project: Project;
  id: string;
  /** Where the list stands alone. */
  back: string;
  onClose: () => void;
  /** Told what is known of it, as it becomes known. */
  onKnown: (delivery: Delivery) => void;
}

export function Detail({ project, id, back, onClose, onKnown }: DetailProps) {
  const detail = useResource(`delivery/${id}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/deliveries/{delivery_id}', {
      params: { path: { project_id: project.id, delivery_id: id } }, signal,
    })),
  );
  const { value } = detail;
  const isPending = value?.status === 'pending';
  usePoll(detail.refresh, PENDING_EVERY_MS, isPending);
  useLive(isPending ? project.id : undefined, ['delivery_received', 'delivery_failed'], detail.refresh);
  useEffect(() => {
    if (value) onKnown(value);
  }, [value]);
  // Nothing is there under an id that is none, either.
  const isMissing = detail.problem?.isMissing || detail.problem?.status === 400;
  const escape = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && !(event.target as Element).closest('dialog')) onClose();
  };
  return (
    <section class="deliveries-detail sheet" aria-label="The chosen delivery" onKeyDown={escape}>
      <a class="deliveries-back" href={back}>
        <ArrowLeft size={16} aria-hidden="true" />
        All deliveries
      </a>
      <button type="button" class="button bare square deliveries-close" aria-label="Close the delivery" onClick={onClose}>
        <X size={18} aria-hidden="true" />
      </button>
      {isMissing ? (
        <EmptyState title="This delivery is not here">Ids are kept for 90 days. It may be older, or of another project.</EmptyState>
      ) : (
        <Shown of={detail} what="Reading the delivery">
          {(known) => <Content project={project} detail={known} onPending={(pending) => detail.set((now) => now && { ...now, ...pending })} />}
        </Shown>
      )}
    </section>
  );
}

interface ContentProps {
  project: Project;
  detail: DeliveryDetail;
  onPending: (pending: Delivery) => void;
}

function Content({ project, detail, onPending }: ContentProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const [isReplaying, setReplaying] = useState(false);
  useEffect(() => {
    // Whoever opened it from the list goes on reading here; on a link from outside the page keeps its focus.
    if (document.activeElement?.closest('.deliveries-row')) heading.current?.focus({ preventScroll: true });
  }, []);
  const hasBody = detail.body != null;
  const isPending = detail.status === 'pending';
  return (
    <>
      <header class="deliveries-head">
        <h2 ref={heading} tabIndex={-1}>{words(detail.eventType) || 'Unnamed event'}</h2>
        <Status of={detail.status} />
        {may('deliveries.write') && hasBody && (
          <button type="button" class="button" aria-disabled={isPending} title={isPending ? 'It waits to be processed already' : undefined}
            onClick={() => { if (!isPending) setReplaying(true); }}>
            <RotateCcw size={15} aria-hidden="true" />
            Replay…
          </button>
        )}
      </header>
      <Outcome of={detail} />
      <dl class="deliveries-facts">
        <div><dt>From</dt><dd>{hostName(detail.source)}</dd></div>
        <div><dt>Received</dt><dd><Time at={detail.receivedAt} form="full" /></dd></div>
        <div><dt>Size</dt><dd class="number">{size(detail.bodyBytes)}</dd></div>
        {detail.attempts > 0 && <div><dt>Tries</dt><dd class="number">{detail.attempts}</dd></div>}
        <div class="whole"><dt>Delivery id</dt><dd><code>{detail.deliveryId}</code> <CopyButton text={detail.deliveryId} label="Copy the delivery id" /></dd></div>
      </dl>
      <Caused detail={detail} />
      {detail.headers.length > 0 && <Headers of={detail.headers} />}
      {hasBody ? <Body text={detail.body ?? ''} isForm={isForm(detail)} bytes={detail.bodyBytes} /> : (
        <div class="deliveries-part">
          <h3>Body</h3>
          <p class="faint">Removed by age, and its headers with it. It cannot be replayed any more; what it caused still holds.</p>
        </div>
      )}
      {isReplaying && <ReplayOne project={project} delivery={detail} onClose={() => setReplaying(false)} onDone={onPending} />}
    </>
  );
}

const isForm = ({ headers }: DeliveryDetail): boolean =>
  headers.some(({ name, value }) => name === 'content-type' && value.startsWith('application/x-www-form-urlencoded'));

/** What became of it, in a sentence. */
function Outcome({ of: { status, attempts, lastError, body } }: { of: DeliveryDetail }) {
  if (status === 'processed') return null;
  const tries = attempts > 0 ? ` after ${count(attempts, 'try', 'tries')}` : '';
  return (
    <div class="deliveries-outcome" data-tone={status === 'failed' ? 'bad' : 'plain'} role="status">
      <p>
        <strong>{status === 'failed' ? `It was given up${tries}.` : attempts > 0 ? `It is tried again${tries}.` : 'It waits to be processed.'}</strong>
        {status === 'failed' && ` What it tells is missing.${body == null ? '' : ' Once the cause is gone, replay it.'}`}
      </p>
      {lastError && <p class="deliveries-why">{sentence(lastError)}</p>}
    </div>
  );
}

/** Events that tell of the delivery itself, which is shown already. */
const OF_ITSELF = ['delivery_received', 'delivery_failed'];

/** The events that it caused. */
function Caused({ detail }: { detail: DeliveryDetail }) {
  const events = detail.events.filter(({ event }) => !OF_ITSELF.includes(event));
  return (
    <div class="deliveries-part">
      <h3>What it caused</h3>
      {events.length === 0 ? (
        <p class="faint">{detail.status === 'processed' ? 'Nothing: it tells of something that is not followed here, or that was known already.' : 'Nothing yet.'}</p>
      ) : (
        <ul class="deliveries-events">
          {events.map((event) => {
            const { text, more, tone = 'plain' } = tell(event);
            return (
              <li key={event.id} data-tone={tone}>
                <span>{text}</span>
                {more && <span class="faint small deliveries-more"> {more}</span>}
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}

function Headers({ of }: { of: Schema<'Header'>[] }) {
  return (
    <details class="deliveries-part" open>
      <summary><h3>Headers</h3> <span class="faint small number">{of.length}</span></summary>
      <dl class="deliveries-headers">
        {of.map(({ name, value }, index) => (
          <div key={index}><dt>{name}</dt><dd>{value}</dd></div>
        ))}
      </dl>
    </details>
  );
}
