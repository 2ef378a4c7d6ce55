/** Changing what somebody is called, what they are, and how far they reach. */
import { useState } from 'preact/hooks';
import { api, need, needTagged, type Schema } from '../../api/client';
import { useResource } from '../../api/resource';
import { useWishes, useWrite } from '../../api/write';
import { Dialog, Field, Form, Shown, toast, typed } from '../../parts';
import { AGENT_ROLES } from '../connect/profiles';
import { ReachPick } from './ReachPick';
import { ROLES, type Reach, type Role } from './roles';

type Principal = Schema<'Principal'>;

interface Props {
  principal: Principal;
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function EditPrincipal({ principal, onClose, onDone }: Props) {
  const path = { principal_id: principal.id };
  // As it is now, with its version, so that two who change it at once do not undo each other.
  const current = useResource(`principal/${principal.id}`, (signal) =>
    needTagged(api.GET('/api/v1/principals/{principal_id}', { params: { path }, signal })),
  );
  return (
    <Dialog title={`Change ${principal.name}`} onClose={onClose}>
      <Shown of={current}>
        {({ value, etag }) => <Fields of={value} etag={etag} onClose={onClose} onDone={onDone} />}
      </Shown>
    </Dialog>
  );
}

function Fields({ of, etag, onClose, onDone }: { of: Principal; etag: string | null; onClose: () => void; onDone: () => Promise<void> }) {
  const before = (of.projectAccess ?? undefined) as Reach | undefined;
  const [reach, setReach] = useState(before);
  const wish = useWishes();
  const change = useWrite(async (body: Schema<'PrincipalPatch'>) => {
    const header = { ...(etag && { 'If-Match': etag }), 'Idempotency-Key': wish(body) };
    return need(api.PATCH('/api/v1/principals/{principal_id}', { params: { path: { principal_id: of.id }, header }, body }));
  });
  const submit = async (fields: FormData) => {
    const body: Schema<'PrincipalPatch'> = {
      name: typed(fields, 'name'),
      role: typed(fields, 'role') as Role,
      agentRole: typed(fields, 'agentRole') || null,
      ...(JSON.stringify(reach) !== JSON.stringify(before) && { projectAccess: reach ?? null }),
    };
    const changed = await change.run(body);
    if (!changed) return;
    toast(`${changed.name} is changed.`);
    onClose();
    await onDone();
  };
  return (
    <Form deed="Save" problem={change.problem} isRunning={change.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
      <Field label="Name" name="name" value={of.name} isRequired autoFocus />
      <Field label="Role" name="role" value={of.role} options={ROLES} />
      <Field label="Role among agents" name="agentRole" value={of.agentRole ?? ''} suggestions={AGENT_ROLES}
        hint="Work that is meant for a role is offered to those who have it. Empty for none." />
      <ReachPick reach={reach} onChange={setReach} />
    </Form>
  );
}
