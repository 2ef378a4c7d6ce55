/**
 * A list of any length that has only the rows in the document that are seen. Rows may differ in height; they are
 * measured. It fills the height that its class gives it, and asks for more when its end comes near.
 */
import type { ComponentChildren, Key } from 'preact';
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';
import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from '@tanstack/virtual-core';

interface ListProps<T> {
  label: string;
  items: readonly T[];
  itemKey: (item: T, index: number) => Key;
  /** About how high a row is, in pixels. */
  estimate: number;
  children: (item: T, index: number) => ComponentChildren;
  /** Called when the end is near; may be called often. */
  onEnd?: () => void;
  /** The element that scrolls, for those who want to move it. */
  frame?: { current: HTMLDivElement | null };
  onScroll?: (top: number) => void;
  class?: string;
}

/** Rows beyond what is seen, for scrolling and for screen readers. */
const OVERSCAN = 8;

export function VirtualList<T>({ label, items, itemKey, estimate, children, onEnd, frame: given, onScroll, class: name = '' }: ListProps<T>) {
  const own = useRef<HTMLDivElement>(null);
  const frame = given ?? own;
  const all = useRef<HTMLDivElement>(null);
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const options = {
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => estimate,
    getItemKey: (index: number) => itemKey(items[index] as T, index) as string | number,
    overscan: OVERSCAN,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => draw(0),
  };
  const holder = useRef<Virtualizer<HTMLDivElement, Element>>();
  const virtual = (holder.current ??= new Virtualizer<HTMLDivElement, Element>(options));
  virtual.setOptions(options);
  useEffect(() => virtual._didMount(), [virtual]);
  useLayoutEffect(() => virtual._willUpdate());

  const rows = virtual.getVirtualItems();
  const height = virtual.getTotalSize();
  useLayoutEffect(() => {
    if (all.current) all.current.style.height = `${height}px`;
  }, [height]);
  const last = rows.at(-1)?.index ?? -1;
  useEffect(() => {
    if (last >= items.length - OVERSCAN * 2) onEnd?.();
  }, [last, items.length, onEnd]);

  return (
    <div class={`virtual ${name}`} ref={frame} tabIndex={0} role="feed" aria-label={label} aria-busy="false"
      onScroll={onScroll && ((event) => onScroll(event.currentTarget.scrollTop))}>
      <div class="virtual-all" ref={all}>
        {rows.map(({ index, start, key }) => (
          <Row key={key as Key} index={index} start={start} count={items.length} measure={virtual.measureElement}>
            {children(items[index] as T, index)}
          </Row>
        ))}
      </div>
    </div>
  );
}

interface RowProps {
  index: number;
  start: number;
  count: number;
  measure: (element: Element | null) => void;
  children: ComponentChildren;
}

function Row({ index, start, count, measure, children }: RowProps) {
  const row = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (row.current) row.current.style.transform = `translateY(${start}px)`;
  }, [start]);
  useLayoutEffect(() => measure(row.current), [index, measure]);
  return (
    <div class="virtual-row" role="article" ref={row} data-index={index} aria-posinset={index + 1} aria-setsize={count}>
      {children}
    </div>
  );
}
