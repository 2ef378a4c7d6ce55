/** How far somebody reaches: all projects, or some, with a level in each. */
import { ProjectPick } from '../../parts';
import { projects } from '../../api/projects';
import { LEVELS, reachOver, type Level, type Reach } from './roles';

interface Props {
  reach: Reach | undefined;
  onChange: (reach: Reach | undefined) => void;
}

export function ReachPick({ reach, onChange }: Props) {
  const nameOf = (id: string) => projects.value?.find((project) => project.id === id)?.name ?? 'project';
  return (
    <ProjectPick legend="Projects" chosen={reach && Object.keys(reach)} onChoose={(ids) => onChange(ids && reachOver(ids, reach))}
      beside={(id) => (
        <select class="select input" aria-label={`In ${nameOf(id)}`} value={reach?.[id]}
          onChange={(event) => onChange({ ...reach, [id]: event.currentTarget.value as Level })}>
          {LEVELS.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
        </select>
      )} />
  );
}
