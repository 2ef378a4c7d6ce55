/** A lane: how full it is, its cards, and where a card that is dragged over it would go. */
import { useRef } from 'preact/hooks';
import { Plus } from 'lucide-preact';
import { Badge, VirtualList } from '../../parts';
import { Card, laneWords } from './Card';
import { aim, beforeAt, dragged, end, target } from './drag';
import type { GateBrief } from './gates';
import { laneTitle, type Item, type Lane, type Place } from './items';

interface LaneProps {
  lane: Lane;
  lanes: readonly Lane[];
  /** All of it, in its order; and what the filter leaves. */
  all: readonly Item[];
  shown: readonly Item[];
  gates: ReadonlyMap<string, GateBrief[]>;
  fresh: ReadonlyMap<string, string>;
  isReading: boolean;
  /** Whether items have a place in it that can be chosen. */
  isPlaced: boolean;
  mayMove: boolean;
  hrefOf: (item: Item) => string;
  onMove: (item: Item, place: Place, isByKeyboard?: boolean) => void;
  onOpen: (item: Item) => void;
  onCreate: (lane: string) => void;
}

/** About how high a card is with the space below it, in pixels. */
const CARD_PX = 104;
const NO_GATES: GateBrief[] = [];

export function LaneColumn({ lane, lanes, all, shown, gates, fresh, isReading, isPlaced, mayMove, hrefOf, onMove, onOpen, onCreate }: LaneProps) {
  const frame = useRef<HTMLDivElement>(null);
  const { name, wipLimit } = lane;
  const title = laneTitle(name);
  const isAimedAt = target.value?.lane === name;
  const over = (event: DragEvent) => {
    const item = dragged.value;
    if (!item) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'move';
    aim({ lane: name, beforeId: isPlaced && frame.current ? beforeAt(frame.current, event.clientY, shown) : undefined });
  };
  // Browsers do not agree on what is told of where a drag goes to; where it is they all say.
  const leave = ({ currentTarget, clientX, clientY }: DragEvent) => {
    const box = (currentTarget as Element).getBoundingClientRect();
    const isInside = clientX > box.left && clientX < box.right && clientY > box.top && clientY < box.bottom;
    if (!isInside && target.value?.lane === name) aim(undefined);
  };
  const drop = (event: DragEvent) => {
    const [item, place] = [dragged.value, target.value];
    event.preventDefault();
    end();
    if (item && place) onMove(item, place);
  };
  /** Moves within the lane, for those who do not drag. */
  const within = (item: Item) => {
    if (!isPlaced || !mayMove) return [];
    const at = shown.indexOf(item);
    const go = (beforeId: string | undefined) => () => onMove(item, { lane: name, beforeId }, true);
    return [
      ...(at > 0 ? [{ key: 'top', label: 'To the top of the lane', run: go(shown[0]?.id) }, { key: 'up', label: 'One up', run: go(shown[at - 1]?.id) }] : []),
      ...(at < shown.length - 1 ? [{ key: 'down', label: 'One down', run: go(shown[at + 2]?.id) }] : []),
    ];
  };
  return (
    <section class="board-lane" data-lane={name} data-aimed={isAimedAt || undefined} aria-labelledby={`lane-${name}`}
      onDragEnter={over} onDragOver={over} onDragLeave={leave} onDrop={drop}>
      <header class="board-lane-head">
        <h2 id={`lane-${name}`}>{title}</h2>
        <span class="board-lane-count number" title={laneWords(shown.length, all.length, wipLimit)}>
          <span aria-hidden="true">{shown.length === all.length ? '' : `${shown.length} of `}{all.length.toLocaleString('en')}{wipLimit ? ` / ${wipLimit}` : ''}{isReading ? '…' : ''}</span>
          <span class="unseen">{laneWords(shown.length, all.length, wipLimit)}</span>
        </span>
        {wipLimit && all.length >= wipLimit ? (
          <Badge tone={all.length > wipLimit ? 'bad' : 'warn'} title={`This lane takes ${wipLimit} at most`}>{all.length > wipLimit ? 'Over limit' : 'Full'}</Badge>
        ) : null}
        {mayMove && (
          <button type="button" class="button bare square board-lane-add" aria-label={`New item in ${title}`} title={`New item in ${title}`}
            onClick={() => onCreate(name)}>
            <Plus size={16} aria-hidden="true" />
          </button>
        )}
      </header>
      {shown.length > 0 ? (
        <VirtualList class="board-list" label={`${title}, ${laneWords(shown.length, all.length, wipLimit)}`} frame={frame} items={shown}
          itemKey={({ id }) => id} estimate={CARD_PX}>
          {(item, index) => (
            <div class="board-slot" data-drop={isAimedAt && isPlaced ? slotMark(item.id, index === shown.length - 1) : undefined}>
              <Card item={item} href={hrefOf(item)} lanes={lanes} gates={gates.get(item.id) ?? NO_GATES} freshBy={fresh.get(item.id)}
                mayMove={mayMove} within={within(item)} onMove={(to) => onMove(item, { lane: to }, true)} onOpen={() => onOpen(item)} />
            </div>
          )}
        </VirtualList>
      ) : (
        <p class="board-lane-empty faint small">{isReading ? 'Reading…' : all.length > 0 ? 'Nothing here matches the filter' : ABOUT[name] ?? 'Nothing here'}</p>
      )}
    </section>
  );
}

/** What an empty lane is for. */
const ABOUT: Record<string, string> = {
  backlog: 'Ideas that are not ready to be begun',
  ready: 'Nothing to begin. Agents take the next item from here.',
  doing: 'Nobody is working on anything',
  review: 'Nothing waits for a review',
  done: 'Nothing is done yet',
};

function slotMark(id: string, isLast: boolean): 'before' | 'after' | undefined {
  const beforeId = target.value?.beforeId;
  if (beforeId === id) return 'before';
  return beforeId === undefined && isLast ? 'after' : undefined;
}
