/** Invitations that somebody may still join by. */
import { useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { usePoll } from '../../api/poll';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { may } from '../../api/scopes';
import { Badge, DataTable, ProblemNote, Time, toast, type Column } from '../../parts';
import { Confirm } from './Confirm';
import { More } from './More';

type Invitation = Schema<'Invitation'>;

const EVERY_MS = 10_000;

export function Invitations() {
  const all = usePages<Invitation>('invitations', (cursor, signal) =>
    need(api.GET('/api/v1/invitations', { params: { query: { limit: PAGE_ROWS, cursor } }, signal })),
  );
  const [leaving, setLeaving] = useState<Invitation>();
  usePoll(all.refresh, EVERY_MS);
  const open = all.items.filter(({ acceptedAt, revokedAt, expiresAt }) => !acceptedAt && !revokedAt && Date.parse(expiresAt) > Date.now());
  // Whoever may not see them has read so above already.
  if (all.problem?.isForbidden || (open.length === 0 && !all.problem && !all.hasMore)) return null;
  const columns: Column<Invitation>[] = [
    { title: 'For', isHead: true, cell: ({ email }) => email ?? <span class="faint">whoever has the link</span> },
    { title: 'Role', cell: ({ role }) => <Badge>{role}</Badge> },
    { title: 'Made', cell: ({ createdAt }) => <Time at={createdAt} /> },
    { title: 'Good until', cell: ({ expiresAt }) => <Time at={expiresAt} form="full" /> },
    {
      title: 'What can be done',
      isSilent: true,
      isEnd: true,
      cell: (it) => may('keys.write') && <button type="button" class="button" onClick={() => setLeaving(it)}>Withdraw</button>,
    },
  ];
  return (
    <section class="settings-part">
      <h2>Invited, not yet here</h2>
      {all.problem && <ProblemNote problem={all.problem} retry={() => void all.refresh()} />}
      {open.length > 0 && <DataTable label="Invitations" columns={columns} rows={open} rowKey={({ id }) => id} />}
      <More of={all} />
      {leaving && (
        <Confirm title="Withdraw this invitation?" deed="Withdraw" onClose={() => setLeaving(undefined)}
          run={async () => {
            await need(api.DELETE('/api/v1/invitations/{invitation_id}', { params: { path: { invitation_id: leaving.id } } }));
            toast('The invitation is withdrawn.');
            await all.refresh();
          }}>
          Its link is refused from now on.
        </Confirm>
      )}
    </section>
  );
}
