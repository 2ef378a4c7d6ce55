/** One block of a lane: a link to what it is, or a button to what it consists of. */
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { KINDS, iconOf, isOutside, sentenceOf } from './Piece';
import type { Block } from './layout';
import type { Piece } from './pieces';

interface BarProps {
  block: Block;
  id: string;
  now: number;
  isStop: boolean;
  isPointed: boolean;
  onPoint: (element: HTMLElement) => void;
  onHover: (element: HTMLElement) => void;
  onLeave: () => void;
  onMany: () => void;
}

/** Pixels from which on a bar has room for its icon, and for its title. */
const ICON_ROOM = 22;
const TITLE_ROOM = 56;
const COUNT_ROOM = 84;

export function Bar({ block, id, now, isStop, isPointed, onPoint, onHover, onLeave, onMany }: BarProps) {
  const element = useRef<HTMLElement>(null);
  const wasPointed = useRef(false);
  const { x, top, width, height, pieces } = block;
  useLayoutEffect(() => {
    const style = element.current?.style;
    if (!style) return;
    style.transform = `translate(${x}px, ${top}px)`;
    style.width = `${width}px`;
    style.height = `${height}px`;
  }, [x, top, width, height]);
  const [piece] = pieces;
  if (!piece) return null;
  const isMany = pieces.length > 1;
  const kinds = new Set(pieces.map(({ kind }) => kind));
  const Icon = iconOf(piece);
  const isMark = piece.kind !== 'claim' && piece.kind !== 'run';
  const shared = {
    class: 'agents-bar', 'data-block': id, 'data-x': Math.round(x), 'data-kind': isMany && isMark && kinds.size > 1 ? 'several' : piece.kind,
    'data-tone': isMany ? worst(pieces) : piece.tone, 'data-cut': block.isCut || undefined, 'data-tiny': width < ICON_ROOM || undefined, 'data-open': (!isMany && piece.to === undefined) || undefined,
    tabIndex: isStop ? 0 : -1, 'aria-label': sentenceOf(pieces, now), draggable: false,
    onFocus: (event: JSX.TargetedFocusEvent<HTMLElement>) => onPoint(event.currentTarget),
    onBlur: onLeave,
    // A touch gives the focus before it clicks.
    onPointerDown: () => { wasPointed.current = isPointed; },
    onMouseEnter: (event: JSX.TargetedMouseEvent<HTMLElement>) => onHover(event.currentTarget),
    onMouseLeave: onLeave,
  };
  const content = isMany ? (
    <span class="number">{isMark || width < COUNT_ROOM ? (width < ICON_ROOM ? '' : pieces.length) : `${pieces.length} ${KINDS[piece.kind].many}`}</span>
  ) : (
    <>
      {width >= ICON_ROOM && <Icon size={13} aria-hidden="true" />}
      {width >= TITLE_ROOM && <span class="cut">{piece.title}</span>}
    </>
  );
  if (isMany || !piece.href) {
    return <button type="button" {...shared} ref={element as { current: HTMLButtonElement | null }} onClick={isMany ? onMany : undefined}>{content}</button>;
  }
  const out = isOutside(piece.href) ? { target: '_blank', rel: 'noreferrer' } : {};
  // A finger has no way to hover: its first touch tells what this is, the second one follows.
  const touch = (event: JSX.TargetedMouseEvent<HTMLElement>) => {
    if ((event as unknown as PointerEvent).pointerType !== 'touch' || wasPointed.current) return;
    event.preventDefault();
    event.stopPropagation();
    onPoint(event.currentTarget);
  };
  return <a {...shared} {...out} href={piece.href} ref={element as { current: HTMLAnchorElement | null }} onClick={touch}>{content}</a>;
}

const BADNESS = ['good', 'plain', 'deed', 'busy', 'warn', 'bad'];

const worst = (pieces: Piece[]): string => BADNESS[Math.max(...pieces.map(({ tone }) => BADNESS.indexOf(tone)))] ?? 'plain';
