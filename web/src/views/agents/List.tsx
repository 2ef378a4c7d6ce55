/** The same as a list, newest first: for those who do not see a chart, and those who want to read. */
import { useMemo } from 'preact/hooks';
import { Dialog, EmptyState, VirtualList, dayOf } from '../../parts';
import { Line, counts } from './Piece';
import type { Lane, Piece } from './pieces';
import type { Span } from './span';

export function List({ lanes, span }: { lanes: Lane[]; span: Span }) {
  const rows = useMemo(() => {
    const isShown = ({ from, to }: Piece) => from <= span.to && (to ?? span.now) >= span.from;
    const all = lanes.flatMap((lane) => lane.pieces.filter(isShown).map((piece) => ({ lane: lane.name, piece })));
    return withDays(all.sort((one, other) => other.piece.from - one.piece.from));
  }, [lanes, span.from, span.to]);
  if (rows.length === 0) return <EmptyState title="Nothing happened in this time" />;
  return (
    <div class="agents-list-frame sheet">
      <VirtualList label="What happened, newest first" class="agents-list" items={rows} estimate={56} itemKey={keyOf}>
        {(row) => ('day' in row ? <h2 class="agents-day">{row.day}</h2> : <Line of={row.piece} lane={row.lane} now={span.now} />)}
      </VirtualList>
    </div>
  );
}

type Row = { lane: string; piece: Piece } | { day: string };

const keyOf = (row: Row): string => ('day' in row ? row.day : `${row.piece.kind} ${row.piece.key}`);

function withDays(rows: { lane: string; piece: Piece }[]): Row[] {
  let last = '';
  return rows.flatMap((row) => {
    const day = dayOf(row.piece.from);
    const isNew = day !== last;
    last = day;
    return isNew ? [{ day }, row] : [row];
  });
}

/** Pieces up to which a dialog is as long as they are. */
const FEW = 8;

/** What one block of several consists of. */
export function Several({ lane, pieces, now, onClose }: { lane: string; pieces: Piece[]; now: number; onClose: () => void }) {
  const newest = [...pieces].sort((one, other) => other.from - one.from);
  return (
    <Dialog title={`${lane}: ${counts(pieces)}`} onClose={onClose} isWide>
      {newest.length > FEW ? (
        <VirtualList label={counts(pieces)} class="agents-several" items={newest} estimate={56} itemKey={({ kind, key }) => `${kind} ${key}`}>
          {(piece) => <Line of={piece} now={now} />}
        </VirtualList>
      ) : (
        <ul>{newest.map((piece) => <li key={`${piece.kind} ${piece.key}`}><Line of={piece} now={now} /></li>)}</ul>
      )}
    </Dialog>
  );
}
