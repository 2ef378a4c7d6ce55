/** One project of the portfolio, live: how it is, how far it is, what clashes, who is at work, what came last. */
import { Bot, GitCommitHorizontal, ListTodo, TriangleAlert } from 'lucide-preact';
import { api, need } from '../../api/client';
import { readStatus, shortRepository, type Project, type ProjectStatus } from '../../api/projects';
import { useResource } from '../../api/resource';
import { useLive, type EventName } from '../../live/useLive';
import { Badge, Meter, ProblemNote, Status, Time, count, words, type Tone } from '../../parts';
import { projectHome } from '../../views';

const DELIVERIES: EventName[] = ['delivery_received', 'delivery_failed'];

export function Card({ project }: { project: Project }) {
  const { id } = project;
  const status = useResource(`status/${id}`, (signal) => readStatus(id, signal));
  const delivery = useResource(`last-delivery/${id}`, async (signal) => {
    const query = { limit: 1 };
    const params = { path: { project_id: id }, query };
    const { items } = await need(api.GET('/api/v1/projects/{project_id}/deliveries', { params, signal }));
    return items[0] ?? null;
  });
  const from = { after: status.value?.lastEventId };
  useLive(status.value && id, 'all', status.refresh, from);
  useLive(status.value && id, DELIVERIES, delivery.refresh, from);
  return (
    <article class="sheet card" aria-labelledby={`project-${id}`}>
      <div class="card-head">
        <div class="card-name">
          <h2 id={`project-${id}`}>
            <a href={projectHome(id)}>{project.name}</a>
          </h2>
          <p class="faint small cut" title={project.repoUrl}>{shortRepository(project.repoUrl)}</p>
        </div>
        {status.value && <Health of={status.value} />}
      </div>
      {status.problem && !status.value && <ProblemNote problem={status.problem} retry={() => void status.refresh()} />}
      <Progress of={status.value} />
      <Facts of={status.value} />
      <p class="card-foot small">
        {delivery.value ? (
          <>
            <span class="faint">Last delivery</span>
            <span class="cut">{delivery.value.source} {words(delivery.value.eventType)}</span>
            {delivery.value.status !== 'processed' && <Status of={delivery.value.status} />}
            <span class="faint card-when"><Time at={delivery.value.receivedAt} /></span>
          </>
        ) : (
          <span class="faint">{delivery.value === null ? 'No delivery yet: the webhook is not connected' : delivery.problem ? 'Deliveries are not yours to see' : '\u00a0'}</span>
        )}
      </p>
    </article>
  );
}

/** The worst thing first; on hover all of them. */
function troubles(status: ProjectStatus): { tone: Tone; text: string }[] {
  const { conflicts, deliveries, failing, scan } = status;
  const all: { tone: Tone; text: string }[] = [];
  if (conflicts.critical) all.push({ tone: 'bad', text: count(conflicts.critical, 'critical conflict') });
  if (failing.length) all.push({ tone: 'bad', text: count(failing.length, 'failing run') });
  if (deliveries.failed) all.push({ tone: 'bad', text: count(deliveries.failed, 'failed delivery', 'failed deliveries') });
  if (scan.state === 'failed') all.push({ tone: 'warn', text: 'Repository not readable' });
  if (conflicts.warning) all.push({ tone: 'warn', text: count(conflicts.warning, 'warning') });
  return all;
}

function Health({ of }: { of: ProjectStatus }) {
  const all = troubles(of);
  const [worst] = all;
  if (!worst) return <Badge tone="good">On track</Badge>;
  return (
    <Badge tone={worst.tone} title={all.map(({ text }) => text).join(', ')}>
      {worst.text}
      {all.length > 1 && ` +${all.length - 1}`}
    </Badge>
  );
}

function Progress({ of }: { of: ProjectStatus | undefined }) {
  const phase = of?.gates.currentPhase;
  const share = of?.gates.percentage ?? 0;
  return (
    <div class="card-phase">
      <div class="row small">
        <span>{of ? (phase ? <>Phase <strong>{phase}</strong></> : <span class="faint">No gates set up</span>) : '\u00a0'}</span>
        {phase && <span class="card-when number">{share} %</span>}
      </div>
      <Meter value={share} label={`Progress of ${phase ? `phase ${phase}` : 'phases'}, percent`} />
    </div>
  );
}

function Facts({ of }: { of: ProjectStatus | undefined }) {
  const conflicts = of ? of.conflicts.critical + of.conflicts.warning + of.conflicts.info : undefined;
  const facts = [
    { icon: TriangleAlert, title: 'open conflicts', value: conflicts, tone: conflicts ? 'warn' : undefined },
    { icon: Bot, title: 'agents at work', value: of && (of.agents['running'] ?? 0) },
    { icon: ListTodo, title: 'in progress', value: of && (of.work['doing'] ?? 0) + (of.work['review'] ?? 0) },
    { icon: GitCommitHorizontal, title: 'runs going', value: of?.running.length },
  ];
  return (
    <dl class="card-facts">
      {facts.map(({ icon: Icon, title, value, tone }) => (
        <div key={title} data-tone={tone}>
          <dt>{title}</dt>
          <dd class="number">
            <Icon size={15} aria-hidden="true" />
            {value ?? '–'}
          </dd>
        </div>
      ))}
    </dl>
  );
}
