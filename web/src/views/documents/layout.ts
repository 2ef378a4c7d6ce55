/** Where each box of the map stands: what is built on at the left, what builds on it to the right, by dagre. */
import { Graph, layout } from '@dagrejs/dagre';
import type { Link, Picture } from './graph';

export const BOX_WIDTH = 208;
export const BOX_HEIGHT = 58;
const LABEL_HEIGHT = 22;
const LETTER_WIDTH = 7;
/** How far a line goes straight on from a box. */
const LEVEL = 24;

export interface Point {
  x: number;
  y: number;
}

export interface Placed {
  width: number;
  height: number;
  /** The middle of each box. */
  boxes: Map<string, Point>;
  links: Map<string, { path: string; label: Point }>;
}

/** `label` gives what stands on a line, for which there has to be room. */
export function place({ boxes, links }: Picture, label: (link: Link) => string): Placed {
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 18, edgesep: 12, ranksep: 48, marginx: 24, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { key } of boxes) graph.setNode(key, { width: BOX_WIDTH, height: BOX_HEIGHT });
  for (const link of links) {
    const text = label(link);
    const room = text ? { width: text.length * LETTER_WIDTH + 18, height: LABEL_HEIGHT, labelpos: 'c' } : {};
    graph.setEdge(link.to, link.from, room);
  }
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    width,
    height,
    boxes: new Map(boxes.map(({ key }) => [key, middle(graph.node(key))])),
    links: new Map(links.map(({ key, from, to }) => {
      const { points = [], x, y } = graph.edge(to, from) as { points?: Point[]; x?: number; y?: number };
      const label = x === undefined || y === undefined ? points[Math.floor(points.length / 2)] : { x, y };
      const ends = fromSide(points, middle(graph.node(to)), middle(graph.node(from)));
      return [key, { path: smooth(ends), label: label ?? { x: 0, y: 0 } }];
    })),
  };
}

const middle = ({ x, y }: { x?: number; y?: number }): Point => ({ x: x ?? 0, y: y ?? 0 });

/** Lines leave and meet boxes in the middle of their sides, level; where a circle leads back they may come from anywhere. */
function fromSide(points: Point[], left: Point, right: Point): Point[] {
  const begin = { x: left.x + BOX_WIDTH / 2, y: left.y };
  const end = { x: right.x - BOX_WIDTH / 2, y: right.y };
  if (end.x - begin.x < 2 * LEVEL) return points;
  return [begin, { x: begin.x + LEVEL, y: begin.y }, ...points.slice(1, -1), { x: end.x - LEVEL, y: end.y }, end];
}

/** A line through points, round at its corners. */
export function smooth(points: Point[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  const said = ({ x, y }: Point) => `${round(x)} ${round(y)}`;
  if (rest.length < 2) return `M${said(first)}${rest.map((point) => `L${said(point)}`).join('')}`;
  let path = `M${said(first)}`;
  for (let at = 0; at < rest.length - 1; at++) {
    const corner = rest[at] as Point;
    const next = rest[at + 1] as Point;
    const end = at === rest.length - 2 ? next : { x: (corner.x + next.x) / 2, y: (corner.y + next.y) / 2 };
    path += `Q${said(corner)} ${said(end)}`;
  }
  return path;
}

const round = (number: number): number => Math.round(number * 10) / 10;

/** The box that lies next in a direction, for the arrow keys. */
export function beside(boxes: ReadonlyMap<string, Point>, from: string, key: string): string | undefined {
  const here = boxes.get(from);
  if (!here) return undefined;
  const [dx, dy] = DIRECTIONS[key] ?? [0, 0];
  let best: string | undefined;
  let least = Infinity;
  for (const [other, { x, y }] of boxes) {
    const along = (x - here.x) * dx + (y - here.y) * dy;
    if (other === from || along <= 1) continue;
    const aside = Math.abs((x - here.x) * dy) + Math.abs((y - here.y) * dx);
    // Up and down keep to the column; to the sides the next column comes first.
    const cost = along + aside * (dx === 0 ? 4 : 0.8);
    if (cost < least) [best, least] = [other, cost];
  }
  return best;
}

const DIRECTIONS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
