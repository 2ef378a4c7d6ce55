/** What was refused: put together by cause, with what to do about each. */
import { useMemo } from 'preact/hooks';
import { ExternalLink, ShieldCheck } from 'lucide-preact';
import { sentence } from '../../api/problem';
import type { Project } from '../../api/projects';
import type { Resource } from '../../api/resource';
import { Badge, DataTable, EmptyState, Shown, Time, count, words, type Column } from '../../parts';
import { causes, type Cause, type Refusal } from './advice';
import { hooksPage, hostName, size } from './hosts';
import './refused.css';

/** What the service keeps of a project. */
const KEPT = 100;

export function Refused({ project, refused }: { project: Project; refused: Resource<Refusal[]> }) {
  return (
    <Shown of={refused} what="Reading what was refused">
      {(refusals) => refusals.length === 0 ? (
        <EmptyState icon={ShieldCheck} title="Nothing was refused">
          Deliveries are checked against the project’s secret. One that does not fit, or cannot be read, would stand here
          with what to do about it.
        </EmptyState>
      ) : (
        <Causes project={project} refusals={refusals} />
      )}
    </Shown>
  );
}

function Causes({ project, refusals }: { project: Project; refusals: Refusal[] }) {
  const all = useMemo(() => causes(refusals), [refusals]);
  return (
    <div class="stack">
      <p class="faint">
        {refusals.length >= KEPT ? `The newest ${KEPT} refusals` : count(refusals.length, 'refusal')}, by cause. Their bodies are not kept;
        what was missed has to be sent again at the host.
      </p>
      {all.map((cause) => <Card key={cause.advice.key} project={project} cause={cause} />)}
    </div>
  );
}

const COLUMNS: Column<Refusal>[] = [
  { title: 'When', cell: ({ receivedAt }) => <Time at={receivedAt} />, isHead: true },
  { title: 'Event', cell: ({ eventType }) => words(eventType) || '–' },
  { title: 'Delivery id', cell: ({ deliveryId }) => (deliveryId ? <code>{deliveryId}</code> : '–') },
  { title: 'Sent by', cell: ({ userAgent }) => userAgent ?? '–' },
  { title: 'Size', cell: ({ bodyBytes }) => (bodyBytes == null ? '–' : size(bodyBytes)), isEnd: true },
];

function Card({ project, cause }: { project: Project; cause: Cause }) {
  const { advice, source, refusals } = cause;
  const hooks = advice.isAtHost ? hooksPage(project, source) : undefined;
  const reasons = [...new Set(refusals.map(({ reason }) => reason))];
  const [newest] = refusals;
  return (
    <article class="sheet padded refused" aria-label={`${advice.title}, ${hostName(source)}`}>
      <header class="refused-head">
        <h2>{advice.title}</h2>
        <Badge tone="bad">{hostName(source)} · {count(refusals.length, 'time')}</Badge>
        {newest && <span class="faint small">last <Time at={newest.receivedAt} /></span>}
      </header>
      <p class="refused-what">{advice.what}</p>
      {advice.steps.length > 0 && (
        <div class="refused-do">
          <h3>What to do</h3>
          <ol>{advice.steps.map((step) => <li key={step}>{step}</li>)}</ol>
          {hooks && (
            <a class="button" href={hooks} target="_blank" rel="noreferrer">
              Webhooks at {hostName(source)}
              <ExternalLink size={14} aria-hidden="true" />
            </a>
          )}
        </div>
      )}
      <details>
        <summary>{refusals.length === 1 ? 'The delivery, and what was answered' : `All ${refusals.length}, and what was answered`}</summary>
        <ul class="refused-reasons">
          {reasons.slice(0, 5).map((reason) => <li key={reason}>{sentence(reason)}</li>)}
        </ul>
        <DataTable label={`Refused: ${advice.title}`} columns={COLUMNS} rows={refusals} rowKey={({ id }) => id} />
      </details>
    </article>
  );
}
