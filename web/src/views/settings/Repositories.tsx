/** What projects share with their Git host: the webhook's secret, and a token by which the repository is read. */
import { useState } from 'preact/hooks';
import { FolderGit2, Plus } from 'lucide-preact';
import { useLocation } from 'preact-iso';
import { api, need } from '../../api/client';
import { projects, projectsProblem, readProjects, readStatus, shortRepository, type Project } from '../../api/projects';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import { Badge, CopyBox, Dialog, EmptyState, Field, Form, Loading, Menu, ProblemNote, Time, ViewHead, toast, typed } from '../../parts';
import { RotateSecret } from '../connect/RotateSecret';
import { Confirm } from './Confirm';

/** So many are listed at once: each asks how its repository is. */
const AT_ONCE = 25;
/** Beyond so many there is a filter. */
const MANY = 8;

type Deed = { what: 'secret' | 'token' | 'untoken' | 'delete'; project: Project };

export function Repositories() {
  const [deed, setDeed] = useState<Deed>();
  const [query, setQuery] = useState('');
  const [most, setMost] = useState(AT_ONCE);
  const all = projects.value;
  const words = query.toLowerCase();
  const shown = all?.filter(({ name, repoUrl }) => `${name} ${repoUrl}`.toLowerCase().includes(words)) ?? [];
  const close = () => setDeed(undefined);
  return (
    <>
      <ViewHead title="Projects" about="What each shares with its Git host: the secret of its webhook, and a token by which a private repository is read.">
        {all && all.length > MANY && (
          <input class="input settings-filter" type="search" placeholder="Filter" aria-label="Filter projects" value={query}
            onInput={(event) => setQuery(event.currentTarget.value)} />
        )}
        {may('projects.write') && <a class="button main" href="/connect/repository?new"><Plus size={16} aria-hidden="true" />Create a project</a>}
      </ViewHead>
      {projectsProblem.value && <ProblemNote problem={projectsProblem.value} retry={() => void readProjects()} />}
      {!all && !projectsProblem.value && <Loading what="Loading projects" />}
      {all?.length === 0 && (
        <EmptyState icon={FolderGit2} title="No projects yet" deed={may('projects.write') && <a class="button main" href="/connect/repository">Connect a repository</a>} />
      )}
      <ul class="settings-projects">
        {shown.slice(0, most).map((project) => <Line key={project.id} project={project} onDeed={(what) => setDeed({ what, project })} />)}
      </ul>
      {all && all.length > 0 && shown.length === 0 && <EmptyState title="No project has that in its name or address" />}
      {shown.length > most && (
        <p class="settings-more"><button type="button" class="button" onClick={() => setMost(most + AT_ONCE)}>Show more</button></p>
      )}
      {deed?.what === 'secret' && <Secret project={deed.project} onClose={close} />}
      {deed?.what === 'token' && <GiveToken project={deed.project} onClose={close} />}
      {deed?.what === 'untoken' && (
        <Confirm title={`Take the token of ${deed.project.name} away?`} deed="Take it away" onClose={close}
          run={async () => {
            await need(api.DELETE('/api/v1/projects/{project_id}/provider-token', { params: { path: { project_id: deed.project.id } } }));
            toast(`${deed.project.name} has no token any more.`);
          }}>
          The repository is read without it from now on. A private one cannot be read then.
        </Confirm>
      )}
      {deed?.what === 'delete' && <Delete project={deed.project} onClose={close} />}
    </>
  );
}

function Line({ project, onDeed }: { project: Project; onDeed: (what: Deed['what']) => void }) {
  const { route } = useLocation();
  const status = useResource(`scan/${project.id}`, (signal) => readStatus(project.id, signal));
  const scan = status.value?.scan;
  const mayChange = may('projects.write');
  return (
    <li class="sheet settings-project">
      <div class="settings-project-name">
        <h2><a href={`/projects/${project.id}`}>{project.name}</a></h2>
        <p class="faint small cut" title={project.repoUrl}>{shortRepository(project.repoUrl)}</p>
        {scan?.state === 'failed' && (
          <p class="small settings-trouble">
            <Badge tone="warn">Repository not readable</Badge> A private one needs a token.
            {scan.succeededAt && <span class="faint"> It was last read <Time at={scan.succeededAt} />.</span>}
          </p>
        )}
      </div>
      {mayChange && (
        <div class="row settings-deeds">
          <a class="button" href={`/connect/repository?project=${project.id}`}>Webhook</a>
          <Menu side="end" class="button" label={`More for ${project.name}`} button="More" items={[
            { key: 'secret', label: 'New webhook secret', run: () => onDeed('secret') },
            { key: 'token', label: 'Give a provider token', run: () => onDeed('token') },
            { key: 'untoken', label: 'Take the provider token away', run: () => onDeed('untoken') },
            { key: 'agent', label: 'Connect an agent', run: () => route(`/connect/agent?project=${project.id}`) },
            { key: 'delete', label: 'Delete the project', run: () => onDeed('delete') },
          ]} />
        </div>
      )}
    </li>
  );
}

function Secret({ project, onClose }: { project: Project; onClose: () => void }) {
  const [made, setMade] = useState<{ secret: string; until: string }>();
  if (!made) {
    return <RotateSecret project={project} onClose={onClose} onMade={(secret, { oldSecretExpiresAt }) => setMade({ secret, until: oldSecretExpiresAt })} />;
  }
  return (
    <Dialog title={`The new secret of ${project.name}`} onClose={onClose} isSticky>
      <div class="stack">
        <p>Give it to the webhook at the Git host, in place of the one before.</p>
        <CopyBox text={made.secret} label="Secret" />
        <p class="faint small">It is shown this once. The one before is good until <Time at={made.until} form="full" />.</p>
      </div>
      <div class="form-deeds">
        <a class="button" href={`/connect/repository?project=${project.id}`} onClick={onClose}>Where does it go?</a>
        <button type="button" class="button main" onClick={onClose}>I have copied it</button>
      </div>
    </Dialog>
  );
}

function GiveToken({ project, onClose }: { project: Project; onClose: () => void }) {
  const give = useWrite(async (token: string, username: string) => {
    const body = { token, ...(username && { username }) };
    await need(api.PUT('/api/v1/projects/{project_id}/provider-token', { params: { path: { project_id: project.id } }, body }));
    return true;
  });
  const submit = async (fields: FormData) => {
    if (!(await give.run(typed(fields, 'token'), typed(fields, 'username')))) return;
    toast(`${project.name} has a token; its repository is being read.`);
    onClose();
  };
  return (
    <Dialog title={`A provider token for ${project.name}`} onClose={onClose}>
      <Form deed="Save" problem={give.problem} isRunning={give.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <p class="settings-lead">
          By it a private repository is read, and deliveries that were lost are asked for. It needs no more than to read the
          repository and, on GitHub, its webhooks. It is stored sealed, never shown again, and takes the place of the one before.
        </p>
        <Field label="Token" name="token" type="password" isRequired autoFocus hint={`As ${new URL(project.repoUrl, location.href).host} showed it.`} />
        <Field label="User name" name="username" hint="Optional. Leave it empty where only the token counts." />
      </Form>
    </Dialog>
  );
}

function Delete({ project, onClose }: { project: Project; onClose: () => void }) {
  const [name, setName] = useState('');
  const remove = useWrite(async () => {
    await need(api.DELETE('/api/v1/projects/{project_id}', { params: { path: { project_id: project.id } } }));
    await readProjects();
    return true;
  });
  const isMeant = name.trim() === project.name;
  const submit = async () => {
    if (!isMeant || !(await remove.run())) return;
    toast(`${project.name} is deleted.`);
    onClose();
  };
  return (
    <Dialog title={`Delete ${project.name}?`} onClose={onClose}>
      <Form deed={isMeant ? 'Delete it for good' : 'Type its name first'} problem={remove.problem} isRunning={remove.isRunning || !isMeant} isDangerous
        onSubmit={() => void submit()} onCancel={onClose}>
        <p class="settings-lead">Its events, documents, work and deliveries go with it, and its webhook is refused from now on. This cannot be undone.</p>
        <div class="field">
          <label for="delete-name">Type <strong>{project.name}</strong> to delete it</label>
          <input class="input" id="delete-name" value={name} autoComplete="off" onInput={(event) => setName(event.currentTarget.value)} />
        </div>
      </Form>
    </Dialog>
  );
}
