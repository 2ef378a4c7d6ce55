/** Moving and scaling what is larger than its frame: by drag, pinch, wheel and buttons. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

interface View {
  x: number;
  y: number;
  scale: number;
}

export interface Viewport {
  frame: { current: HTMLDivElement | null };
  layer: { current: HTMLDivElement | null };
  /** In percent. */
  scale: number;
  zoom: (factor: number) => void;
  /** Shows all of it, or as much around the middle as one can read. */
  fit: () => void;
  /** Moves as little as brings this into the frame. */
  reveal: (x: number, y: number, width: number, height: number) => void;
  /** Whether it was moved just now, so that letting go is no click. */
  wasDragged: () => boolean;
}

const LEAST = 0.15;
const MOST = 2;
/** Smaller than this nobody reads it: then a part is shown. */
const LEGIBLE = 0.55;
const DRAG_PX = 4;
const EDGE = 24;

/** `middle` is what stays in sight where not all of it fits. It is fitted anew while nobody has moved it. */
export function useViewport(width: number, height: number, middle: { x: number; y: number } | undefined, key: string): Viewport {
  const frame = useRef<HTMLDivElement>(null);
  const layer = useRef<HTMLDivElement>(null);
  const view = useRef<View>({ x: 0, y: 0, scale: 1 });
  const isMoved = useRef(false);
  const dragged = useRef(false);
  const [scale, setScale] = useState(100);
  const size = useRef({ width, height, middle });
  size.current = { width, height, middle };

  const apply = useCallback((next: View) => {
    view.current = next;
    if (layer.current) layer.current.style.transform = `translate(${next.x}px, ${next.y}px) scale(${next.scale})`;
    setScale(Math.round(next.scale * 100));
  }, []);

  const fit = useCallback(() => {
    const shown = frame.current;
    const { width, height, middle } = size.current;
    if (!shown || !width || !height || !shown.clientWidth) return;
    isMoved.current = false;
    const whole = Math.min(shown.clientWidth / width, shown.clientHeight / height, 1);
    const scale = Math.max(whole, Math.min(LEGIBLE, 1));
    const centred = (room: number, extent: number, at: number | undefined) =>
      extent * scale <= room || at === undefined
        ? Math.max((room - extent * scale) / 2, at === undefined ? 0 : -Infinity)
        : Math.min(0, Math.max(room - extent * scale, room / 2 - at * scale));
    apply({ scale, x: centred(shown.clientWidth, width, middle?.x), y: centred(shown.clientHeight, height, middle?.y) });
  }, [apply]);

  const zoomAt = useCallback((factor: number, x: number, y: number) => {
    const { x: left, y: top, scale } = view.current;
    const next = Math.min(Math.max(scale * factor, LEAST), MOST);
    isMoved.current = true;
    apply({ scale: next, x: x - ((x - left) * next) / scale, y: y - ((y - top) * next) / scale });
  }, [apply]);

  const zoom = useCallback((factor: number) => {
    const shown = frame.current;
    if (shown) zoomAt(factor, shown.clientWidth / 2, shown.clientHeight / 2);
  }, [zoomAt]);

  const reveal = useCallback((x: number, y: number, wide: number, high: number) => {
    const shown = frame.current;
    if (!shown) return;
    const { x: left, y: top, scale } = view.current;
    const by = (begin: number, end: number, room: number) => (begin < EDGE ? EDGE - begin : end > room - EDGE ? room - EDGE - end : 0);
    const dx = by(left + x * scale, left + (x + wide) * scale, shown.clientWidth);
    const dy = by(top + y * scale, top + (y + high) * scale, shown.clientHeight);
    if (dx || dy) apply({ scale, x: left + dx, y: top + dy });
  }, [apply]);

  useLayoutEffect(() => {
    isMoved.current = false;
  }, [key]);
  useLayoutEffect(() => {
    if (!isMoved.current) fit();
  }, [key, width, height, middle?.x, middle?.y]);

  useEffect(() => {
    const shown = frame.current;
    if (!shown) return;
    const pointers = new Map<number, PointerEvent>();
    let begun = { x: 0, y: 0 };
    const at = (event: PointerEvent | WheelEvent) => {
      const { left, top } = shown.getBoundingClientRect();
      return { x: event.clientX - left, y: event.clientY - top };
    };
    const down = (event: PointerEvent) => {
      if (event.button !== 0 || (event.target as Element).closest('button')) return;
      pointers.set(event.pointerId, event);
      begun = at(event);
      dragged.current = false;
    };
    const move = (event: PointerEvent) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const here = at(event);
      if (!dragged.current) {
        if (Math.hypot(here.x - begun.x, here.y - begun.y) < DRAG_PX) return;
        dragged.current = true;
        shown.setPointerCapture(event.pointerId);
      }
      const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      pointers.set(event.pointerId, event);
      if (other) {
        const apart = (one: PointerEvent) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        const middle = at(other);
        zoomAt(apart(event) / Math.max(apart(last), 1), (here.x + middle.x) / 2, (here.y + middle.y) / 2);
        return;
      }
      isMoved.current = true;
      const { x, y, scale } = view.current;
      apply({ scale, x: x + event.clientX - last.clientX, y: y + event.clientY - last.clientY });
    };
    const up = (event: PointerEvent) => pointers.delete(event.pointerId);
    const wheel = (event: WheelEvent) => {
      // A wheel alone scrolls the page, as everywhere.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { x, y } = at(event);
      zoomAt(Math.exp(-event.deltaY * 0.003), x, y);
    };
    // A browser that scrolls to what has the focus would move it twice.
    const still = () => shown.scrollTo(0, 0);
    const resized = new ResizeObserver(() => {
      if (!isMoved.current) fit();
    });
    resized.observe(shown);
    shown.addEventListener('pointerdown', down);
    shown.addEventListener('pointermove', move);
    shown.addEventListener('pointerup', up);
    shown.addEventListener('pointercancel', up);
    shown.addEventListener('wheel', wheel, { passive: false });
    shown.addEventListener('scroll', still);
    return () => {
      resized.disconnect();
      shown.removeEventListener('pointerdown', down);
      shown.removeEventListener('pointermove', move);
      shown.removeEventListener('pointerup', up);
      shown.removeEventListener('pointercancel', up);
      shown.removeEventListener('wheel', wheel);
      shown.removeEventListener('scroll', still);
    };
  }, []);

  const wasDragged = useCallback(() => dragged.current, []);
  return { frame, layer, scale, zoom, fit, reveal, wasDragged };
}
