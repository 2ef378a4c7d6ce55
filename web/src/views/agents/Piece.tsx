/** How a piece is told: its mark, a line of it, and the card that shows what a block is. */
import {
  Ban, Check, ExternalLink, GitCommitHorizontal, ListChecks, ListMinus, ListTodo, ListX, Play, Shield, ShieldAlert, ShieldCheck, ShieldX,
  TriangleAlert, TriangleDashed, Unplug, X,
} from 'lucide-preact';
import { Badge, Time, count, duration, moment, type Tone } from '../../parts';
import type { Block } from './layout';
import type { Kind, Piece } from './pieces';

export const KINDS: Record<Kind, { icon: typeof Play; one: string; many: string }> = {
  claim: { icon: ListTodo, one: 'claim', many: 'claims' },
  run: { icon: Play, one: 'run', many: 'runs' },
  push: { icon: GitCommitHorizontal, one: 'push', many: 'pushes' },
  gate: { icon: ShieldCheck, one: 'gate', many: 'gates' },
  conflict: { icon: TriangleAlert, one: 'conflict', many: 'conflicts' },
};

/** How it ended has a shape as well as a colour; what is not here looks as its kind does. */
const ENDS: Record<Kind, Partial<Record<Tone, typeof Play>>> = {
  claim: { good: ListChecks, warn: ListX, plain: ListMinus },
  run: { good: Check, bad: X, warn: Unplug, plain: Ban },
  push: {},
  gate: { bad: ShieldX, warn: ShieldAlert, plain: Shield },
  conflict: { plain: TriangleDashed },
};

export const iconOf = ({ kind, tone }: { kind: Kind; tone: Tone }): typeof Play => ENDS[kind][tone] ?? KINDS[kind].icon;

/** Pieces that a card names before it counts. */
const NAMED = 5;

const iso = (at: number): string => new Date(at).toISOString();
const lasts = ({ kind }: Piece): boolean => kind === 'claim' || kind === 'run';

function took({ from, to, isOlder }: Piece, now: number): string {
  const length = duration(Math.max((to ?? now) - from, 0));
  return `${isOlder ? 'more than ' : ''}${length}${to === undefined ? ' so far' : ''}`;
}

/** `3 runs, 1 gate`. */
export function counts(pieces: readonly Piece[]): string {
  const all = Object.entries(KINDS) as [Kind, (typeof KINDS)[Kind]][];
  const told = all.map(([kind, { one, many }]) => [pieces.filter((piece) => piece.kind === kind).length, one, many] as const);
  return told.flatMap(([number, one, many]) => (number > 0 ? [count(number, one, many)] : [])).join(', ');
}

/** Everything in one sentence, for those who hear it. */
export function sentenceOf(pieces: readonly Piece[], now: number): string {
  const [piece] = pieces;
  // What is heard begins with what is seen: those who speak to their computer say it.
  if (!piece || pieces.length > 1) return `${pieces.every(({ kind }) => kind === piece?.kind) ? '' : `${pieces.length}: `}${counts(pieces)}`;
  const when = lasts(piece) ? `from ${moment(piece.from)}, ${took(piece, now)}` : `at ${moment(piece.from)}`;
  return `${KINDS[piece.kind].one}: ${piece.title}, ${piece.state}, ${when}`;
}

export function When({ of, now }: { of: Piece; now: number }) {
  return (
    <>
      {of.isOlder ? 'before ' : ''}
      <Time at={iso(of.from)} form="clock" />
      {lasts(of) && (
        <>
          {' – '}
          {of.to === undefined ? 'now' : <Time at={iso(of.to)} form="clock" />}
          <span class="agents-took"> · {took(of, now)}</span>
        </>
      )}
    </>
  );
}

export function Mark({ of }: { of: Piece }) {
  const { one } = KINDS[of.kind];
  const Icon = iconOf(of);
  return (
    <span class="agents-sign" data-tone={of.tone} title={one}>
      <Icon size={14} aria-hidden="true" />
      <span class="unseen">{one}:</span>
    </span>
  );
}

/** A piece on a line: of the list, and of what a block consists of. */
export function Line({ of, lane, now }: { of: Piece; lane?: string; now: number }) {
  return (
    <div class="agents-line">
      <Mark of={of} />
      <div class="agents-line-text">
        <p>
          {lane && <strong>{lane} </strong>}
          <Leading of={of} />
        </p>
        {of.more && <p class="faint small cut" title={of.more}>{of.more}</p>}
      </div>
      <Badge tone={of.tone}>{of.state}</Badge>
      <span class="faint small number agents-when"><When of={of} now={now} /></span>
    </div>
  );
}

export const isOutside = (href: string | undefined): boolean => !href?.startsWith('/');

/** Its title, which leads to the item, run or commit. */
function Leading({ of }: { of: Piece }) {
  if (!of.href) return <>{of.title}</>;
  if (!isOutside(of.href)) return <a href={of.href}>{of.title}</a>;
  return (
    <a href={of.href} target="_blank" rel="noreferrer">
      {of.title} <ExternalLink size={12} aria-label="(at the Git host)" />
    </a>
  );
}

const LEADS: Record<Kind, string> = {
  claim: 'Opens the work item', run: 'Opens where it ran', push: 'Opens the commits at the Git host', gate: 'Opens the gate', conflict: 'Opens the conflict',
};

/** What stands beside a block while it has the pointer or the focus. */
export function Card({ of, lane, now }: { of: Block; lane: string; now: number }) {
  const [first] = of.pieces;
  if (!first) return null;
  if (of.pieces.length > 1) {
    const newest = of.pieces.slice(-NAMED).reverse();
    return (
      <>
        <p class="agents-card-title">{counts(of.pieces)}</p>
        <p class="faint small">{lane}</p>
        <ul>
          {newest.map((piece) => (
            <li key={piece.key} class="small">
              <Mark of={piece} />
              <span class="cut">{piece.title}</span>
              <span class="faint agents-card-state">{piece.state}</span>
            </li>
          ))}
        </ul>
        <p class="faint small">{of.pieces.length > NAMED ? `and ${of.pieces.length - NAMED} more. ` : ''}Press to see each.</p>
      </>
    );
  }
  return (
    <>
      <p class="agents-card-title"><Mark of={first} /> {first.title}</p>
      <p class="small"><Badge tone={first.tone}>{first.state}</Badge> <span class="faint">{lane}</span></p>
      <p class="small number"><When of={first} now={now} /></p>
      {first.more && <p class="faint small agents-card-more">{first.more}</p>}
      {first.href && <p class="faint small">{first.kind === 'run' && !isOutside(first.href) ? 'Opens the work item' : LEADS[first.kind]}</p>}
    </>
  );
}
