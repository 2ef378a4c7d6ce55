/** A long list that grows at its head. While somebody reads further down, what is new waits above, behind a button. */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { ArrowUp } from 'lucide-preact';
import { VirtualList } from './VirtualList';
import './newest.css';

interface NewestProps<T> {
  label: string;
  items: readonly T[];
  /** About how high a row is, in pixels. */
  estimate: number;
  /** What a number of new rows is called: `3 new calls`. */
  fresh: (number: number) => string;
  onEnd?: () => void;
  children: (item: T, index: number) => ComponentChildren;
}

/** Rows that it has scrolled by before new ones have to wait. */
const AT_TOP_PX = 8;

export function NewestList<T extends { id: string }>({ label, items, estimate, fresh, onEnd, children }: NewestProps<T>) {
  const frame = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<string>();
  const newest = items[0]?.id;
  const from = held === undefined ? 0 : Math.max(0, items.findIndex(({ id }) => id <= held));
  const scrolled = (top: number) => setHeld((at) => (top > AT_TOP_PX ? (at ?? newest) : undefined));
  const toTop = () => {
    setHeld(undefined);
    frame.current?.scrollTo({ top: 0 });
    frame.current?.focus({ preventScroll: true });
  };
  return (
    <div class="newest sheet">
      {from > 0 && (
        <button type="button" class="button main newest-new" onClick={toTop}>
          <ArrowUp size={16} aria-hidden="true" />
          {fresh(from)}
        </button>
      )}
      <VirtualList label={label} class="newest-list" frame={frame} items={from > 0 ? items.slice(from) : items}
        itemKey={({ id }) => id} estimate={estimate} onEnd={onEnd} onScroll={scrolled}>
        {children}
      </VirtualList>
    </div>
  );
}
