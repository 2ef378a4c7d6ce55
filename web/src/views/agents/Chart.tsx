/**
 * The swimlanes: time goes from left to right, every lane is somebody, the line is now.
 *
 * The whole chart is one stop of the Tab key; arrows go from block to block, Enter opens, Escape hides the card. It is
 * dragged, or scrolled sideways, through time.
 */
import type { ComponentChildren, JSX } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Bar } from './Bar';
import { LaneHead } from './LaneHead';
import { Card } from './Piece';
import { useDrag, type Dragging } from './drag';
import { pixel, place, type Block } from './layout';
import type { Lane, Piece } from './pieces';
import { ticksOf, type Span } from './span';

interface ChartProps {
  lanes: Lane[];
  span: Span;
  knownFrom: number;
  /** Called while it is moved, and with `isDone` at the end; milliseconds that it moves towards the past. */
  onMove: (ms: number, isDone: boolean) => void;
  onMany: (lane: Lane, pieces: Piece[]) => void;
  onLane: (lane: Lane) => void;
}

interface Pointed {
  block: Block;
  lane: Lane;
  left: number;
  top: number;
}

/** Pixels that the name of an hour needs: one that would be cut is left out. */
const LABEL = 44;
/** How wide the card is, and how long it stays when the pointer leaves for it. */
const CARD = 300;
const LINGER_MS = 150;

export function Chart({ lanes, span, knownFrom, onMove, onMany, onLane }: ChartProps) {
  const chart = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const width = useWidth(axis);
  const [pointed, setPointed] = useState<Pointed>();
  const [current, setCurrent] = useState('');
  const leaving = useRef<number>();
  const ticks = useMemo(() => ticksOf(span, width), [span.from, span.to, width]);
  const placed = useMemo(() => lanes.map((lane) => ({ lane, ...place(lane.pieces, span, width) })), [lanes, span.from, span.to, span.now, width]);
  const all = placed.flatMap(({ lane, blocks }) => blocks.map(({ key }) => idOf(lane, key)));
  const stop = all.includes(current) ? current : all[0];
  const drag = useDrag(span, width, onMove);

  const point = (element: HTMLElement, lane: Lane, block: Block) => {
    clearTimeout(leaving.current);
    const frame = chart.current?.getBoundingClientRect();
    if (!frame) return;
    const box = element.getBoundingClientRect();
    const left = Math.min(Math.max(box.left - frame.left, 4), Math.max(frame.width - Math.min(CARD, frame.width) - 4, 4));
    setPointed({ block, lane, left, top: box.bottom - frame.top });
  };
  const leave = useCallback(() => {
    clearTimeout(leaving.current);
    leaving.current = setTimeout(() => setPointed(undefined), LINGER_MS) as unknown as number;
  }, []);
  useEffect(() => () => clearTimeout(leaving.current), []);

  const keys = (event: JSX.TargetedKeyboardEvent<HTMLDivElement>) => {
    if (event.key === 'Escape') setPointed(undefined);
    const from = event.target instanceof HTMLElement ? event.target.closest<HTMLElement>('[data-block]') : null;
    const next = from && chart.current && beside(chart.current, from, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: 'nearest' });
  };
  const shownBlock = pointed && placed.find(({ lane }) => lane.id === pointed.lane.id)?.blocks.find(({ key }) => key === pointed.block.key);

  return (
    <div class="agents-chart sheet" ref={chart} onKeyDown={keys} role="group" aria-label="Swimlanes. Arrow keys go from one to the next.">
      <div class="agents-axis" aria-hidden="true">
        <div class="agents-hours" ref={axis}>
          {ticks.filter(({ at }) => pixel(at, span, width) < width - LABEL).map((tick) => (
            <At key={tick.at} x={pixel(tick.at, span, width)} class={`agents-hour${tick.isDay ? ' day' : ''}`}>{tick.label}</At>
          ))}
        </div>
      </div>
      <ul class="agents-lanes">
        {placed.map(({ lane, blocks, height }) => (
          <li class="agents-lane" key={lane.id}>
            <LaneHead lane={lane} onOpen={onLane} />
            <Track height={height} label={lane.name} {...drag}>
              {knownFrom > span.from && <Unknown width={pixel(knownFrom, span, width)} />}
              {ticks.map(({ at, isDay }) => <At key={at} x={pixel(at, span, width)} class={`agents-grid${isDay ? ' day' : ''}`} />)}
              {blocks.map((block) => (
                <Bar key={block.key} block={block} now={span.now} id={idOf(lane, block.key)} isStop={idOf(lane, block.key) === stop}
                  isPointed={shownBlock === block}
                  onPoint={(element) => { setCurrent(idOf(lane, block.key)); point(element, lane, block); }}
                  onHover={(element) => point(element, lane, block)} onLeave={leave} onMany={() => onMany(lane, block.pieces)} />
              ))}
              {span.now <= span.to && <At x={pixel(span.now, span, width)} class="agents-now" />}
            </Track>
          </li>
        ))}
      </ul>
      {pointed && shownBlock && (
        <At class="agents-card" x={pointed.left} y={pointed.top} onEnter={() => clearTimeout(leaving.current)} onLeave={leave}>
          <div class="agents-card-sheet"><Card of={shownBlock} lane={pointed.lane.name} now={span.now} /></div>
        </At>
      )}
    </div>
  );
}

const idOf = (lane: Lane, key: string): string => `${lane.id} ${key}`;

function useWidth(of: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current;
    if (!element) return;
    setWidth(element.clientWidth);
    const watching = new ResizeObserver(() => setWidth(element.clientWidth));
    watching.observe(element);
    return () => watching.disconnect();
  }, []);
  return width;
}

interface AtProps {
  x: number;
  y?: number;
  class: string;
  children?: ComponentChildren;
  onEnter?: () => void;
  onLeave?: () => void;
}

/** Something at a place of the chart. */
function At({ x, y = 0, class: name, children, onEnter, onLeave }: AtProps) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) element.current.style.transform = `translate(${x}px, ${y}px)`;
  }, [x, y]);
  return <div class={name} ref={element} onMouseEnter={onEnter} onMouseLeave={onLeave}>{children}</div>;
}

/** The part of a lane of which nothing is known (yet). */
function Unknown({ width }: { width: number }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) element.current.style.width = `${Math.max(width, 0)}px`;
  }, [width]);
  return <div class="agents-unknown" ref={element} />;
}

interface TrackProps extends Dragging {
  height: number;
  label: string;
  children: ComponentChildren;
}

function Track({ height, label, children, ...drag }: TrackProps) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) element.current.style.minHeight = `${height}px`;
  }, [height]);
  return <div class="agents-track" ref={element} role="group" aria-label={label} {...drag}>{children}</div>;
}

/** The block that an arrow leads to. */
function beside(chart: HTMLElement, from: HTMLElement, key: string): HTMLElement | undefined {
  const own = from.parentElement;
  const blocksOf = (track: Element | null) => [...(track?.querySelectorAll<HTMLElement>('[data-block]') ?? [])];
  const row = blocksOf(own);
  const at = row.indexOf(from);
  if (key === 'ArrowRight') return row[at + 1];
  if (key === 'ArrowLeft') return row[at - 1];
  if (key === 'Home') return row[0];
  if (key === 'End') return row.at(-1);
  if (key !== 'ArrowDown' && key !== 'ArrowUp') return undefined;
  const tracks = [...chart.querySelectorAll('.agents-track')].filter((track) => track === own || track.querySelector('[data-block]'));
  const there = blocksOf(tracks[tracks.indexOf(own as Element) + (key === 'ArrowDown' ? 1 : -1)] ?? null);
  const x = Number(from.dataset['x']);
  const away = (block: HTMLElement) => Math.abs(Number(block.dataset['x']) - x);
  return there.sort((one, other) => away(one) - away(other))[0];
}
