/** Creating a project, and the one moment in which its webhook secret is shown. */
import { useLocation } from 'preact-iso';
import { useMemo, useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { readProjects } from '../../api/projects';
import { idempotencyKey, useWrite } from '../../api/write';
import { CopyBox, Dialog, Field, Form, typed } from '../../parts';
import { projectHome } from '../../views';

type Created = Schema<'CreatedProject'>;

const HOSTS: Record<string, string> = { github: 'GitHub', gitlab: 'GitLab', bitbucket: 'Bitbucket', gitea: 'Gitea', forgejo: 'Forgejo' };

export function CreateProject({ onClose }: { onClose: () => void }) {
  const [made, setMade] = useState<Created>();
  const create = useWrite((name: string, repoUrl: string) =>
    need(api.POST('/api/v1/projects', { body: { name, repoUrl }, headers: { 'Idempotency-Key': key(name + repoUrl) } })),
  );
  // The same words are the same wish: sent twice over a bad line they make one project.
  const keys = useMemo(() => new Map<string, string>(), []);
  const key = (wish: string) => keys.get(wish) ?? (keys.set(wish, idempotencyKey()), keys.get(wish) ?? '');
  if (made) return <Secret of={made} onClose={onClose} />;
  const submit = async (fields: FormData) => {
    const project = await create.run(typed(fields, 'name'), typed(fields, 'repoUrl'));
    if (!project) return;
    setMade(project);
    void readProjects();
  };
  return (
    <Dialog title="Create a project" onClose={onClose}>
      <Form deed="Create" problem={create.problem} isRunning={create.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <Field label="Name" name="name" isRequired autoFocus hint="What people and agents call it." />
        <Field label="Repository" name="repoUrl" type="url" isRequired placeholder="https://github.com/your-org/your-repo"
          hint="The address that git clones from." />
      </Form>
    </Dialog>
  );
}

function Secret({ of, onClose }: { of: Created; onClose: () => void }) {
  const { route } = useLocation();
  const hosts = Object.entries(of.webhookUrls as Record<string, string>);
  const likely = hosts.find(([host]) => of.repoUrl.toLowerCase().includes(host)) ?? hosts[0];
  const [host, setHost] = useState(likely?.[0] ?? '');
  const url = hosts.find(([name]) => name === host)?.[1] ?? '';
  const go = () => {
    onClose();
    route(projectHome(of.id));
  };
  return (
    <Dialog title={`${of.name} is there`} onClose={onClose} isSticky>
      <div class="stack">
        <p>Now let the repository tell it what happens. Add a webhook with these two values.</p>
        <div class="secret">
          <div class="row">
            <h3>Address for</h3>
            <select class="select input" aria-label="Git host" value={host} onChange={(event) => setHost(event.currentTarget.value)}>
              {hosts.map(([name]) => (
                <option key={name} value={name}>{HOSTS[name] ?? name}</option>
              ))}
            </select>
          </div>
          <CopyBox text={url} label="Address" />
        </div>
        <div class="secret">
          <h3>Secret</h3>
          <CopyBox text={of.webhookSecret} label="Secret" />
          <p class="faint small">It is shown this once. Should it be lost, a new one can be made.</p>
        </div>
      </div>
      <div class="form-deeds">
        <button type="button" class="button" onClick={onClose}>I have copied both</button>
        <button type="button" class="button main" onClick={go}>Open the project</button>
      </div>
    </Dialog>
  );
}
