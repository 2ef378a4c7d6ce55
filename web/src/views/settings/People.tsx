/** Who can act here: people and agents, with what they are, how far they reach, and who is invited. */
import { useState } from 'preact/hooks';
import { Bot, User, UserPlus } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { me } from '../../api/me';
import { usePoll } from '../../api/poll';
import { projects } from '../../api/projects';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { may } from '../../api/scopes';
import { Badge, DataTable, EmptyState, Loading, ProblemNote, ViewHead, count, toast, words, type Column } from '../../parts';
import { Confirm } from './Confirm';
import { EditPrincipal } from './EditPrincipal';
import { Invitations } from './Invitations';
import { Invite } from './Invite';
import { More } from './More';

type Principal = Schema<'Principal'>;

const EVERY_MS = 10_000;
const KINDS = [
  { id: 'all', title: 'Everybody', is: (it: Principal) => !it.deactivatedAt },
  { id: 'people', title: 'People', is: (it: Principal) => it.kind === 'user' && !it.deactivatedAt },
  { id: 'agents', title: 'Agents', is: (it: Principal) => it.kind === 'service_account' && !it.deactivatedAt },
  { id: 'gone', title: 'Deactivated', is: (it: Principal) => Boolean(it.deactivatedAt) },
];

export function People() {
  const all = usePages<Principal>('principals', (cursor, signal) =>
    need(api.GET('/api/v1/principals', { params: { query: { limit: PAGE_ROWS, cursor } }, signal })),
  );
  const [kind, setKind] = useState('all');
  const [query, setQuery] = useState('');
  const [editing, setEditing] = useState<Principal>();
  const [leaving, setLeaving] = useState<Principal>();
  const [isInviting, setInviting] = useState(false);
  const [invited, setInvited] = useState(0);
  usePoll(all.refresh, EVERY_MS);
  const mayChange = may('keys.write');
  const isOf = KINDS.find(({ id }) => id === kind)?.is;
  const searched = query.toLowerCase();
  const rows = all.items.filter((it) => isOf?.(it) && `${it.name} ${it.email ?? ''} ${it.agentRole ?? ''}`.toLowerCase().includes(searched));
  const back = async (principal: Principal) => {
    try {
      await need(api.POST('/api/v1/principals/{principal_id}/reactivate', { params: { path: { principal_id: principal.id } } }));
      toast(`${principal.name} may act again, once they have signed in or have a new key.`);
    } catch (thrown) {
      toast(thrown instanceof Error ? thrown.message : String(thrown), 'bad');
    }
    await all.refresh();
  };
  const columns: Column<Principal>[] = [
    { title: 'Name', isHead: true, cell: (it) => <Name of={it} /> },
    { title: 'Role', cell: ({ role }) => <Badge tone={role === 'owner' || role === 'admin' ? 'deed' : 'plain'}>{role}</Badge> },
    { title: 'Among agents', cell: ({ agentRole }) => (agentRole ? words(agentRole) : <span class="faint">–</span>) },
    { title: 'Projects', cell: (it) => <Reaches of={it} /> },
    {
      title: 'What can be done',
      isSilent: true,
      isEnd: true,
      cell: (it) =>
        mayChange && (
          <div class="row settings-deeds">
            {it.deactivatedAt ? (
              <button type="button" class="button" onClick={() => void back(it)}>Let back in</button>
            ) : (
              <>
                {it.kind === 'service_account' && <a class="button" href={`/connect/agent?principal=${it.id}`}>New key</a>}
                <button type="button" class="button" onClick={() => setEditing(it)}>Change</button>
                <button type="button" class="button bare" onClick={() => setLeaving(it)}>Deactivate</button>
              </>
            )}
          </div>
        ),
    },
  ];
  return (
    <>
      <ViewHead title="People and agents" about="Who can act here, what they may do, and how far they reach.">
        {mayChange && (
          <>
            <a class="button" href="/connect/agent"><Bot size={16} aria-hidden="true" />Connect an agent</a>
            <button type="button" class="button main" onClick={() => setInviting(true)}><UserPlus size={16} aria-hidden="true" />Invite somebody</button>
          </>
        )}
      </ViewHead>
      <div class="settings-tools">
        <div class="chips" role="group" aria-label="Show">
          {KINDS.map(({ id, title }) => (
            <button type="button" class="chip" key={id} aria-pressed={id === kind} onClick={() => setKind(id)}>{title}</button>
          ))}
        </div>
        {all.items.length > 12 && (
          <input class="input settings-filter" type="search" placeholder="Filter" aria-label="Filter people and agents" value={query}
            onInput={(event) => setQuery(event.currentTarget.value)} />
        )}
      </div>
      {all.problem && <ProblemNote problem={all.problem} retry={() => void all.refresh()} />}
      {all.isLoading && <Loading what="Loading people" />}
      {rows.length > 0 && <DataTable label="People and agents" columns={columns} rows={rows} rowKey={({ id }) => id} />}
      {!all.isLoading && !all.problem && rows.length === 0 && <EmptyState icon={User} title={kind === 'gone' ? 'Nobody was deactivated' : 'Nobody like that'} />}
      <More of={all} />
      <Invitations key={invited} />
      {isInviting && <Invite onClose={() => { setInviting(false); setInvited(invited + 1); }} />}
      {editing && <EditPrincipal principal={editing} onClose={() => setEditing(undefined)} onDone={all.refresh} />}
      {leaving && (
        <Confirm title={`Deactivate ${leaving.name}?`} deed="Deactivate" onClose={() => setLeaving(undefined)}
          run={async () => {
            await need(api.POST('/api/v1/principals/{principal_id}/deactivate', { params: { path: { principal_id: leaving.id } } }));
            toast(`${leaving.name} may do nothing any more.`);
            await all.refresh();
          }}>
          Keys, sessions and programs of {leaving.name} end within a second, and stay ended. What they did stays. They can be
          let back in later, with a new key or by signing in again.
        </Confirm>
      )}
    </>
  );
}

function Name({ of }: { of: Principal }) {
  const Icon = of.kind === 'user' ? User : Bot;
  return (
    <span class="settings-name">
      <Icon size={16} aria-hidden="true" />
      <span class="unseen">{of.kind === 'user' ? 'Person: ' : 'Agent: '}</span>
      <span>
        <strong>{of.name}</strong>
        {me.value?.principal.id === of.id && <> <Badge tone="deed">you</Badge></>}
        {of.email && <span class="faint small settings-under">{of.email}</span>}
      </span>
    </span>
  );
}

function Reaches({ of: { kind, projectAccess } }: { of: Principal }) {
  if (!projectAccess) return kind === 'user' ? <>all</> : <span class="faint settings-line">as its keys say</span>;
  const access = Object.entries(projectAccess as Record<string, string>);
  const nameOf = (id: string) => projects.value?.find((project) => project.id === id)?.name ?? 'a project';
  if (access.length === 0) return <span class="faint">none</span>;
  const [first] = access;
  if (access.length === 1 && first) return <>{nameOf(first[0])} <span class="faint small">({first[1]})</span></>;
  return <span title={access.map(([id, level]) => `${nameOf(id)} (${level})`).join('\n')}>{count(access.length, 'project')}</span>;
}
