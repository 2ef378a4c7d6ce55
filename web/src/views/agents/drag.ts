/** Taking hold of the ground of a lane, and moving it through time. */
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import type { Span } from './span';

export interface Dragging {
  onPointerDown: (event: JSX.TargetedPointerEvent<HTMLDivElement>) => void;
  onPointerMove: (event: JSX.TargetedPointerEvent<HTMLDivElement>) => void;
  onPointerUp: (event: JSX.TargetedPointerEvent<HTMLDivElement>) => void;
  onPointerCancel: (event: JSX.TargetedPointerEvent<HTMLDivElement>) => void;
}

/** Pixels that a hand trembles. */
const STILL = 4;

export function useDrag(span: Span, width: number, onMove: (ms: number, isDone: boolean) => void): Dragging {
  const began = useRef<{ x: number; msPerPixel: number; isMoving: boolean }>();
  const end = (event: JSX.TargetedPointerEvent<HTMLDivElement>) => {
    const it = began.current;
    began.current = undefined;
    if (it?.isMoving) onMove((event.clientX - it.x) * it.msPerPixel, true);
  };
  return {
    onPointerDown: (event) => {
      const isOnBlock = event.target instanceof Element && event.target.closest('[data-block]');
      if (event.button === 0 && !isOnBlock) began.current = { x: event.clientX, msPerPixel: (span.to - span.from) / Math.max(width, 1), isMoving: false };
    },
    onPointerMove: (event) => {
      const it = began.current;
      if (!it) return;
      const moved = event.clientX - it.x;
      if (!it.isMoving && Math.abs(moved) < STILL) return;
      if (!it.isMoving) event.currentTarget.setPointerCapture(event.pointerId);
      it.isMoving = true;
      onMove(moved * it.msPerPixel, false);
    },
    onPointerUp: end,
    onPointerCancel: end,
  };
}
