/** A new work item. */
import { useMemo } from 'preact/hooks';
import { api, need } from '../../api/client';
import type { Project } from '../../api/projects';
import { idempotencyKey, useWrite } from '../../api/write';
import { Dialog, Field, Form, toast, typed } from '../../parts';
import { PRIORITIES, laneTitle, lanesOf, type Item, type Priority } from './items';

interface CreateProps {
  project: Project;
  lane: string;
  onMade: (item: Item) => void;
  onClose: () => void;
}

export function CreateItem({ project, lane, onMade, onClose }: CreateProps) {
  // The same words are the same wish: sent twice over a bad line they make one item.
  const keys = useMemo(() => new Map<string, string>(), []);
  const create = useWrite((fields: FormData) => {
    const [description, role] = [typed(fields, 'description'), typed(fields, 'role')];
    const body = {
      title: typed(fields, 'title'),
      lane: typed(fields, 'lane'),
      priority: typed(fields, 'priority') as Priority,
      ...(description && { description }),
      ...(role && { role }),
    };
    const wish = JSON.stringify(body);
    const key = keys.get(wish) ?? idempotencyKey();
    keys.set(wish, key);
    const params = { path: { project_id: project.id }, header: { 'Idempotency-Key': key } };
    return need(api.POST('/api/v1/projects/{project_id}/work-items', { params, body }));
  });
  const submit = async (fields: FormData) => {
    const made = await create.run(fields);
    if (!made) return;
    onMade(made);
    toast(`“${made.title}” is in ${laneTitle(made.lane)}.`);
    onClose();
  };
  return (
    <Dialog title="New item" onClose={onClose}>
      <Form deed="Create" problem={create.problem} isRunning={create.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <Field label="Title" name="title" isRequired autoFocus hint="What is to be done, on one line." />
        <Field label="Description" name="description" isLong />
        <div class="board-fields">
          <Field label="Lane" name="lane" value={lane} options={lanesOf(project).map(({ name }) => ({ value: name, label: laneTitle(name) }))} />
          <Field label="Priority" name="priority" value="normal" options={PRIORITIES} />
        </div>
        <Field label="Role" name="role" hint="Which agents it is for; any if it is empty." />
      </Form>
    </Dialog>
  );
}
