/** The portfolio: every project at a glance, those that need somebody first. */
import { useState } from 'preact/hooks';
import { FolderGit2, Plus } from 'lucide-preact';
import { may } from '../../api/scopes';
import { projects, projectsProblem, readProjects } from '../../api/projects';
import { EmptyState, Loading, ProblemNote, ViewHead, count } from '../../parts';
import { useTitle } from '../../shell/title';
import { Card } from './Card';
import { CreateProject } from './CreateProject';
import './projects.css';

export default function Projects() {
  useTitle('Projects');
  const [isCreating, setCreating] = useState(false);
  const [query, setQuery] = useState('');
  const all = projects.value;
  const problem = projectsProblem.value;
  const words = query.toLowerCase();
  const shown = all?.filter(({ name, repoUrl }) => `${name} ${repoUrl}`.toLowerCase().includes(words)) ?? [];
  const create = may('projects.write') && (
    <button type="button" class="button main" onClick={() => setCreating(true)}>
      <Plus size={16} aria-hidden="true" />
      Create a project
    </button>
  );
  return (
    <>
      <ViewHead title="Projects" about={all && all.length > 0 ? `${count(all.length, 'project')}, live` : undefined}>
        {all && all.length > 6 && (
          <input class="input filter" type="search" placeholder="Filter" aria-label="Filter projects" value={query}
            onInput={(event) => setQuery(event.currentTarget.value)} />
        )}
        {all && all.length > 0 && create}
      </ViewHead>
      {problem && <ProblemNote problem={problem} retry={() => void readProjects()} />}
      {!all && !problem && <Loading what="Loading projects" />}
      {all?.length === 0 && (
        <EmptyState icon={FolderGit2} title="No projects yet" deed={create}>
          A project follows one repository: its pushes, documents, agents and checks. Create one, then point the
          repository's webhook at it.
        </EmptyState>
      )}
      {all && all.length > 0 && shown.length === 0 && <EmptyState title="No project has that in its name or address" />}
      <ul class="cards">
        {shown.map((project) => (
          <li key={project.id}>
            <Card project={project} />
          </li>
        ))}
      </ul>
      {isCreating && <CreateProject onClose={() => setCreating(false)} />}
    </>
  );
}
