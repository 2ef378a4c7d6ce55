/**
 * Where pieces stand in a lane: pixels from its begin, and the row. What is too small or too close to tell apart is one
 * block of several, so that a day of runs is as light to draw as an hour.
 */
import type { Piece } from './pieces';
import type { Span } from './span';

export interface Block {
  key: string;
  pieces: Piece[];
  x: number;
  width: number;
  top: number;
  height: number;
  /** It goes on beyond what is shown. */
  isCut: boolean;
}

export interface Placed {
  /** By where they begin, as arrow keys go through them. */
  blocks: Block[];
  height: number;
}

const PAD = 8;
const GAP = 4;
/** Pixels of height, and rows at most, of what lasts. */
const BARS = { claim: { height: 26, rows: 3 }, run: { height: 20, rows: 4 } } as const;
/** Pixels of a moment's mark, and of anything at least: a finger and WCAG want 24. */
export const MARK = 24;
const LEAST = 10;
/** Bars shorter than this are put together with their neighbours. */
const TINY = 8;

interface Bar {
  pieces: Piece[];
  x: number;
  end: number;
  isCut: boolean;
}

export function place(pieces: readonly Piece[], span: Span, width: number): Placed {
  const blocks: Block[] = [];
  let top = PAD;
  for (const kind of ['claim', 'run'] as const) {
    const { height, rows: most } = BARS[kind];
    const bars = together(barsOf(pieces, kind, span, width));
    const rows = inRows(bars, most);
    rows.forEach((row, index) => {
      for (const { pieces, x, end, isCut } of row) {
        blocks.push({ key: keyOf(pieces), pieces, x, width: Math.max(end - x, LEAST), top: top + index * (height + GAP), height, isCut });
      }
    });
    top += rows.length * (height + GAP);
  }
  const marks = marksOf(pieces, span, width);
  for (const { pieces, x } of marks) {
    blocks.push({ key: keyOf(pieces), pieces, x: x - MARK / 2, width: MARK, top, height: MARK, isCut: false });
  }
  if (marks.length > 0) top += MARK + GAP;
  blocks.sort((one, other) => one.x - other.x || one.top - other.top);
  return { blocks, height: top - GAP + PAD };
}

const keyOf = (pieces: Piece[]): string => `${pieces[0]?.kind} ${pieces[0]?.key}`;

export const pixel = (at: number, { from, to }: Span, width: number): number => ((at - from) / (to - from)) * width;

/** What lasts and can be seen, by where it begins. */
function barsOf(pieces: readonly Piece[], kind: Piece['kind'], span: Span, width: number): Bar[] {
  const bars: Bar[] = [];
  for (const piece of pieces) {
    const to = piece.to ?? span.now;
    if (piece.kind !== kind || to < span.from || piece.from > span.to) continue;
    const end = Math.min(pixel(to, span, width), width);
    const x = Math.min(Math.max(pixel(piece.from, span, width), 0), width - LEAST);
    bars.push({ pieces: [piece], x, end, isCut: piece.from < span.from || to > span.to || Boolean(piece.isOlder) });
  }
  return bars.sort((one, other) => one.x - other.x);
}

/** Neighbours that are too short to be told apart become one. */
function together(bars: Bar[]): Bar[] {
  const all: Bar[] = [];
  let last: Bar | undefined;
  for (const bar of bars) {
    const isTiny = bar.end - bar.x < TINY;
    if (isTiny && last && bar.x < last.x + LEAST + GAP) {
      last.pieces.push(...bar.pieces);
      last.end = Math.max(last.end, bar.end);
    } else {
      all.push(bar);
      if (isTiny) last = bar;
    }
  }
  return all;
}

/** Each in the first row that is free; what fits in none is put together in the last one. */
function inRows(bars: Bar[], most: number): Bar[][] {
  const rows: Bar[][] = [];
  for (const bar of bars) {
    const isFree = (row: Bar[]) => {
      const before = row.at(-1);
      return !before || Math.max(before.end, before.x + LEAST) + 2 <= bar.x;
    };
    const row = rows.find(isFree);
    if (row) row.push(bar);
    else if (rows.length < most) rows.push([bar]);
    else {
      const last = rows.at(-1)?.at(-1) as Bar;
      last.pieces.push(...bar.pieces);
      last.end = Math.max(last.end, bar.end);
      last.isCut ||= bar.isCut;
    }
  }
  return rows;
}

function marksOf(pieces: readonly Piece[], span: Span, width: number): { pieces: Piece[]; x: number }[] {
  const moments = pieces.filter(({ kind, from }) => kind !== 'claim' && kind !== 'run' && from >= span.from && from <= span.to);
  moments.sort((one, other) => one.from - other.from);
  const marks: { pieces: Piece[]; x: number }[] = [];
  for (const piece of moments) {
    const x = Math.min(Math.max(pixel(piece.from, span, width), MARK / 2), width - MARK / 2);
    const last = marks.at(-1);
    if (last && x - last.x < MARK) last.pieces.push(piece);
    else marks.push({ pieces: [piece], x });
  }
  return marks;
}
