/** What the Git host has sent: what was received and what became of it, and what was refused and why. */
import { api, need } from '../../api/client';
import { usePoll } from '../../api/poll';
import { useResource } from '../../api/resource';
import { ViewHead, useAddress } from '../../parts';
import type { ViewProps } from '../../views';
import { Received } from './Received';
import { Refused } from './Refused';
import './deliveries.css';

/** No event tells of a refusal. */
const REFUSED_EVERY_MS = 10_000;
/** The service keeps a hundred per project. */
const ALL_REFUSED = 200;

export default function Deliveries({ project }: ViewProps) {
  const { query, to } = useAddress();
  const isRefused = query['list'] === 'refused';
  const refused = useResource(`refused/${project.id}`, async (signal) => {
    const params = { path: { project_id: project.id }, query: { limit: ALL_REFUSED } };
    const page = await need(api.GET('/api/v1/projects/{project_id}/deliveries/rejected', { params, signal }));
    return page.items;
  });
  usePoll(refused.refresh, REFUSED_EVERY_MS, !refused.problem?.isForbidden);
  const number = refused.value?.length ?? 0;
  const clean = { list: undefined, delivery: undefined, status: undefined, event: undefined, since: undefined };
  return (
    <div class="deliveries" data-open={Boolean(query['delivery']) && !isRefused}>
      <ViewHead title="Deliveries" about="What the Git host has sent to this project, and what became of it." />
      <nav class="deliveries-lists" aria-label="Lists of deliveries">
        <a href={to(clean)} aria-current={isRefused ? undefined : 'page'}>Received</a>
        <a href={to({ ...clean, list: 'refused' })} aria-current={isRefused ? 'page' : undefined}>
          Refused {number > 0 && <span class="deliveries-number number">{number}</span>}
        </a>
      </nav>
      {isRefused ? <Refused project={project} refused={refused} /> : <Received project={project} />}
    </div>
  );
}
