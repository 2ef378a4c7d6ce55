/** The conflict map: who is where, joined from reservations and open conflicts. */
import type { Schema } from '../../api/client';
import { covers, folderOf } from './patterns';

export type Reservation = Schema<'Reservation'>;
export type Conflict = Schema<'Conflict'>;

/** What somebody does at a place; of several the last one is shown. That it clashes is marked beside it. */
export const STATES = ['clash', 'touched', 'shared', 'exclusive', 'violated'] as const;
export type CellState = (typeof STATES)[number];

export interface Cell {
  state: CellState;
  /** Whether something clashes here, whatever the state. */
  isHot: boolean;
  reservations: Reservation[];
  conflicts: Conflict[];
}

export interface Place {
  /** A pattern as it was reserved, a path, or a folder of several. */
  path: string;
  /** How many patterns and paths it stands for. */
  count: number;
  cells: Map<string, Cell>;
}

export interface Column {
  id: string;
  name: string;
}

export interface ConflictMap {
  columns: Column[];
  places: Place[];
  /** Whether places are folders, because there are too many patterns. */
  isFolded: boolean;
}

/** The column of what is nobody's: documents that do not fit each other. */
export const DOCUMENTS = 'documents';

/** Rows that a map has before patterns are folded into their folders. */
const MOST_ROWS = 24;
const DEEPEST = 4;
/** Rows that folders are to have at least, if going deeper gives more of them. */
const LEAST_ROWS = 6;

interface Party {
  id: string;
  name: string;
}

export interface Edit {
  parties: Party[];
  paths: string[];
}

/** Who is in a conflict between those who edit, and over which files; the holder comes first. */
export function editOf({ edit }: Conflict): Edit | undefined {
  if (typeof edit !== 'object' || edit === null) return undefined;
  const { principals, paths } = edit as { principals?: { id?: string | null; name: string }[]; paths?: string[] };
  return { parties: (principals ?? []).map(({ id, name }) => ({ id: id ?? `name ${name}`, name })), paths: paths ?? [] };
}

const plain = (path: string): string => path.replace(/^\//, '');

/** What is reserved, by the folder that each pattern is about: a path has to be compared with few of them. */
class Reserved {
  private readonly holders = new Map<string, Reservation[]>();
  private readonly byFolder = new Map<string, string[]>();

  constructor(reservations: readonly Reservation[]) {
    for (const reservation of reservations) {
      for (const path of new Set(reservation.paths)) {
        const known = this.holders.get(path);
        if (known) known.push(reservation);
        else {
          this.holders.set(path, [reservation]);
          // A name without a slash is meant in every folder.
          const folder = /\/./.test(path) ? folderOf(path, Infinity) : '';
          this.byFolder.set(folder, [...(this.byFolder.get(folder) ?? []), path]);
        }
      }
    }
  }

  patterns(): Iterable<string> {
    return this.holders.keys();
  }

  by(pattern: string): Reservation[] {
    return this.holders.get(pattern) ?? [];
  }

  /** The patterns that cover a path, or are that very text. */
  covering(path: string): string[] {
    const parts = plain(path).split('/');
    const folders = parts.map((_, depth) => parts.slice(0, depth).join('/'));
    return folders.flatMap((folder) => (this.byFolder.get(folder) ?? []).filter((pattern) => pattern === path || covers(pattern, path)));
  }
}

export function mapOf(reservations: readonly Reservation[], conflicts: readonly Conflict[]): ConflictMap {
  const columns = new Map<string, string>();
  const places = new Map<string, Place>();
  const placeOf = (path: string): Place => {
    const known = places.get(path) ?? { path, count: 1, cells: new Map<string, Cell>() };
    places.set(path, known);
    return known;
  };
  const reserved = new Reserved(reservations);
  for (const path of reserved.patterns()) {
    for (const pattern of reserved.covering(path)) {
      for (const reservation of reserved.by(pattern)) {
        columns.set(reservation.holderId, reservation.holderName);
        put(placeOf(path), reservation.holderId, reservation.mode === 'shared' ? 'shared' : 'exclusive', { reservation });
      }
    }
  }
  for (const conflict of conflicts) {
    const edit = editOf(conflict);
    if (!edit) {
      columns.set(DOCUMENTS, 'Documents');
      put(placeOf(plain(conflict.artifactPath)), DOCUMENTS, 'clash', { conflict });
      continue;
    }
    const paths = edit.paths.length > 0 ? edit.paths : [conflict.artifactPath];
    // A file that somebody reserved shows up at what they reserved.
    const here = new Set(paths.flatMap((path) => {
      const known = reserved.covering(path);
      return known.length > 0 ? known : [plain(path)];
    }));
    for (const path of here) {
      edit.parties.forEach(({ id, name }, index) => {
        columns.set(id, name);
        const isIntruder = conflict.kind === 'reservation_violated' && index > 0;
        const isHolder = conflict.kind === 'reservation_violated' && index === 0;
        put(placeOf(path), id, isIntruder ? 'violated' : conflict.kind === 'concurrent_edit' || isHolder ? 'touched' : 'clash', { conflict });
      });
    }
  }
  const { shown, isFolded } = fold([...places.values()]);
  const heat = ({ cells }: Place) => Math.max(...[...cells.values()].map((cell) => (cell.isHot ? 10 : 0) + STATES.indexOf(cell.state)));
  return {
    columns: [...columns].map(([id, name]) => ({ id, name })).sort((one, other) =>
      Number(one.id === DOCUMENTS) - Number(other.id === DOCUMENTS) || one.name.localeCompare(other.name)),
    places: shown.sort((one, other) => Number(heat(other) >= 10) - Number(heat(one) >= 10) || one.path.localeCompare(other.path)),
    isFolded,
  };
}

function put(place: Place, column: string, state: CellState, what: { reservation?: Reservation; conflict?: Conflict }): void {
  const cell = place.cells.get(column) ?? { state, isHot: false, reservations: [], conflicts: [] };
  if (STATES.indexOf(state) > STATES.indexOf(cell.state)) cell.state = state;
  if (what.conflict) cell.isHot = true;
  if (what.reservation && !cell.reservations.includes(what.reservation)) cell.reservations.push(what.reservation);
  if (what.conflict && !cell.conflicts.includes(what.conflict)) cell.conflicts.push(what.conflict);
  place.cells.set(column, cell);
}

/** Places as they are or, if they are too many, the deepest folders that are few enough. */
function fold(places: Place[]): { shown: Place[]; isFolded: boolean } {
  if (places.length <= MOST_ROWS) return { shown: places, isFolded: false };
  let folded = new Map<string, Place[]>();
  for (let depth = DEEPEST; depth >= 1; depth--) {
    const deeper = folded;
    folded = new Map();
    for (const place of places) {
      const folder = folderOf(place.path, depth);
      const known = folded.get(folder);
      if (known) known.push(place);
      else folded.set(folder, [place]);
    }
    // Two rows tell nothing; rather too many, of which those that clash come first.
    if (folded.size < LEAST_ROWS && deeper.size > 0) folded = deeper;
    if (folded === deeper || folded.size <= MOST_ROWS) break;
  }
  const shown = [...folded].map(([folder, all]): Place => {
    const [only] = all;
    if (only && all.length === 1) return only;
    const place: Place = { path: folder ? `${folder}/` : 'whole repository', count: all.length, cells: new Map() };
    for (const { cells } of all) {
      for (const [column, { state, reservations, conflicts }] of cells) {
        for (const reservation of reservations) put(place, column, state, { reservation });
        for (const conflict of conflicts) put(place, column, state, { conflict });
      }
    }
    return place;
  });
  return { shown, isFolded: true };
}
