/** Who an agent is and what it may do; makes its service account and key. */
import { useEffect, useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { Problem, sentence } from '../../api/problem';
import { useWishes, useWrite } from '../../api/write';
import { useResource } from '../../api/resource';
import { Choices, Field, Form, ProjectPick, Shown, typed } from '../../parts';
import { AGENT_ROLES, profiles, type Profile } from './profiles';

export interface Made {
  key: Schema<'CreatedApiKey'>;
  profile: Profile;
  agentRole: string;
  /** Why its role among agents could not be noted; the key is good all the same. */
  trouble?: string;
}

const DAY_MS = 86_400_000;
const LIFETIMES = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'a year' },
  { value: '', label: 'until it is ended' },
];

type Principal = Schema<'Principal'>;

interface Props {
  /** Whose key it is to be, where the agent is there already. */
  principalId: string | undefined;
  /** The project that one came from. */
  project: string | undefined;
  profile: Profile;
  onProfile: (profile: Profile) => void;
  onMade: (made: Made) => void;
}

export function AgentForm({ principalId, ...props }: Props) {
  const principal = useResource(principalId ?? '', (signal) =>
    need(api.GET('/api/v1/principals/{principal_id}', { params: { path: { principal_id: principalId ?? '' } }, signal })),
  );
  if (!principalId) return <Fields {...props} />;
  return <Shown of={principal}>{(known) => <Fields {...props} known={known} />}</Shown>;
}

function Fields({ known, project, profile, onProfile, onMade }: Omit<Props, 'principalId'> & { known?: Principal }) {
  const [chosen, choose] = useState<string[] | undefined>(project ? [project] : undefined);
  const [isNone, setNone] = useState(false);
  const offered = known?.role === 'viewer' ? ways.filter(({ value }) => value === 'read') : ways;
  const isOffered = offered.some(({ value }) => value === profile);
  useEffect(() => {
    if (!isOffered) onProfile('read');
  }, [isOffered]);
  const wish = useWishes();
  const make = useWrite(async (body: Schema<'NewApiKey'>, agentRole: string) => {
    const key = await need(api.POST('/api/v1/api-keys', { body, headers: { 'Idempotency-Key': wish(body) } }));
    const trouble = agentRole && agentRole !== known?.agentRole ? await note(key.principalId, agentRole) : undefined;
    return { key, profile, agentRole, trouble };
  });
  const submit = async (fields: FormData) => {
    setNone(chosen?.length === 0);
    if (chosen?.length === 0) return;
    const days = Number(typed(fields, 'days'));
    const made = await make.run(
      {
        name: typed(fields, 'name'),
        ...(known ? { principalId: known.id } : { role: profiles[profile].role }),
        scopes: profiles[profile].scopes,
        ...(chosen && { projectIds: chosen }),
        // To the day, so that sending it twice is the same wish.
        ...(days > 0 && { expiresAt: new Date(Math.ceil((Date.now() + days * DAY_MS) / DAY_MS) * DAY_MS).toISOString() }),
      },
      typed(fields, 'agentRole'),
    );
    if (made) onMade(made);
  };
  return (
    <Form deed="Make its key" problem={make.problem} isRunning={make.isRunning} onSubmit={(fields) => void submit(fields)}>
      {known && <p class="connect-lead">It gets another key beside those that it has. What it is called stays as it is.</p>}
      {known ? (
        <Field label="Name of the key" name="name" isRequired autoFocus value={known.name} />
      ) : (
        <Field label="Name" name="name" isRequired autoFocus placeholder="reviewer" hint="What people and other agents see beside what it does." />
      )}
      <Field label="Role among agents" name="agentRole" value={known?.agentRole ?? undefined} suggestions={AGENT_ROLES} placeholder="developer"
        hint="Optional. Work that is meant for a role is offered to agents that have it." />
      <Choices legend="Tools" choices={offered} value={profile} onChoose={onProfile} />
      <ProjectPick legend="Projects" chosen={chosen} onChoose={choose} />
      {isNone && chosen?.length === 0 && <p class="connect-wrong" role="alert">Tick at least one project, or choose all of them.</p>}
      <Field label="Good for" name="days" pointer="/expiresAt" value="90" options={LIFETIMES} hint="A key can be followed by another one before it ends, without a gap." />
    </Form>
  );
}

const ways = (['read', 'core', 'all'] as const).map((value) => ({ value, title: profiles[value].title, about: profiles[value].about }));

/** Notes an agent's role among others, which making a key does not take. */
async function note(principal_id: string, agentRole: string): Promise<string | undefined> {
  try {
    await need(api.PATCH('/api/v1/principals/{principal_id}', { params: { path: { principal_id } }, body: { agentRole } }));
    return undefined;
  } catch (thrown) {
    return sentence(Problem.from(thrown).detail);
  }
}
