/** Editing what an item says. Only what was changed is sent, so that what others change beside it stays theirs. */
import { useState } from 'preact/hooks';
import { api, needTagged, type Schema } from '../../api/client';
import { Problem } from '../../api/problem';
import type { Project } from '../../api/projects';
import { useWrite } from '../../api/write';
import { Field, Form, toast, typed } from '../../parts';
import { PRIORITIES, laneTitle, lanesOf, type Item, type Priority } from './items';
import { readItem } from './store';

type Patch = Schema<'WorkItemPatch'>;

/** Sends a change of an item, as it was known. */
export async function patchItem(projectId: string, { id, version }: Item, body: Patch): Promise<Item> {
  const params = { path: { project_id: projectId, work_item_id: id }, header: { 'If-Match': `"${version}"` } };
  const { value } = await needTagged(api.PATCH('/api/v1/projects/{project_id}/work-items/{work_item_id}', { params, body }));
  return value;
}

/** What a form has that the item has not. */
function changesOf(item: Item, fields: FormData): Patch {
  const [title, description, role] = [typed(fields, 'title'), typed(fields, 'description'), typed(fields, 'role').toLowerCase()];
  const [priority, lane] = [typed(fields, 'priority') as Priority, typed(fields, 'lane')];
  return {
    ...(title !== item.title && { title }),
    ...(description !== (item.description ?? '').trim() && { description: description || null }),
    ...(role !== (item.role ?? '') && { role: role || null }),
    ...(priority !== item.priority && { priority }),
    ...(lane !== item.lane && { lane }),
  };
}

/** Whether somebody else has meanwhile changed what is to be changed. */
const clash = (patch: Patch, before: Item, now: Item): boolean =>
  (Object.keys(patch) as (keyof Item & keyof Patch)[]).some((field) => (before[field] ?? null) !== (now[field] ?? null));

interface EditProps {
  project: Project;
  item: Item;
  onPut: (item: Item) => void;
  onDone: () => void;
}

export function EditItem({ project, item, onPut, onDone }: EditProps) {
  // What the form was opened with: it stays as it is while the item changes behind it. What differs from it is a change.
  const [opened] = useState(item);
  /** What the changes are made to. */
  const [base, setBase] = useState(item);
  const save = useWrite(async (fields: FormData) => {
    const patch = changesOf(opened, fields);
    if (Object.keys(patch).length === 0) return base;
    try {
      return await patchItem(project.id, base, patch);
    } catch (thrown) {
      if (Problem.from(thrown).code !== 'precondition_failed') throw thrown;
      const { value: now } = await readItem(project.id, item.id);
      setBase(now);
      onPut(now);
      if (clash(patch, base, now)) throw thrown;
      return patchItem(project.id, now, patch);
    }
  });
  const submit = async (fields: FormData) => {
    const saved = await save.run(fields);
    if (!saved) return;
    onPut(saved);
    toast('Saved.');
    onDone();
  };
  const isClash = save.problem?.code === 'precondition_failed';
  const holder = item.claim?.holderName;
  return (
    <div class="item-ask">
      <Form deed="Save" problem={isClash ? undefined : save.problem} isRunning={save.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onDone}>
        {isClash && (
          <p class="item-clash" role="status">
            Somebody else changed the same just now: it is called “{base.title}” and has {base.priority} priority in {laneTitle(base.lane)}. Save
            again to put yours in its place.
          </p>
        )}
        <Field label="Title" name="title" value={opened.title} isRequired autoFocus />
        <Field label="Description" name="description" value={opened.description ?? ''} isLong />
        <div class="board-fields">
          <Field label="Lane" name="lane" value={opened.lane} hint={holder && `Another lane takes it away from ${holder}.`}
            options={lanesOf(project).map(({ name }) => ({ value: name, label: laneTitle(name) }))} />
          <Field label="Priority" name="priority" value={opened.priority} options={PRIORITIES} />
          <Field label="Role" name="role" value={opened.role ?? ''} hint={holder && 'Empty for any.'} placeholder="any" />
        </div>
      </Form>
    </div>
  );
}
