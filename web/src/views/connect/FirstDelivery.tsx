/** What arrives at a project's webhook while somebody sets it up: nothing yet, a delivery, or one that is refused. */
import { useRef } from 'preact/hooks';
import { CircleCheck, TriangleAlert } from 'lucide-preact';
import { api, need } from '../../api/client';
import { usePoll } from '../../api/poll';
import type { Project } from '../../api/projects';
import { sentence } from '../../api/problem';
import { useResource } from '../../api/resource';
import { useLive } from '../../live/useLive';
import { Badge, ProblemNote, Status, Time, words } from '../../parts';
import { projectHome } from '../../views';
import { Lamp } from './Lamp';
import { titleOf } from './hosts';
import { advice, newest, traffic, verdict, type Verdict } from './verdict';

/** Refusals are told by no event. */
const EVERY_MS = 2_000;
const SHOWN = 6;

export function FirstDelivery({ project }: { project: Project }) {
  const params = { path: { project_id: project.id }, query: { limit: SHOWN } };
  const deliveries = useResource(`deliveries/${project.id}`, async (signal) =>
    (await need(api.GET('/api/v1/projects/{project_id}/deliveries', { params, signal }))).items,
  );
  const rejected = useResource(`rejected/${project.id}`, async (signal) =>
    (await need(api.GET('/api/v1/projects/{project_id}/deliveries/rejected', { params, signal }))).items,
  );
  useLive(project.id, ['delivery_received', 'delivery_failed'], deliveries.refresh);
  usePoll(async () => {
    await Promise.all([deliveries.refresh(), rejected.refresh()]);
  }, EVERY_MS);
  const problem = deliveries.problem ?? rejected.problem;
  const rows = traffic(deliveries.value ?? [], rejected.value ?? [], SHOWN);
  // What was there when the page was opened is no news.
  const since = useRef<number>();
  if (deliveries.value && (rejected.value || rejected.problem)) since.current ??= newest(deliveries.value, rejected.value ?? []);
  const now = deliveries.value && since.current !== undefined && verdict(deliveries.value, rejected.value ?? [], since.current);
  return (
    <section class="sheet padded stack">
      {now && <Said of={now} project={project} />}
      {problem && <ProblemNote problem={problem} retry={() => void deliveries.refresh()} />}
      {rows.length > 0 && (
        <ol class="connect-calls" aria-label="What came last">
          {rows.map((row) => (
            <li class="connect-call" key={row.id}>
              <code>{row.eventType || 'no name'}</code>
              {row.isRefused ? <Badge tone="bad">refused: {words(row.status)}</Badge> : <Status of={row.status} />}
              <span class="faint small connect-call-more">{titleOf(row.source)} · <Time at={row.receivedAt} /></span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Said({ of, project }: { of: Verdict; project: Project }) {
  switch (of.is) {
    case 'waiting':
      return (
        <Lamp tone="wait" title="Waiting for the first delivery">
          Nothing has arrived for {project.name} yet. Once the host sends something, this turns green, or says why it was
          refused. No need to reload.
        </Lamp>
      );
    case 'refused':
      return (
        <Lamp tone="bad" icon={TriangleAlert} title={`${titleOf(of.rejected.source)} was refused`}>
          <Time at={of.rejected.receivedAt} />: {sentence(of.rejected.reason)} {advice(of.rejected.code)}
        </Lamp>
      );
    case 'known':
      return (
        <Lamp tone="good" icon={CircleCheck} title="It is connected already">
          {titleOf(of.delivery.source)} sent <code>{of.delivery.eventType || 'something'}</code> <Time at={of.delivery.receivedAt} />.
          What comes from now on shows up below.
        </Lamp>
      );
    case 'arrived':
      return (
        <>
          <Lamp tone="good" icon={CircleCheck} title={`${titleOf(of.delivery.source)} is connected`}>
            It sent <code>{of.delivery.eventType || 'something'}</code> <Time at={of.delivery.receivedAt} />, and its signature is right.
          </Lamp>
          <div class="row">
            <a class="button main" href={projectHome(project.id)}>Open {project.name}</a>
            <a class="button" href={`/connect/agent?project=${project.id}`}>Connect an agent</a>
          </div>
        </>
      );
  }
}
