/** Which project a repository is connected to: one that is there, or a new one. */
import { useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { projects, readProjects, shortRepository } from '../../api/projects';
import { may } from '../../api/scopes';
import { useWishes, useWrite } from '../../api/write';
import { Field, Form, count, typed } from '../../parts';

/** Beyond so many there is a filter. */
const MANY = 6;
/** So many are listed; the filter finds the others. */
const LISTED = 200;

interface Props {
  /** The address names a project that is not there. */
  isMissing: boolean;
  /** Somebody came to make a new one. */
  wantsNew: boolean;
  onChoose: (projectId: string) => void;
  onMade: (made: Schema<'CreatedProject'>) => void;
}

export function ProjectChoice({ isMissing, wantsNew, onChoose, onMade }: Props) {
  const all = projects.value ?? [];
  const mayMake = may('projects.write');
  const [isNew, setNew] = useState(all.length === 0 || wantsNew);
  return (
    <div class="stack">
      {isMissing && <p class="connect-warn">The project of this address is gone, or it is not shown to you.</p>}
      {all.length > 0 && mayMake && (
        <div class="chips connect-pick" role="group" aria-label="Project">
          <button type="button" class="chip" aria-pressed={isNew} onClick={() => setNew(true)}>A new project</button>
          <button type="button" class="chip" aria-pressed={!isNew} onClick={() => setNew(false)}>One that is there</button>
        </div>
      )}
      {mayMake && isNew ? <NewProject onMade={onMade} /> : <Known onChoose={onChoose} />}
    </div>
  );
}

function Known({ onChoose }: { onChoose: (projectId: string) => void }) {
  const [query, setQuery] = useState('');
  const all = projects.value ?? [];
  const words = query.toLowerCase();
  const shown = all.filter(({ name, repoUrl }) => `${name} ${repoUrl}`.toLowerCase().includes(words));
  if (all.length === 0) return <p>There is no project yet, and making one takes an owner or admin.</p>;
  return (
    <div>
      {all.length > MANY && (
        <input class="input pick-filter" type="search" placeholder="Filter" aria-label="Filter projects" value={query}
          onInput={(event) => setQuery(event.currentTarget.value)} />
      )}
      <ul class="pick-list connect-known">
        {shown.slice(0, LISTED).map((project) => (
          <li key={project.id}>
            <button type="button" onClick={() => onChoose(project.id)}>
              <strong class="cut">{project.name}</strong>
              <span class="faint small cut">{shortRepository(project.repoUrl)}</span>
            </button>
          </li>
        ))}
        {shown.length > LISTED && <li class="faint small">{count(shown.length - LISTED, 'more project')}: type a part of its name.</li>}
        {shown.length === 0 && <li class="faint small">No project has that in its name or address.</li>}
      </ul>
    </div>
  );
}

function NewProject({ onMade }: { onMade: (made: Schema<'CreatedProject'>) => void }) {
  const wish = useWishes();
  const create = useWrite(async (body: Schema<'NewProject'>) => {
    const made = await need(api.POST('/api/v1/projects', { body, headers: { 'Idempotency-Key': wish(body) } }));
    await readProjects();
    return made;
  });
  const submit = async (fields: FormData) => {
    const made = await create.run({ name: typed(fields, 'name'), repoUrl: typed(fields, 'repoUrl') });
    if (made) onMade(made);
  };
  return (
    <Form deed="Create the project" problem={create.problem} isRunning={create.isRunning} onSubmit={(fields) => void submit(fields)}>
      <Field label="Name" name="name" isRequired autoFocus placeholder="Rocket" hint="What people and agents call it." />
      <Field label="Repository" name="repoUrl" type="url" isRequired placeholder="https://github.com/your-org/your-repo"
        hint="The address that git clones from, without a password." />
    </Form>
  );
}
