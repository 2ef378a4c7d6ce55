/** What to do where there is nothing yet. */
import { useState } from 'preact/hooks';
import { Bot, FolderGit2, Sparkles } from 'lucide-preact';
import { api, need } from '../../api/client';
import { Problem } from '../../api/problem';
import { readProjects } from '../../api/projects';
import { may } from '../../api/scopes';
import { idempotencyKey, useWrite } from '../../api/write';
import { ProblemNote, toast } from '../../parts';

export function FirstRun() {
  const mayCreate = may('projects.write');
  return (
    <div class="first">
      <div class="first-words">
        <h2>Nothing here yet. How would you like to begin?</h2>
        <p class="faint">A project follows one repository: its pushes, documents, checks, and the people and agents at work on it.</p>
      </div>
      <ul class="first-ways">
        {mayCreate && (
          <li class="sheet padded">
            <FolderGit2 size={24} aria-hidden="true" />
            <h3>Connect a repository</h3>
            <p class="faint">Make a project and point the repository’s webhook at it. It takes two minutes.</p>
            <a class="button main" href="/connect/repository">Connect a repository</a>
          </li>
        )}
        {may('keys.write') && (
          <li class="sheet padded">
            <Bot size={24} aria-hidden="true" />
            <h3>Connect an agent</h3>
            <p class="faint">Give Claude Code, Cursor, VS Code or Codex a key of its own, and see its first call.</p>
            <a class="button" href="/connect/agent">Connect an agent</a>
          </li>
        )}
        {mayCreate && <Demo />}
      </ul>
      {!mayCreate && <p class="first-words">Making a project takes an owner or admin. Ask one of them to connect a repository.</p>}
    </div>
  );
}

/** If it is there already, what is wanted is so. */
async function loadDemo(key: string): Promise<void> {
  const loaded = api.POST('/api/v1/demo-data', { params: { header: { 'Idempotency-Key': key } }, body: {} });
  try {
    await need(loaded);
  } catch (thrown) {
    const problem = Problem.from(thrown);
    if (problem.status !== 409) throw problem;
  }
}

function Demo() {
  const [isGone, setGone] = useState(false);
  const [key] = useState(idempotencyKey);
  const load = useWrite(async () => {
    try {
      await loadDemo(key);
    } catch (thrown) {
      const problem = Problem.from(thrown);
      if (!problem.isForbidden) throw problem;
      setGone(true);
      toast('Loading demo data takes an owner or admin.', 'bad');
      return;
    }
    toast('The demo data is being loaded: projects, documents and agents at work.');
    await readProjects();
  });
  if (isGone) return null;
  return (
    <li class="sheet padded">
      <Sparkles size={24} aria-hidden="true" />
      <h3>Look around first</h3>
      <p class="faint">Sample projects in which agents are at work, live. Delete the projects to be rid of it.</p>
      <button type="button" class="button" aria-disabled={load.isRunning} onClick={() => void load.run()}>
        {load.isRunning ? 'Loading…' : 'Load demo data'}
      </button>
      {load.problem && <ProblemNote problem={load.problem} />}
    </li>
  );
}
