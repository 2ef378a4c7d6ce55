/** Where one is signed in, and which programs act for one; each can be ended. */
import { useState } from 'preact/hooks';
import { MonitorSmartphone } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { me } from '../../api/me';
import { usePoll } from '../../api/poll';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { Badge, DataTable, EmptyState, Loading, ProblemNote, Time, ViewHead, toast, type Column } from '../../parts';
import { signOut } from '../../shell/signout';
import { Confirm } from './Confirm';
import { More } from './More';
import { browserOf } from './browser';

type Session = Schema<'Session'>;
type Grant = Schema<'Grant'>;

const EVERY_MS = 10_000;
const METHODS: Record<Session['method'], string> = { setup: 'the first set-up', password: 'a password', invitation: 'an invitation', oidc: 'a provider' };

export function Sessions() {
  const sessions = usePages<Session>('sessions', (cursor, signal) =>
    need(api.GET('/api/v1/sessions', { params: { query: { limit: PAGE_ROWS, cursor } }, signal })),
  );
  const [ending, setEnding] = useState<Session>();
  usePoll(sessions.refresh, EVERY_MS);
  const going = sessions.items.filter(({ revokedAt, expiresAt }) => !revokedAt && Date.parse(expiresAt) > Date.now());
  const columns: Column<Session>[] = [
    {
      title: 'Browser',
      isHead: true,
      cell: ({ userAgent, isCurrent }) => (
        <span title={userAgent ?? undefined}>
          {browserOf(userAgent)} {isCurrent && <Badge tone="deed">this one</Badge>}
        </span>
      ),
    },
    { title: 'From', cell: ({ ip }) => ip ?? <span class="faint">unknown</span> },
    { title: 'Last seen', cell: ({ lastSeenAt }) => <Time at={lastSeenAt} /> },
    { title: 'Signed in', cell: ({ createdAt, method }) => <><Time at={createdAt} /> <span class="faint small">by {METHODS[method]}</span></> },
    {
      title: 'What can be done',
      isSilent: true,
      isEnd: true,
      cell: (session) => (
        <button type="button" class="button" onClick={() => (session.isCurrent ? signOut() : setEnding(session))}>
          {session.isCurrent ? 'Sign out' : 'End'}
        </button>
      ),
    },
  ];
  return (
    <>
      <ViewHead title="Your sessions" about="The browsers in which you are signed in, and the programs that act in your name.">
        <a class="button" href="/account">Password and sign-in</a>
      </ViewHead>
      {sessions.problem && <ProblemNote problem={sessions.problem} retry={() => void sessions.refresh()} />}
      {sessions.isLoading && <Loading what="Loading sessions" />}
      {!sessions.isLoading && !sessions.problem && going.length === 0 && (
        <EmptyState icon={MonitorSmartphone} title="You are signed in nowhere">Whoever comes with a key has no sessions.</EmptyState>
      )}
      {going.length > 0 && <DataTable label="Sessions" columns={columns} rows={going} rowKey={({ id }) => id} />}
      <More of={sessions} />
      <Programs />
      {ending && (
        <Confirm title="End this session?" deed="End the session" onClose={() => setEnding(undefined)}
          run={async () => {
            await need(api.DELETE('/api/v1/sessions/{session_id}', { params: { path: { session_id: ending.id } } }));
            toast('The session is ended.');
            await sessions.refresh();
          }}>
          {browserOf(ending.userAgent)} is signed out within a second.
        </Confirm>
      )}
    </>
  );
}

function Programs() {
  const grants = usePages<Grant>('grants', (cursor, signal) =>
    need(api.GET('/api/v1/grants', { params: { query: { limit: PAGE_ROWS, cursor } }, signal })),
  );
  const [ending, setEnding] = useState<Grant>();
  usePoll(grants.refresh, EVERY_MS);
  const own = me.value?.principal.id;
  const going = grants.items.filter(({ revokedAt }) => !revokedAt);
  const columns: Column<Grant>[] = [
    { title: 'Program', isHead: true, cell: ({ clientName, clientId }) => <span title={clientId}>{clientName}</span> },
    ...(own && going.some(({ principalId }) => principalId !== own)
      ? [{ title: 'For', cell: ({ principalId }: Grant) => (principalId === own ? 'you' : 'somebody else') }]
      : []),
    { title: 'May', cell: ({ scopes }) => <span title={scopes.join('\n')}>{scopes.some((scope) => scope.endsWith('.write')) ? 'read and change' : 'read'}</span> },
    { title: 'Last used', cell: ({ lastUsedAt }) => (lastUsedAt ? <Time at={lastUsedAt} /> : <span class="faint">never</span>) },
    { title: 'What can be done', isSilent: true, isEnd: true, cell: (grant) => <button type="button" class="button" onClick={() => setEnding(grant)}>End</button> },
  ];
  return (
    <section class="settings-part">
      <h2>Programs</h2>
      {grants.problem && <ProblemNote problem={grants.problem} retry={() => void grants.refresh()} />}
      {!grants.isLoading && !grants.problem && going.length === 0 && (
        <p class="faint">None. A program that you let sign in as you, such as an MCP client, is listed here.</p>
      )}
      {going.length > 0 && <DataTable label="Programs" columns={columns} rows={going} rowKey={({ id }) => id} />}
      <More of={grants} />
      {ending && (
        <Confirm title={`End what ${ending.clientName} may do?`} deed="End it" onClose={() => setEnding(undefined)}
          run={async () => {
            await need(api.DELETE('/api/v1/grants/{grant_id}', { params: { path: { grant_id: ending.id } } }));
            toast(`${ending.clientName} may do nothing any more.`);
            await grants.refresh();
          }}>
          Its tokens are refused within a second. It can ask again.
        </Confirm>
      )}
    </section>
  );
}
