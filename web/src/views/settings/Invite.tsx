/** Inviting somebody: a link by which one person may join, shown once and handed over by whoever made it. */
import { useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { useWishes, useWrite } from '../../api/write';
import { CopyBox, Dialog, Field, Form, Time, typed } from '../../parts';
import { ReachPick } from './ReachPick';
import { ROLES, type Reach, type Role } from './roles';

export function Invite({ onClose }: { onClose: () => void }) {
  const [reach, setReach] = useState<Reach>();
  const [made, setMade] = useState<Schema<'CreatedInvitation'>>();
  const wish = useWishes();
  const invite = useWrite((body: Schema<'NewInvitation'>) =>
    need(api.POST('/api/v1/invitations', { body, headers: { 'Idempotency-Key': wish(body) } })),
  );
  const submit = async (fields: FormData) => {
    const email = typed(fields, 'email');
    const made = await invite.run({
      role: typed(fields, 'role') as Role,
      ...(email && { email }),
      ...(reach && { projectAccess: reach }),
    });
    if (made) setMade(made);
  };
  if (made) {
    return (
      <Dialog title="The invitation is there" onClose={onClose} isSticky>
        <div class="stack">
          <p>Hand this link over yourself: Trackside sends no mail. {made.email ? `It works for ${made.email} alone, ` : 'It works for whoever has it, '}once.</p>
          <CopyBox text={made.link} label="Link" />
          <p class="faint small">It is shown this once, and good until <Time at={made.expiresAt} form="full" />.</p>
        </div>
        <div class="form-deeds">
          <button type="button" class="button main" onClick={onClose}>I have copied it</button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Invite somebody" onClose={onClose}>
      <Form deed="Make the link" problem={invite.problem} isRunning={invite.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <Field label="E-mail address" name="email" type="email" autoFocus placeholder="ada@example.org"
          hint="Optional. With it the link is for this person alone; without it, for whoever has it first." />
        <Field label="Role" name="role" value="member" options={ROLES} />
        <ReachPick reach={reach} onChange={setReach} />
      </Form>
    </Dialog>
  );
}
