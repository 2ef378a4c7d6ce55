/** Dragging a card, with the browser's own drag: which card is on its way, and where it would be put. */
import { signal } from '@preact/signals';
import type { Item, Place } from './items';

/** The card that is being dragged. */
export const dragged = signal<Item | undefined>(undefined);
/** Where it would go if it were let go now. */
export const target = signal<Place | undefined>(undefined);

export function aim(place: Place | undefined): void {
  const now = target.peek();
  if (now?.lane !== place?.lane || now?.beforeId !== place?.beforeId) target.value = place;
}

export function begin(event: DragEvent, item: Item): void {
  event.dataTransfer?.setData('text/plain', item.title);
  if (event.dataTransfer) event.dataTransfer.effectAllowed = 'move';
  // Once the browser has taken its picture of the card; otherwise the picture shows it faded.
  setTimeout(() => (dragged.value = item));
  // A card that scrolls out of the document tells nobody that its drag has ended, but then the mouse moves again.
  addEventListener('pointermove', end, { once: true });
}

export function end(): void {
  removeEventListener('pointermove', end);
  dragged.value = undefined;
  target.value = undefined;
}

/** The item before which something at this height would be put; nothing for the end of the lane. */
export function beforeAt(frame: HTMLElement, y: number, items: readonly Item[]): string | undefined {
  const cards = [...frame.querySelectorAll<HTMLElement>('[data-item]')].map((card) => ({ id: card.dataset['item'], box: card.getBoundingClientRect() }));
  cards.sort((one, other) => one.box.top - other.box.top);
  const below = cards.find(({ box }) => box.top + box.height / 2 > y);
  if (below) return below.id;
  const last = items.findIndex(({ id }) => id === cards.at(-1)?.id);
  return items[last + 1]?.id;
}
