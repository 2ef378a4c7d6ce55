/**
 * What the map shows: documents and what they build on, in so few boxes that one can read them.
 *
 * Where there are more documents than a picture takes, those become one box, a stack, that are of one kind, stand
 * alike, and build on the same. As few are stacked as the limit allows, and the document one looks at never is.
 */
import type { Schema } from '../../api/client';

export type Graph = Schema<'ArtifactGraph'>;
export type Conflict = Schema<'Conflict'>;
type Node = Graph['nodes'][number];
type Edge = Graph['edges'][number];

/** `broken`: what is built on is not there. `stale`: another version is there. `settled`: so, and somebody said it is fine. */
export type Mark = 'fine' | 'settled' | 'stale' | 'broken';

export interface Box {
  /** Its path; of a stack, what its members have in common. */
  key: string;
  kind: string;
  mark: Mark;
  isMissing: boolean;
  /** One document, or those of a stack, by path. */
  members: Node[];
}

export interface Link {
  key: string;
  /** The one that builds on the other. */
  from: string;
  to: string;
  mark: Mark;
  /** The version that is wanted, and the one there is. */
  wanted?: string;
  found?: string;
  /** What a conflict says of it. */
  why?: string;
  /** Dependencies that this line stands for. */
  count: number;
}

export interface Picture {
  boxes: Box[];
  links: Link[];
  documents: number;
}

/** Boxes that one can still read. */
export const READABLE = 36;
/** So many that are alike are shown one by one. */
const FEW = 4;
const ROUNDS = 6;
const WORST: Record<Mark, number> = { fine: 0, settled: 1, stale: 2, broken: 3 };

const worse = (one: Mark, other: Mark): Mark => (WORST[one] >= WORST[other] ? one : other);

export function draw(graph: Graph, conflicts: readonly Conflict[] | undefined, focus?: string): Picture {
  const links = marked(graph, conflicts);
  const marks = new Map<string, Mark>();
  for (const { from, mark } of links) marks.set(from, worse(marks.get(from) ?? 'fine', mark));
  const markOf = (path: string): Mark => {
    const mark = marks.get(path) ?? 'fine';
    return mark === 'settled' ? 'fine' : mark;
  };
  const classes = classify(graph, markOf, focus);
  const boxes = new Map<string, Box>();
  for (const node of graph.nodes) {
    const key = classes.get(node.path) ?? node.path;
    const box = boxes.get(key);
    if (box) box.members.push(node);
    else boxes.set(key, { key, kind: node.kind ?? 'other', mark: markOf(node.path), isMissing: node.missing, members: [node] });
  }
  return { boxes: [...boxes.values()], links: joined(links, classes), documents: graph.nodes.length };
}

/** Every dependency with what is wrong with it. */
export function marked(graph: Graph, conflicts: readonly Conflict[] | undefined): Link[] {
  const nodes = new Map(graph.nodes.map((node) => [node.path, node]));
  const told = new Map(conflicts?.map((conflict) => [`${conflict.artifactPath}\n${conflict.dependencyPath}`, conflict]));
  return graph.edges.map((edge) => {
    const conflict = told.get(`${edge.from}\n${edge.to}`);
    const target = nodes.get(edge.to);
    return {
      key: `${edge.from}\n${edge.to}`,
      from: edge.from,
      to: edge.to,
      mark: markOf(edge, target, conflict, conflicts !== undefined),
      wanted: edge.version ?? undefined,
      found: target?.version ?? undefined,
      why: conflict?.message,
      count: 1,
    };
  });
}

function markOf(edge: Edge, target: Node | undefined, conflict: Conflict | undefined, isKnown: boolean): Mark {
  if (conflict?.kind === 'dependency_broken' || target?.missing !== false) return 'broken';
  if (conflict?.kind === 'version_mismatch') return 'stale';
  if (!edge.stale) return 'fine';
  return isKnown ? 'settled' : 'stale';
}

/** Which box each document is in: the finest division that is readable. */
function classify(graph: Graph, markOf: (path: string) => Mark, focus: string | undefined): Map<string, string> {
  const own = new Map(graph.nodes.map(({ path }) => [path, path]));
  if (graph.nodes.length <= READABLE) return own;
  const targets = new Map<string, string[]>();
  for (const { from, to } of graph.edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  const look = ({ path, kind, missing }: Node) => `${kind ?? 'other'} ${missing ? 'missing' : markOf(path)}`;
  const coarsest = new Map(graph.nodes.map((node) => [node.path, node.path === focus ? node.path : look(node)]));
  let best = coarsest;
  let now = coarsest;
  for (let round = 0; round < ROUNDS; round++) {
    const known = apart(now);
    if (new Set(known.values()).size <= READABLE) best = known;
    const next = new Map(graph.nodes.map((node) => {
      const { path } = node;
      if (known.get(path) === path) return [path, path];
      const on = [...new Set(targets.get(path)?.map((target) => known.get(target) ?? target))].sort();
      return [path, `${look(node)} on ${on.join(', ')}`];
    }));
    now = next;
  }
  return best;
}

/** Those of which there are few stand for themselves. */
function apart(classes: Map<string, string>): Map<string, string> {
  const sizes = new Map<string, number>();
  for (const key of classes.values()) sizes.set(key, (sizes.get(key) ?? 0) + 1);
  return new Map([...classes].map(([path, key]) => [path, (sizes.get(key) ?? 0) <= FEW ? path : key]));
}

/** Lines between boxes; what happens within a stack is not drawn. */
function joined(links: Link[], classes: Map<string, string>): Link[] {
  const lines = new Map<string, Link>();
  for (const link of links) {
    const from = classes.get(link.from) ?? link.from;
    const to = classes.get(link.to) ?? link.to;
    if (from === to) continue;
    const key = `${from}\n${to}`;
    const line = lines.get(key);
    if (!line) {
      lines.set(key, { ...link, key, from, to });
      continue;
    }
    line.count++;
    line.mark = worse(line.mark, link.mark);
    line.why = undefined;
    if (line.wanted !== link.wanted) line.wanted = undefined;
    if (line.found !== link.found) line.found = undefined;
  }
  return [...lines.values()];
}
