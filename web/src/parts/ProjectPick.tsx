/** Which projects something is for: all of them, or those that are ticked. */
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { projects, shortRepository } from '../api/projects';
import { count } from './Badge';

/** Beyond so many there is a filter. */
const MANY = 8;
/** So many are listed; the filter finds the others. */
const LISTED = 200;

interface PickProps {
  legend: string;
  hint?: ComponentChildren;
  /** Nothing means all. */
  chosen: readonly string[] | undefined;
  onChoose: (chosen: string[] | undefined) => void;
  /** What the choice of all of them says. */
  all?: string;
  /** Beside a project that is ticked. */
  beside?: (projectId: string) => ComponentChildren;
}

export function ProjectPick({ legend, hint, chosen, onChoose, all = 'All projects, those to come too', beside }: PickProps) {
  const id = useId();
  const [query, setQuery] = useState('');
  const known = projects.value ?? [];
  const words = query.toLowerCase();
  const shown = known.filter(({ name, repoUrl }) => `${name} ${repoUrl}`.toLowerCase().includes(words));
  const turn = (project: string, isOn: boolean) =>
    onChoose(isOn ? [...(chosen ?? []), project] : (chosen ?? []).filter((it) => it !== project));
  return (
    <fieldset class="choices">
      <legend>{legend}</legend>
      {hint && <p class="hint">{hint}</p>}
      <div class="pick-which">
        <label>
          <input type="radio" name={id} checked={!chosen} onChange={() => onChoose(undefined)} /> {all}
        </label>
        <label>
          <input type="radio" name={id} checked={Boolean(chosen)} onChange={() => onChoose(chosen ? [...chosen] : [])} /> Only these
        </label>
      </div>
      {chosen && (
        <>
          {known.length > MANY && (
            <input class="input pick-filter" type="search" placeholder="Filter" aria-label="Filter projects" value={query}
              onInput={(event) => setQuery(event.currentTarget.value)} />
          )}
          <ul class="pick-list">
            {shown.slice(0, LISTED).map((project) => (
              <li key={project.id}>
                <label>
                  <input type="checkbox" checked={chosen.includes(project.id)} onChange={(event) => turn(project.id, event.currentTarget.checked)} />
                  <span class="cut">{project.name}</span>
                  <span class="faint small cut">{shortRepository(project.repoUrl)}</span>
                </label>
                {chosen.includes(project.id) && beside?.(project.id)}
              </li>
            ))}
            {shown.length > LISTED && <li class="faint small">{count(shown.length - LISTED, 'more project')}: type a part of its name.</li>}
            {shown.length === 0 && <li class="faint small pick-none">{known.length === 0 ? 'There are no projects yet.' : 'No project has that in its name.'}</li>}
          </ul>
        </>
      )}
    </fieldset>
  );
}
