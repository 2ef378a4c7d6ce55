/** Who holds an item, by which claim, and how it is taken away. */
import { useState } from 'preact/hooks';
import { api, need } from '../../api/client';
import type { Project } from '../../api/projects';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import { Field, Form, Time, now, toast, typed } from '../../parts';
import { Lease, signOf } from './Card';
import { leaseLeft, type Item } from './items';

interface ClaimProps {
  project: Project;
  item: Item;
  onPut: (item: Item) => void;
}

export function ClaimPanel({ project, item, onPut }: ClaimProps) {
  const { claim } = item;
  const [isReleasing, setReleasing] = useState(false);
  const release = useWrite((reason: string) => {
    const params = { path: { project_id: project.id, work_item_id: item.id } };
    return need(api.POST('/api/v1/projects/{project_id}/work-items/{work_item_id}/release', { params, body: reason ? { reason } : {} }));
  });
  const submit = async (fields: FormData) => {
    const released = await release.run(typed(fields, 'reason'));
    if (!released) return;
    setReleasing(false);
    onPut({ ...released, blockedBy: item.blockedBy });
    toast('Nobody holds it any more.');
  };
  if (!claim) {
    return (
      <section>
        <h3>Held by nobody</h3>
        <p class="faint small">{item.lane === 'ready' && item.blockers === 0 ? 'The next agent that asks for work may take it.' : item.lane === 'done' ? 'It is done.' : 'An agent can claim it by its id.'}</p>
      </section>
    );
  }
  return (
    <section>
      <h3>Held by {claim.holderName}</h3>
      <Lease claim={claim} share={leaseLeft(claim, now.value).share} />
      <dl class="item-facts">
        {claim.task && <><dt>Doing</dt><dd>{claim.task}</dd></>}
        <dt>Since</dt><dd><Time at={claim.claimedAt} /></dd>
        <dt>Last sign</dt><dd>{signOf(claim)} <Time at={claim.lastSeenAt} /></dd>
        {claim.branch && <><dt>Branch</dt><dd><code>{claim.branch}</code></dd></>}
        <dt title="Grows with every claim: an older one can write nothing any more">Fencing token</dt><dd class="number">{item.fencingToken}</dd>
      </dl>
      {may('projects.write') && !isReleasing && (
        <button type="button" class="button" onClick={() => setReleasing(true)}>Release…</button>
      )}
      {isReleasing && (
        <Form deed="Release it" isDangerous problem={release.problem} isRunning={release.isRunning} onCancel={() => setReleasing(false)}
          onSubmit={(fields) => void submit(fields)}>
          <Field label="Why" name="reason" autoFocus hint={`For whoever takes it next. ${claim.holderName} loses the claim at once.`} />
        </Form>
      )}
    </section>
  );
}
