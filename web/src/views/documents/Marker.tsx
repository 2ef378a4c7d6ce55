/** Small pieces of the map: something at a point, and a sample of a line. */
import type { ComponentChildren, JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Mark } from './graph';
import type { Point } from './layout';

interface PlaceProps extends Omit<JSX.HTMLAttributes<HTMLDivElement>, 'ref'> {
  at: Point | undefined;
  children?: ComponentChildren;
}

/** Something whose middle is at a point. */
export function Place({ at, children, ...rest }: PlaceProps) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current && at) element.current.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
  }, [at?.x, at?.y]);
  return <div {...rest} ref={element}>{children}</div>;
}

export function Marker({ mark }: { mark: Mark }) {
  return (
    <svg width="34" height="10" aria-hidden="true">
      <path class="docmap-line" data-mark={mark} d="M8 5H34" />
      <path class="docmap-arrow" data-mark={mark} d="M8 1.5L1 5L8 8.5Z" />
    </svg>
  );
}
