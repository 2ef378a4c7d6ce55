/** The portfolio: every project at a glance, those that need somebody first. */
import { useState } from 'preact/hooks';
import { Plus } from 'lucide-preact';
import { may } from '../../api/scopes';
import { projects, projectsProblem, readProjects } from '../../api/projects';
import { EmptyState, Loading, ProblemNote, ViewHead, count } from '../../parts';
import { useTitle } from '../../shell/title';
import { Card } from './Card';
import { FirstRun } from './FirstRun';
import './projects.css';

export default function Projects() {
  useTitle('Projects');
  const [query, setQuery] = useState('');
  const all = projects.value;
  const problem = projectsProblem.value;
  const words = query.toLowerCase();
  const shown = all?.filter(({ name, repoUrl }) => `${name} ${repoUrl}`.toLowerCase().includes(words)) ?? [];
  const create = may('projects.write') && (
    <a class="button main" href="/connect/repository?new">
      <Plus size={16} aria-hidden="true" />
      Create a project
    </a>
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
      {all?.length === 0 && <FirstRun />}
      {all && all.length > 0 && shown.length === 0 && <EmptyState title="No project has that in its name or address" />}
      <ul class="cards">
        {shown.map((project) => (
          <li key={project.id}>
            <Card project={project} />
          </li>
        ))}
      </ul>
    </>
  );
}
