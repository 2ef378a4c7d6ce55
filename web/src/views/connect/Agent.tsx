/** Connecting an agent: its key is made and shown once, put into its client, and its first call seen to arrive. */
import { useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { KeyRound } from 'lucide-preact';
import type { Schema } from '../../api/client';
import { projects } from '../../api/projects';
import { may } from '../../api/scopes';
import { CopyBox, EmptyState, Time, ViewHead, words } from '../../parts';
import { useTitle } from '../../shell/title';
import { AgentForm, type Made } from './AgentForm';
import { FirstCall } from './FirstCall';
import { Lamp } from './Lamp';
import { Part, Pick } from './Steps';
import { clients } from './clients';
import { mcpUrl, profiles, type Profile } from './profiles';
import './connect.css';

export default function ConnectAgent() {
  useTitle('Connect an agent');
  const { query } = useLocation();
  const [made, setMade] = useState<Made>();
  const [profile, setProfile] = useState<Profile>('all');
  const next = useRef<HTMLDivElement>(null);
  const take = (made: Made) => {
    setMade(made);
    // What was made stands below what was filled in, which has just become shorter.
    requestAnimationFrame(() => next.current?.focus());
  };
  if (!may('keys.write')) {
    return (
      <>
        <ViewHead title="Connect an agent" />
        <EmptyState icon={KeyRound} title="Keys are not yours to make">
          <div class="connect-own">
            <p>An owner or admin makes a key for an agent. Your own client needs none: it signs in as you.</p>
            <CopyBox text={`claude mcp add --transport http trackside ${location.origin}/mcp`} label="First command" />
            <CopyBox text="claude mcp login trackside" label="Second command" />
          </div>
        </EmptyState>
      </>
    );
  }
  return (
    <div class="connect">
      <ViewHead title="Connect an agent" about="Say who it is, give it its key, and see its first call arrive." />
      <div class="connect-all">
        <div class="connect-parts">
          <Part number={1} title={made ? `${made.key.name} has a key` : 'Who it is, and what it may do'} isDone={Boolean(made)}
            deed={made && <button type="button" class="button" onClick={() => setMade(undefined)}>Another agent</button>}>
            {made ? <Summary of={made} /> : <AgentForm principalId={query['principal']} project={query['project']} profile={profile} onProfile={setProfile} onMade={take} />}
          </Part>
          <div ref={next} tabIndex={-1} class="connect-next">
            <Part number={2} title="Give it the key" isAhead={!made}>{made && <Give of={made} />}</Part>
          </div>
        </div>
        <aside class="connect-side" aria-label="What comes of it">
          {made ? (
            <section class="sheet padded stack">
              <FirstCall key={made.key.id} keyId={made.key.id} principalId={made.key.principalId} name={made.key.name} />
            </section>
          ) : (
            <Powers of={profile} />
          )}
        </aside>
      </div>
    </div>
  );
}

function Powers({ of }: { of: Profile }) {
  const { title, can, cannot } = profiles[of];
  return (
    <section class="sheet padded connect-powers" aria-live="polite">
      <h2>{title}</h2>
      <h3>It will be able to</h3>
      <ul>{can.map((each) => <li key={each}>{each}</li>)}</ul>
      <h3>It will not</h3>
      <ul data-not>{cannot.map((each) => <li key={each}>{each}</li>)}</ul>
      <p class="faint small">Each of its calls is recorded. The key can be ended at any time, and is refused a second later.</p>
    </section>
  );
}

function Summary({ of: { key, profile, agentRole, trouble } }: { of: Made }) {
  const names = key.projectIds?.map((id) => projects.value?.find((project) => project.id === id)?.name ?? 'a project');
  return (
    <>
      <dl class="connect-facts">
        <div><dt>Tools</dt><dd>{profiles[profile].title}</dd></div>
        <div><dt>Role among agents</dt><dd>{agentRole ? words(agentRole) : 'none'}</dd></div>
        <div><dt>Projects</dt><dd>{names ? names.join(', ') : 'all'}</dd></div>
        <div><dt>Good until</dt><dd>{key.expiresAt ? <Time at={key.expiresAt} form="full" /> : 'it is ended'}</dd></div>
      </dl>
      {trouble && <Lamp tone="bad" title="Its role among agents was not noted">{trouble} It can be set in the settings, under People and agents.</Lamp>}
    </>
  );
}

function Give({ of: { key, profile } }: { of: { key: Schema<'CreatedApiKey'>; profile: Profile } }) {
  const [id, setId] = useState(clients[0]?.id ?? '');
  const client = clients.find((each) => each.id === id);
  const connection = { url: mcpUrl(location.origin, profile), key: key.key };
  return (
    <div class="stack">
      <div class="connect-secret">
        <h3>The key</h3>
        <CopyBox text={key.key} label="Key" />
        <p class="faint small">It is shown this once, and stands in what is below. Should it be lost, make another one.</p>
      </div>
      <div class="stack">
        <h3>Where does the agent run?</h3>
        <Pick label="Client" of={clients} value={id} onPick={setId} />
        {client && (
          <ol class="connect-steps" aria-label={client.title}>
            {client.steps(connection).map(({ text, code, install }, at) => (
              <li key={text}>
                <p>{text}</p>
                {install && <a class="button main" href={install.href}>{install.label}</a>}
                {code && <CopyBox text={code} label={`Snippet ${at + 1}`} />}
              </li>
            ))}
          </ol>
        )}
        {client?.note && <p class="faint small">{client.note}</p>}
      </div>
    </div>
  );
}
