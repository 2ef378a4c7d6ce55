/** One work item, opened: all that is known of it, live, and what can be done with it. */
import { useState } from 'preact/hooks';
import { Pencil, Trash2 } from 'lucide-preact';
import { api, need } from '../../api/client';
import type { Problem } from '../../api/problem';
import type { Project } from '../../api/projects';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import type { Event } from '../../live/socket';
import { useLive, type EventName } from '../../live/useLive';
import { Badge, Dialog, EmptyState, Menu, ProblemNote, Shown, Time, toast } from '../../parts';
import { ClaimPanel } from './ClaimPanel';
import { Comments } from './Comments';
import { DocumentLink } from './DocumentLink';
import { EditItem } from './EditItem';
import { ItemGates } from './ItemGates';
import { WaitsFor } from './WaitsFor';
import { PRIORITIES, laneTitle, lanesOf, type Item } from './items';
import { readItem } from './store';
import './item.css';

interface ItemDialogProps {
  project: Project;
  id: string;
  /** The other items of the board. */
  items: ReadonlyMap<string, Item>;
  /** Why the last move was refused. */
  refusal: Problem | undefined;
  hrefOf: (id: string) => string;
  onMove: (item: Item, lane: string) => void;
  onPut: (item: Item) => void;
  onGone: (id: string) => void;
  onClose: () => void;
}

const NAMES: EventName[] = ['work_item_changed', 'work_claimed', 'work_released', 'agent_status_changed'];

/** Whether an event is about this item. */
export const isAbout = ({ payload }: Event, id: string): boolean =>
  typeof payload === 'object' && payload !== null && (payload as Record<string, unknown>)['workItemId'] === id;

export function ItemDialog({ project, id, items, refusal, hrefOf, onMove, onPut, onGone, onClose }: ItemDialogProps) {
  const item = useResource(`work-item/${id}`, async (signal) => {
    const { value } = await readItem(project.id, id, signal);
    onPut(value);
    return value;
  });
  useLive(project.id, NAMES, item.refresh, { apply: (event) => void (isAbout(event, id) && item.refresh()) });
  const [doing, setDoing] = useState<'edit' | 'delete'>();
  const known = item.value ?? items.get(id);
  const put = (changed: Item) => {
    item.set(() => changed);
    onPut(changed);
  };
  const isGone = item.problem?.isMissing || item.problem?.status === 400;
  return (
    <Dialog title={known?.title ?? 'Work item'} onClose={onClose} isWide>
      {isGone ? (
        <EmptyState title="This item is not there" deed={<button type="button" class="button main" onClick={onClose}>Back to the board</button>}>
          It may have been deleted meanwhile, or the address is not complete.
        </EmptyState>
      ) : (
        <Shown of={{ ...item, value: known }} what="Reading the item">
          {(value) => (
            <>
              {may('work.write') && !doing && <Deeds item={value} project={project} onMove={onMove} onDo={setDoing} />}
              {refusal && <div class="item-refusal"><ProblemNote problem={refusal} /></div>}
              {doing === 'edit' && <EditItem project={project} item={value} onDone={() => setDoing(undefined)} onPut={put} />}
              {doing === 'delete' && (
                <Delete project={project} item={value} onCancel={() => setDoing(undefined)}
                  onDone={() => {
                    onGone(id);
                    onClose();
                  }} />
              )}
              <Parts project={project} item={value} items={items} hrefOf={hrefOf} onPut={put} isEditing={doing === 'edit'} />
            </>
          )}
        </Shown>
      )}
    </Dialog>
  );
}

interface DeedsProps {
  project: Project;
  item: Item;
  onMove: (item: Item, lane: string) => void;
  onDo: (what: 'edit' | 'delete') => void;
}

function Deeds({ project, item, onMove, onDo }: DeedsProps) {
  const priority = PRIORITIES.find(({ value }) => value === item.priority);
  return (
    <div class="item-deeds">
      <Menu isFloating class="button" label={`Lane: ${laneTitle(item.lane)}. Move to…`} button={<>{laneTitle(item.lane)} <span class="faint">· Move to…</span></>}
        items={lanesOf(project).map(({ name }) => ({
          key: name, label: laneTitle(name), isCurrent: name === item.lane, isDisabled: name === item.lane, run: () => onMove(item, name),
        }))} />
      {priority && <Badge tone={priority.tone}>{priority.label} priority</Badge>}
      {item.role && <Badge>For {item.role}</Badge>}
      <span class="item-space" />
      <button type="button" class="button" onClick={() => onDo('edit')}>
        <Pencil size={15} aria-hidden="true" />
        Edit
      </button>
      <button type="button" class="button danger" onClick={() => onDo('delete')}>
        <Trash2 size={15} aria-hidden="true" />
        Delete
      </button>
    </div>
  );
}

interface PartsProps {
  project: Project;
  item: Item;
  items: ReadonlyMap<string, Item>;
  hrefOf: (id: string) => string;
  onPut: (item: Item) => void;
  isEditing: boolean;
}

function Parts({ project, item, items, hrefOf, onPut, isEditing }: PartsProps) {
  return (
    <div class="item">
      <div class="item-main">
        {!isEditing && (
          <section aria-label="Description">
            {item.description ? <p class="item-text">{item.description}</p> : <p class="faint">No description.</p>}
          </section>
        )}
        {item.summary && (
          <section>
            <h3>What was done</h3>
            <p class="item-text">{item.summary}</p>
          </section>
        )}
        {may('gates.read') && <ItemGates project={project} item={item} />}
        <Comments project={project} item={item} />
      </div>
      <div class="item-side">
        <ClaimPanel project={project} item={item} onPut={onPut} />
        <WaitsFor project={project} item={item} items={items} hrefOf={hrefOf} onPut={onPut} />
        {item.artifactId && may('artifacts.read') && <DocumentLink project={project} item={item} id={item.artifactId} />}
        <Facts item={item} />
      </div>
    </div>
  );
}

function Facts({ item }: { item: Item }) {
  return (
    <section>
      <h3>About it</h3>
      <dl class="item-facts">
        <dt>Made by</dt><dd>{item.creatorName}, <Time at={item.createdAt} /></dd>
        <dt>Changed</dt><dd><Time at={item.updatedAt} /></dd>
        {item.finishedAt && <><dt>Done</dt><dd><Time at={item.finishedAt} /></dd></>}
        {item.commit && <><dt>Commit</dt><dd><code>{item.commit.slice(0, 10)}</code></dd></>}
        <dt>Claimed</dt><dd>{item.fencingToken === 0 ? 'never' : item.fencingToken === 1 ? 'once' : `${item.fencingToken} times`}</dd>
      </dl>
    </section>
  );
}

interface DeleteProps {
  project: Project;
  item: Item;
  onDone: () => void;
  onCancel: () => void;
}

function Delete({ project, item, onDone, onCancel }: DeleteProps) {
  const remove = useWrite(() => {
    const path = { project_id: project.id, work_item_id: item.id };
    const header = { 'If-Match': `"${item.version}"` };
    return need(api.DELETE('/api/v1/projects/{project_id}/work-items/{work_item_id}', { params: { path, header } }));
  });
  const go = async () => {
    if (!(await remove.run())) return;
    toast(`“${item.title}” is deleted.`);
    onDone();
  };
  return (
    <div class="item-ask" role="group" aria-label="Delete">
      <p>
        <strong>Delete this item for good?</strong> Its comments and gates go with it{item.claim && <>, and {item.claim.holderName} loses the claim</>}. What
        waits for it waits no more.
      </p>
      {remove.problem && <ProblemNote problem={remove.problem} />}
      <div class="form-deeds">
        <button type="button" class="button" onClick={onCancel}>Keep it</button>
        <button type="button" class="button danger" aria-disabled={remove.isRunning} onClick={() => void go()}>Delete it</button>
      </div>
    </div>
  );
}
