/** What was said about an item, newest first, and saying something. */
import { useState } from 'preact/hooks';
import { api, need } from '../../api/client';
import type { Project } from '../../api/projects';
import { usePages } from '../../api/resource';
import { may } from '../../api/scopes';
import { idempotencyKey, useWrite } from '../../api/write';
import { useLive } from '../../live/useLive';
import { Field, Form, ProblemNote, Time, typed } from '../../parts';
import { isAbout } from './ItemDialog';
import type { Item } from './items';

const PAGE_ROWS = 30;

export function Comments({ project, item }: { project: Project; item: Item }) {
  const path = { project_id: project.id, work_item_id: item.id };
  const comments = usePages(`comments/${item.id}`, (cursor, signal) =>
    need(api.GET('/api/v1/projects/{project_id}/work-items/{work_item_id}/comments', { params: { path, query: { limit: PAGE_ROWS, cursor } }, signal })),
  );
  useLive(project.id, ['work_item_changed'], comments.refresh, { apply: (event) => void (isAbout(event, item.id) && comments.refresh()) });
  // Each comment has a form and a key of its own: sent twice over a bad line it is said once.
  const [key, setKey] = useState(idempotencyKey);
  const say = useWrite((text: string) =>
    need(api.POST('/api/v1/projects/{project_id}/work-items/{work_item_id}/comments', { params: { path, header: { 'Idempotency-Key': key } }, body: { text } })),
  );
  const submit = async (fields: FormData) => {
    if (!(await say.run(typed(fields, 'text')))) return setKey(idempotencyKey());
    setKey(idempotencyKey());
    await comments.refresh();
  };
  return (
    <section class="item-comments">
      <h3>Comments</h3>
      {may('work.write') && (
        <Form key={say.problem ? 'again' : key} deed="Comment" problem={say.problem} isRunning={say.isRunning} onSubmit={(fields) => void submit(fields)}>
          <Field label="Say something" name="text" isLong isRequired placeholder="Say something, to people and agents" />
        </Form>
      )}
      {comments.problem && <ProblemNote problem={comments.problem} retry={() => void comments.refresh()} />}
      {!comments.isLoading && comments.items.length === 0 && !comments.problem && <p class="faint">Nobody has said anything yet.</p>}
      <ul class="item-said">
        {comments.items.map(({ id, authorName, createdAt, text }) => (
          <li key={id}>
            <p class="small"><strong>{authorName}</strong> <span class="faint"><Time at={createdAt} /></span></p>
            <p class="item-text">{text}</p>
          </li>
        ))}
      </ul>
      {comments.hasMore && (
        <button type="button" class="button bare" aria-disabled={comments.isLoadingMore} onClick={() => void comments.more()}>Older comments</button>
      )}
    </section>
  );
}
