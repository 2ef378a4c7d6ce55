/**
 * A list that only grows at its head, newest first: `usePages` for logs of any length.
 *
 * `refresh` reads from the head until it meets a row that is known, so that it costs the same however far somebody has
 * scrolled. The rows that it reads take the place of what was known of them; older ones stay as they are. Ids are in
 * the order of time (UUID version 7), so that they can be compared.
 */
import { useRef } from 'preact/hooks';
import { PAGE_ROWS, useMore, useResource, type Page, type Pages, type Rows } from './resource';

export interface Part {
  cursor: string | undefined;
  limit: number;
}

/** Pages that a refresh reads at most; when more has happened meanwhile, the list begins anew. */
const LONGEST_REFRESH = 5;
const MOST_ROWS = 200;

/** What is known, once `fresh` was read from the head of the list; `cursor` says that there is more behind it. */
export function merge<T extends { id: string }>(known: Rows<T> | undefined, fresh: T[], cursor: string | undefined): Rows<T> {
  const last = fresh.at(-1);
  const newest = known?.items[0];
  if (!known || !last || !newest || !cursor || newest.id < last.id) return { items: fresh, cursor };
  const older = known.items.filter(({ id }) => id < last.id);
  return { items: [...fresh, ...older], cursor: older.length > 0 ? known.cursor : cursor };
}

/** `freshRows`: how many of the newest rows a refresh reads at least, because they may have changed. */
export function useNewest<T extends { id: string }>(
  key: string,
  read: (part: Part, signal: AbortSignal) => Promise<Page<T>>,
  freshRows = MOST_ROWS,
): Pages<T> {
  const rows = useRef<Rows<T>>();
  const first = useResource<Rows<T>>(key, async (signal) => {
    const newest = rows.current?.items[0];
    const fresh: T[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const limit = newest ? (pages === 0 ? freshRows : MOST_ROWS) : PAGE_ROWS;
      const page = await read({ cursor, limit }, signal);
      fresh.push(...page.items);
      cursor = page.nextCursor ?? undefined;
      pages += 1;
    } while (cursor && newest && newest.id < (fresh.at(-1)?.id ?? '') && pages < LONGEST_REFRESH);
    return merge(rows.current, fresh, cursor);
  });
  rows.current = first.value;
  // A refresh meanwhile changes the head; the page goes behind the same last row.
  return useMore(first, (cursor, signal) => read({ cursor, limit: PAGE_ROWS }, signal), (now, known) => now.cursor === known.cursor);
}
