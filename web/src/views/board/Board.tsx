/** The board of a project: its work items by lane, moved by hand or by those who work on them, as it happens. */
import { useMemo, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { Plus, SquareKanban } from 'lucide-preact';
import { Problem, sentence } from '../../api/problem';
import { may } from '../../api/scopes';
import { EmptyState, Loading, ProblemNote, ViewHead, count, toast } from '../../parts';
import type { ViewProps } from '../../views';
import { CreateItem } from './CreateItem';
import { Filters } from './Filters';
import { ItemDialog } from './ItemDialog';
import { LaneColumn } from './LaneColumn';
import { TakeAway } from './TakeAway';
import { useGates } from './gates';
import { byLane, isFiltered, isSamePlace, laneTitle, lanesOf, matches, rankBetween, type Filter, type Item, type Place } from './items';
import { useBoard } from './store';
import './board.css';

interface Wish {
  item: Item;
  place: Place;
  isByKeyboard: boolean;
}

const NOTHING: ReadonlyMap<string, Item> = new Map();

export default function Board({ project }: ViewProps) {
  const board = useBoard(project);
  const gates = useGates(project.id);
  const { path, query, route } = useLocation();
  const [newIn, setNewIn] = useState<string>();
  const [wish, setWish] = useState<Wish>();
  /** Why a move that was asked for in the item's own window was refused. */
  const [refusal, setRefusal] = useState<Problem>();
  const frame = useRef<HTMLDivElement>(null);

  const lanes = lanesOf(project);
  const items = board.items ?? NOTHING;
  const filter: Filter = { text: query['q'] ?? '', role: query['role'] ?? '', holder: query['holder'] ?? '' };
  const all = useMemo(() => byLane(items.values(), lanes), [items, project.config]);
  const shown = useMemo(() => {
    if (!isFiltered(filter)) return all;
    return new Map([...all].map(([lane, theirs]) => [lane, theirs.filter((item) => matches(item, filter))]));
  }, [all, filter.text, filter.role, filter.holder]);
  const mayWrite = may('work.write');

  const addressOf = (changes: Record<string, string>) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    return next.size > 0 ? `${path}?${next}` : path;
  };
  const hrefOf = ({ id }: Item) => addressOf({ item: id });

  const close = () => {
    const id = query['item'] ?? '';
    setRefusal(undefined);
    route(addressOf({ item: '' }), true);
    // The card from which it was opened may have gone to another lane meanwhile; then the focus follows it.
    setTimeout(() => document.activeElement === document.body && focusCard(frame.current, id), 60);
  };
  const carryOut = async ({ item, place, isByKeyboard }: Wish) => {
    const lane = all.get(place.lane) ?? [];
    setRefusal(undefined);
    const rank = rankBetween(lane, item.id, place.beforeId);
    if (isByKeyboard) setTimeout(() => focusCard(frame.current, item.id), 60);
    try {
      await board.move(item, place, rank);
      if (isByKeyboard && place.lane !== item.lane) toast(`“${item.title}” is in ${laneTitle(place.lane)} now.`);
    } catch (thrown) {
      const problem = Problem.from(thrown);
      if (query['item'] === item.id) setRefusal(problem);
      else toast(`“${item.title}” stays where it was. ${why(problem)}`, 'bad');
      if (isByKeyboard) setTimeout(() => focusCard(frame.current, item.id), 60);
    }
  };
  const ask = (item: Item, place: Place, isByKeyboard = false) => {
    if (isSamePlace(all.get(item.lane) ?? [], item, place, item.lane !== 'done')) return;
    const next = { item, place, isByKeyboard };
    // To another lane it goes without its holder: that is asked first.
    if (item.claim && place.lane !== item.lane) setWish(next);
    else void carryOut(next);
  };

  const matching = [...shown.values()].reduce((sum, lane) => sum + lane.length, 0);
  const isEmpty = board.items && items.size === 0 && !board.isReadingDone;
  const create = mayWrite && (
    <button type="button" class="button main" onClick={() => setNewIn('backlog')}>
      <Plus size={16} aria-hidden="true" />
      New item
    </button>
  );
  return (
    <div class="board">
      <ViewHead title="Board">
        {board.items && !isEmpty && (
          <Filters filter={filter} items={items.values()}
            onChange={({ text, role, holder }) => route(addressOf({ q: text, role, holder }), true)} />
        )}
        {board.items && !isEmpty && create}
      </ViewHead>
      {board.problem && <ProblemNote problem={board.problem} retry={() => void board.refresh()} />}
      {!board.items && !board.problem && <Loading what="Reading the board" />}
      {isFiltered(filter) && board.items && (
        <p class="unseen" role="status">{count(matching, 'item')} of {items.size} match the filter</p>
      )}
      {isEmpty ? (
        <EmptyState icon={SquareKanban} title="Nothing to do yet" deed={create}>
          Work items come from people, from agents, and from stories in the repository. What is in the lane Ready is taken by
          the next agent that asks for work.
        </EmptyState>
      ) : (
        board.items && (
          <>
            <nav class="board-picker chips" aria-label="Lanes">
              {lanes.map(({ name }) => (
                <button type="button" class="chip" key={name} onClick={() => showLane(frame.current, name)}>
                  {laneTitle(name)} <span class="number">{shown.get(name)?.length ?? 0}</span>
                </button>
              ))}
            </nav>
            <div class="board-lanes" ref={frame}>
              {lanes.map((lane) => (
                <LaneColumn key={lane.name} lane={lane} lanes={lanes} all={all.get(lane.name) ?? []} shown={shown.get(lane.name) ?? []}
                  gates={gates} fresh={board.fresh} isReading={lane.name === 'done' && board.isReadingDone}
                  isPlaced={lane.name !== 'done'} mayMove={mayWrite} hrefOf={hrefOf} onMove={ask}
                  onOpen={(item) => route(hrefOf(item))} onCreate={setNewIn} />
              ))}
            </div>
          </>
        )
      )}
      {newIn && <CreateItem project={project} lane={newIn} onClose={() => setNewIn(undefined)} onMade={board.put} />}
      {query['item'] && (
        <ItemDialog key={query['item']} project={project} id={query['item']} items={items} refusal={refusal} hrefOf={(id) => addressOf({ item: id })}
          onMove={(item, lane) => ask(item, { lane }, true)} onPut={board.put} onGone={board.forget} onClose={close} />
      )}
      {wish && (
        <TakeAway item={wish.item} lane={wish.place.lane} onClose={() => setWish(undefined)}
          onSure={() => {
            setWish(undefined);
            void carryOut(wish);
          }} />
      )}
    </div>
  );
}

function why(problem: Problem): string {
  if (problem.code === 'precondition_failed') return 'Somebody changed it at the same moment; look again, then move it.';
  return sentence(problem.errors[0]?.detail ?? problem.detail);
}

/** A card that has moved is another element: the focus goes there with it. */
function focusCard(frame: HTMLElement | null, id: string): void {
  if (document.querySelector('dialog[open]')) return;
  const card = frame?.querySelector(`[data-item="${CSS.escape(id)}"]`);
  card?.querySelector<HTMLElement>('.board-card-menu')?.focus();
  card?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

function showLane(frame: HTMLElement | null, name: string): void {
  const lane = frame?.querySelector<HTMLElement>(`[data-lane="${CSS.escape(name)}"]`);
  if (frame && lane) frame.scrollTo({ left: lane.offsetLeft - frame.offsetLeft - 12, behavior: 'smooth' });
}
