/** Connecting a repository: a project, a webhook at its Git host, and the first delivery seen to arrive. */
import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { api, need } from '../../api/client';
import { projects, type Project } from '../../api/projects';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import { Loading, ViewHead } from '../../parts';
import { useTitle } from '../../shell/title';
import { FirstDelivery } from './FirstDelivery';
import { ProjectChoice } from './ProjectChoice';
import { Part, Pick } from './Steps';
import { WebhookSteps } from './WebhookSteps';
import { hosts, likelyHost, type Host } from './hosts';
import './connect.css';

const PATH = '/connect/repository';

export default function ConnectRepository() {
  useTitle('Connect a repository');
  const { query, route } = useLocation();
  const id = query['project'] ?? '';
  const project = projects.value?.find((each) => each.id === id);
  /** The secret of a project that was just made, or whose secret was: it is in no other place than here. */
  const [secret, setSecret] = useState<{ projectId: string; text: string }>();
  const known = secret?.projectId === id ? secret.text : undefined;
  const go = (projectId: string) => route(projectId ? `${PATH}?project=${projectId}` : PATH);
  const isChosen = Boolean(project);
  return (
    <div class="connect">
      <ViewHead title="Connect a repository" about="The Git host tells Trackside what happens: choose a project, add a webhook, and see its first delivery arrive." />
      {!projects.value ? (
        <Loading what="Loading projects" />
      ) : (
        <div class="connect-all">
          <div class="connect-parts">
            <Part number={1} title={project ? project.name : 'Which project?'} isDone={isChosen}
              deed={project && <button type="button" class="button" onClick={() => go('')}>Another project</button>}>
              {project ? (
                <p class="faint connect-repo">{project.repoUrl}</p>
              ) : (
                <ProjectChoice isMissing={id !== ''} wantsNew={'new' in query} onChoose={go} onMade={(made) => {
                  setSecret({ projectId: made.id, text: made.webhookSecret });
                  go(made.id);
                }} />
              )}
            </Part>
            {project ? (
              <Webhook key={project.id} project={project} secret={known} onSecret={(text) => setSecret({ projectId: project.id, text })} />
            ) : (
              <Part number={2} title="Add a webhook at the Git host" isAhead />
            )}
          </div>
          <aside class="connect-side" aria-label="What comes of it">
            {project ? <FirstDelivery key={project.id} project={project} /> : <About />}
          </aside>
        </div>
      )}
    </div>
  );
}

function Webhook({ project, secret, onSecret }: { project: Project; secret: string | undefined; onSecret: (secret: string) => void }) {
  const [chosen, choose] = useState<Host>();
  const likely = likelyHost(project.repoUrl);
  // An address that does not tell: whoever has sent something is the one.
  const last = useResource(likely || chosen ? '' : `host/${project.id}`, async (signal) => {
    const params = { path: { project_id: project.id }, query: { limit: 1 } };
    const { items } = await need(api.GET('/api/v1/projects/{project_id}/deliveries', { params, signal }));
    return items[0]?.source ?? null;
  });
  const id = chosen ?? likely ?? last.value ?? 'github';
  const guide = hosts.find((each) => each.id === id);
  return (
    <Part number={2} title="Add a webhook at the Git host">
      <div class="stack">
        <Pick label="Git host" of={hosts} value={id} onPick={(next) => choose(next as Host)} />
        {guide && <WebhookSteps key={guide.id} project={project} guide={guide} secret={secret} onSecret={onSecret} />}
      </div>
    </Part>
  );
}

function About() {
  return (
    <section class="sheet padded connect-powers">
      <h2>What it brings</h2>
      <ul>
        <li>pushes, pull requests, issues and releases in the project’s timeline</li>
        <li>documents and stories, read from the repository as they change</li>
        <li>runs of CI, with gates that follow them</li>
      </ul>
      <p class="faint small">
        Each delivery is signed with the project’s own secret; what is not is refused.{' '}
        {!may('projects.write') && 'Making a project takes an owner or admin.'}
      </p>
    </section>
  );
}
