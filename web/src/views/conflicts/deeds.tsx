/** The two deeds of this view, each with a reason that stays in the log: settling a conflict, taking a reservation away. */
import { api, need } from '../../api/client';
import { idempotencyKey, useWrite } from '../../api/write';
import { Dialog, Field, Form, toast, typed, words } from '../../parts';
import type { Conflict, Reservation } from './map';

interface DeedProps<T> {
  projectId: string;
  of: T;
  onClose: () => void;
  onDone: () => void;
}

export function Resolve({ projectId, of, onClose, onDone }: DeedProps<Conflict>) {
  const resolve = useWrite((reason: string) =>
    need(api.POST('/api/v1/projects/{project_id}/conflicts/{conflict_id}/resolve', {
      params: { path: { project_id: projectId, conflict_id: of.id } }, body: { reason }, headers: { 'Idempotency-Key': idempotencyKey() },
    })),
  );
  const submit = async (fields: FormData) => {
    if (!(await resolve.run(typed(fields, 'reason')))) return;
    toast('The conflict is resolved.');
    onDone();
    onClose();
  };
  return (
    <Dialog title={`Resolve: ${words(of.kind)}`} onClose={onClose}>
      <Form deed="Resolve" problem={resolve.problem} isRunning={resolve.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <p class="conflicts-quote">{of.message}</p>
        <Field label="Why is this no conflict any more?" name="reason" isLong isRequired autoFocus
          hint="Agents and people read it. The same conflict is not told again for the same cause." />
      </Form>
    </Dialog>
  );
}

export function Release({ projectId, of, onClose, onDone }: DeedProps<Reservation>) {
  const release = useWrite((reason: string) =>
    need(api.POST('/api/v1/projects/{project_id}/reservations/{reservation_id}/release', {
      params: { path: { project_id: projectId, reservation_id: of.id } }, body: { reason: reason || undefined },
      headers: { 'Idempotency-Key': idempotencyKey() },
    })),
  );
  const submit = async (fields: FormData) => {
    if (!(await release.run(typed(fields, 'reason')))) return;
    toast(`${of.holderName} holds it no more.`);
    onDone();
    onClose();
  };
  return (
    <Dialog title={`Take this from ${of.holderName}?`} onClose={onClose}>
      <Form deed="Release" isDangerous problem={release.problem} isRunning={release.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <p class="conflicts-quote">{of.paths.join(', ')}</p>
        <p class="faint">{of.holderName} is told with its next call that others may edit these files.</p>
        <Field label="Why" name="reason" isLong autoFocus hint="Not needed, but it helps who held it." />
      </Form>
    </Dialog>
  );
}
