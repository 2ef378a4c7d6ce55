/** The conflict map as a table: agents beside each other, places below each other, and a word in each cell. */
import { FilePen, Lock, TriangleAlert, Users, type Bot } from 'lucide-preact';
import { count } from '../../parts';
import { DOCUMENTS, type Cell, type CellState, type Column, type ConflictMap, type Place } from './map';

const LOOKS: Record<CellState, { icon: typeof Bot; word: string; about: string }> = {
  exclusive: { icon: Lock, word: 'exclusive', about: 'reserved, nobody else is to edit it' },
  shared: { icon: Users, word: 'shared', about: 'reserved together with others' },
  touched: { icon: FilePen, word: 'touched', about: 'edited, without a reservation' },
  clash: { icon: TriangleAlert, word: 'clash', about: 'in the way of what is reserved or written here' },
  violated: { icon: TriangleAlert, word: 'violated', about: 'pushed what somebody else keeps for themselves' },
};

const ORDER: CellState[] = ['exclusive', 'shared', 'touched', 'clash', 'violated'];

/** Rows and columns that are shown; more of them nobody can read. */
const MOST_ROWS = 60;
const MOST_COLUMNS = 80;

interface HeatProps {
  of: ConflictMap;
  onOpen: (place: Place, column: Column, cell: Cell) => void;
}

export function Heat({ of, onOpen }: HeatProps) {
  const columns = of.columns.slice(0, MOST_COLUMNS);
  const places = of.places.slice(0, MOST_ROWS);
  const left = [
    of.places.length > places.length && count(of.places.length - places.length, 'folder'),
    of.columns.length > columns.length && count(of.columns.length - columns.length, 'agent'),
  ].filter(Boolean);
  return (
    <>
      <div class="conflicts-map sheet" role="region" aria-label="Conflict map" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col" class="conflicts-corner faint small">{of.isFolded ? 'Folder' : 'Path'}</th>
              {columns.map(({ id, name }) => (
                <th scope="col" key={id} class={id === DOCUMENTS ? 'nobody' : undefined} title={name}><span>{name}</span></th>
              ))}
            </tr>
          </thead>
          <tbody>
            {places.map((place) => (
              <tr key={place.path}>
                <th scope="row">
                  <code>{place.path}</code>
                  {place.count > 1 && <span class="faint small"> {place.count} patterns</span>}
                </th>
                {columns.map((column) => {
                  const cell = place.cells.get(column.id);
                  return <td key={column.id}>{cell && <Hold of={cell} place={place} column={column} onOpen={() => onOpen(place, column, cell)} />}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul class="conflicts-legend faint small" aria-label="What the words mean">
        {ORDER.map((state) => {
          const { icon: Icon, word, about } = LOOKS[state];
          return (
            <li key={state}>
              <span class="conflicts-key" data-state={state}><Icon size={13} aria-hidden="true" /> {word}</span> {about}
            </li>
          );
        })}
        {left.length > 0 && <li>{left.join(' and ')} not shown</li>}
      </ul>
    </>
  );
}

function Hold({ of, place, column, onOpen }: { of: Cell; place: Place; column: Column; onOpen: () => void }) {
  const { icon: Icon, word } = LOOKS[of.state];
  const number = of.conflicts.length;
  const told = [of.reservations.length > 0 && count(of.reservations.length, 'reservation'), number > 0 && count(number, 'conflict')];
  const isMarked = of.isHot && of.state !== 'clash' && of.state !== 'violated';
  return (
    <button type="button" class="conflicts-cell" data-state={of.state} data-hot={of.isHot || undefined} onClick={onOpen}
      aria-label={`${word}${number > 1 ? ` ${number}` : ''}: ${column.name} at ${place.path}, ${told.filter(Boolean).join(', ')}`}>
      <Icon size={14} aria-hidden="true" />
      <span>{word}</span>
      {isMarked && <TriangleAlert class="conflicts-cell-mark" size={13} aria-hidden="true" />}
      {number > 1 && <span class="number conflicts-cell-count"> {number}</span>}
    </button>
  );
}
