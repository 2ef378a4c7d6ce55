/** What has to be done before an item. */
import { CircleCheck, CircleDashed, X } from 'lucide-preact';
import type { Project } from '../../api/projects';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import { ProblemNote } from '../../parts';
import { patchItem } from './EditItem';
import type { Item } from './items';

interface WaitsProps {
  project: Project;
  item: Item;
  items: ReadonlyMap<string, Item>;
  hrefOf: (id: string) => string;
  onPut: (item: Item) => void;
}

export function WaitsFor({ project, item, items, hrefOf, onPut }: WaitsProps) {
  const blockers = item.blockedBy;
  const ids = blockers?.map(({ id }) => id) ?? [];
  const save = useWrite((blockedBy: string[]) => patchItem(project.id, item, { blockedBy }));
  const set = async (next: string[]) => {
    const saved = await save.run(next);
    if (saved) onPut(saved);
  };
  const others = [...items.values()].filter(({ id, lane }) => lane !== 'done' && id !== item.id && !ids.includes(id));
  others.sort((one, other) => one.title.localeCompare(other.title));
  const mayWrite = may('work.write') && item.lane !== 'done' && blockers;
  if (item.lane === 'done' && ids.length === 0) return null;
  return (
    <section>
      <h3>Waits for</h3>
      {blockers && ids.length === 0 && <p class="faint small">Nothing: it can be begun at any time.</p>}
      <ul class="item-waits">
        {blockers?.map(({ id, title, done }) => (
          <li key={id}>
            {done ? <CircleCheck size={15} aria-hidden="true" data-tone="good" /> : <CircleDashed size={15} aria-hidden="true" data-tone="warn" />}
            <a href={hrefOf(id)}>{title}</a>
            <span class="faint small">{done ? 'done' : 'not done'}</span>
            {mayWrite && (
              <button type="button" class="button bare square" aria-label={`Do not wait for “${title}”`} title="Do not wait for it"
                onClick={() => void set(ids.filter((each) => each !== id))}>
                <X size={14} aria-hidden="true" />
              </button>
            )}
          </li>
        ))}
      </ul>
      {save.problem && <ProblemNote problem={save.problem} />}
      {mayWrite && others.length > 0 && (
        <select class="select item-add" aria-label="Wait for another item" value="" disabled={save.isRunning}
          onChange={(event) => {
            const id = event.currentTarget.value;
            event.currentTarget.value = '';
            if (id) void set([...ids, id]);
          }}>
          <option value="">Wait for another item…</option>
          {others.map(({ id, title }) => <option key={id} value={id}>{title}</option>)}
        </select>
      )}
    </section>
  );
}
