/** The gates of work items, by item: what is red first. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { ListTodo } from 'lucide-preact';
import { EmptyState, Loading, ProblemNote, VirtualList, count } from '../../parts';
import { GateRow } from './GateRow';
import type { Deed } from './Decide';
import { useStanding, useTitles, type Titles } from './data';
import { STATUSES, byItem, type Group, type Status } from './words';

type Choice = 'open' | Exclude<Status, 'failed' | 'pending'>;

const CHOICES: Choice[] = ['open', 'waived', 'passed', 'skipped'];
const ROW_PX = 150;

export function Items({ projectId, decide }: { projectId: string; decide: (deed: Deed) => void }) {
  const [choice, setChoice] = useState<Choice>('open');
  const isOpen = choice === 'open';
  // What is red is read before what waits: a long list begins with it however much there is.
  const failed = useStanding(projectId, isOpen ? 'failed' : undefined);
  const pending = useStanding(projectId, isOpen ? 'pending' : undefined);
  const settled = useStanding(projectId, isOpen ? undefined : choice);
  const lists = isOpen ? [failed, pending] : [settled];
  const groups = useMemo(() => byItem(lists.flatMap(({ items }) => items)), [choice, failed.items, pending.items, settled.items]);
  const titles = useTitles(projectId);
  const problem = lists.find((list) => list.problem)?.problem;
  const isLoading = lists.some((list) => list.isLoading);
  const unread = lists.find(({ hasMore }) => hasMore);
  // Gates of phases are among them, and are not shown here: read on until there is something.
  useEffect(() => {
    if (groups.length < 10 && unread && !unread.isLoadingMore && !problem) void unread.more();
  }, [groups.length, unread?.items.length, unread?.isLoadingMore]);

  return (
    <section class="gates-items" aria-labelledby="gates-items-title">
      <div class="row gates-items-head">
        <h2 id="gates-items-title">Work items</h2>
        <div class="chips" role="group" aria-label="Show gates of work items that are">
          {CHOICES.map((key) => (
            <button type="button" class="chip" key={key} aria-pressed={choice === key} onClick={() => setChoice(key)}>
              {key === 'open' ? 'Open' : STATUSES[key].text}
            </button>
          ))}
        </div>
        {groups.length > 0 && <span class="faint small">{count(groups.length, 'item')}{unread && ' so far'}{isOpen && ', red ones first'}</span>}
      </div>
      {problem && <ProblemNote problem={problem} retry={() => lists.forEach((list) => void list.refresh())} />}
      {isLoading && <Loading what="Loading gates of work items" />}
      {!isLoading && !problem && groups.length === 0 && !unread && (
        <EmptyState icon={ListTodo} title={isOpen ? 'No work item is held up by a gate' : `No gate of a work item is ${choice}`}>
          {isOpen ? 'Items get gates by the lane they reach, as the project’s settings say, or by hand.' : undefined}
        </EmptyState>
      )}
      {groups.length > 0 && (
        <VirtualList label="Work items with their gates" class={`sheet gates-list${groups.length > 4 ? ' long' : ''}`} items={groups} itemKey={({ itemId }) => itemId}
          estimate={ROW_PX} onEnd={unread?.more}>
          {(group) => <Item of={group} projectId={projectId} titles={titles} decide={decide} />}
        </VirtualList>
      )}
    </section>
  );
}

function Item({ of: { itemId, gates }, projectId, titles, decide }: { of: Group; projectId: string; titles: Titles; decide: (deed: Deed) => void }) {
  useEffect(() => titles.ask(itemId), [itemId]);
  return (
    <div class="gates-item">
      <h3><a href={`/projects/${projectId}/board?item=${itemId}`}>{titles.of(itemId) ?? 'Work item'}</a></h3>
      <ul>{gates.map((gate) => <li key={gate.id}><GateRow of={gate} decide={decide} /></li>)}</ul>
    </div>
  );
}
