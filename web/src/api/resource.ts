/**
 * Hooks that hold what the service knows: one thing (`useResource`), or a list that is read page by page (`usePages`).
 *
 * Both keep showing what they have while they read again, so that a live view never flickers; both forget an answer
 * that comes late for something that is not asked for any more. What could not be read because the service was away is
 * read once it is back. `refresh` is what `useLive` calls.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from './problem';

export interface Resource<T> {
  /** What is known; also while it is read again, and when reading it again failed. */
  value: T | undefined;
  problem: Problem | undefined;
  isLoading: boolean;
  /** Reads it again; ends when it was read. */
  refresh: () => Promise<void>;
  /** Puts what a write answered, or a guess that a refresh will mend, in place of what is known. */
  set: (change: (value: T | undefined) => T | undefined) => void;
}

interface State<T> {
  key: string;
  value: T | undefined;
  problem: Problem | undefined;
  isLoading: boolean;
}

/** Between two attempts to reach a service that is away. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;

/** One thing. `key` says which: another key means another thing; an empty one means that nothing is asked for. */
export function useResource<T>(key: string, read: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const nothing: State<T> = { key, value: undefined, problem: undefined, isLoading: key !== '' };
  const [state, setState] = useState<State<T>>(nothing);
  const shown = state.key === key ? state : nothing;
  const reader = useRef(read);
  reader.current = read;
  const running = useRef<AbortController>();

  const refresh = useCallback(async () => {
    if (key === '') return;
    running.current?.abort();
    const run = (running.current = new AbortController());
    setState((known) => ({ ...(known.key === key ? known : nothing), isLoading: true }));
    try {
      const value = await reader.current(run.signal);
      if (!run.signal.aborted) setState({ key, value, problem: undefined, isLoading: false });
    } catch (thrown) {
      if (run.signal.aborted) return;
      const problem = Problem.from(thrown);
      // What somebody may not see any more is not shown any more.
      const keep = !problem.isForbidden && !problem.isMissing;
      setState((known) => ({ key, value: keep && known.key === key ? known.value : undefined, problem, isLoading: false }));
    }
  }, [key]);

  useEffect(() => {
    void refresh();
    return () => running.current?.abort();
  }, [refresh]);

  const failures = useRef(0);
  const { problem, isLoading } = shown;
  useEffect(() => {
    if (isLoading) return;
    if (!problem) failures.current = 0;
    if (!problem?.isPassing) return;
    const timer = setTimeout(() => void refresh(), Math.min(FIRST_WAIT_MS * 2 ** failures.current, LONGEST_WAIT_MS));
    failures.current += 1;
    return () => clearTimeout(timer);
  }, [problem, isLoading, refresh]);

  const set = useCallback(
    (change: (value: T | undefined) => T | undefined) =>
      setState((known) => ({ ...known, value: change(known.key === key ? known.value : undefined) })),
    [key],
  );
  return { ...shown, refresh, set };
}

export interface Page<T> {
  items: T[];
  nextCursor?: string | null;
}

export interface Pages<T> {
  items: T[];
  problem: Problem | undefined;
  /** The first page is being read, and there is nothing to show yet. */
  isLoading: boolean;
  isLoadingMore: boolean;
  hasMore: boolean;
  /** Reads the next page, if there is one and none is being read. */
  more: () => Promise<void>;
  /** Reads again as many rows as are shown. */
  refresh: () => Promise<void>;
  set: (change: (items: T[]) => T[]) => void;
}

/** Rows that one request asks for; the service gives 200 at most. */
export const PAGE_ROWS = 100;
/** Rows that a refresh reads again at most; behind them the list is cut, and read on when it is scrolled to. */
const REFRESHED_ROWS = 1_000;

/** The rows of a list that are known, and where it goes on. */
export interface Rows<T> {
  items: T[];
  cursor: string | undefined;
}

/**
 * What a list is for those who show it: its rows, and the way to the next page. `read` asks for that; it is added unless
 * a refresh has made it belong elsewhere meanwhile, which `fits` says.
 */
export function useMore<T>(
  first: Resource<Rows<T>>,
  read: (cursor: string, signal: AbortSignal) => Promise<Page<T>>,
  fits: (now: Rows<T>, known: Rows<T>) => boolean,
): Pages<T> {
  const now = useRef({ rows: first.value, read, fits });
  now.current = { rows: first.value, read, fits };
  const [isLoadingMore, setLoadingMore] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const loading = useRef(false);

  const more = useCallback(async () => {
    const { rows: known, read, fits } = now.current;
    if (!known?.cursor || loading.current) return;
    loading.current = true;
    setLoadingMore(true);
    try {
      const page = await read(known.cursor, new AbortController().signal);
      setProblem(undefined);
      first.set((rows) =>
        rows && fits(rows, known) ? { items: [...rows.items, ...page.items], cursor: page.nextCursor ?? undefined } : rows,
      );
    } catch (thrown) {
      setProblem(Problem.from(thrown));
    } finally {
      loading.current = false;
      setLoadingMore(false);
    }
  }, [first.set]);

  const set = useCallback(
    (change: (items: T[]) => T[]) => first.set((rows) => rows && { ...rows, items: change(rows.items) }),
    [first.set],
  );
  return {
    items: first.value?.items ?? [],
    problem: first.problem ?? problem,
    isLoading: first.isLoading && !first.value,
    isLoadingMore,
    hasMore: Boolean(first.value?.cursor),
    more,
    refresh: first.refresh,
    set,
  };
}

/** A list of the service. `read` asks for the page behind `cursor`; another `key` means another list. */
export function usePages<T>(
  key: string,
  read: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>,
): Pages<T> {
  const rows = useRef<Rows<T>>();
  const first = useResource<Rows<T>>(key, async (signal) => {
    const wanted = Math.min(rows.current?.items.length ?? 0, REFRESHED_ROWS);
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const page = await read(cursor, signal);
      items.push(...page.items);
      cursor = page.nextCursor ?? undefined;
    } while (cursor && items.length < wanted);
    return { items, cursor };
  });
  rows.current = first.value;
  // A refresh may have been faster; its rows stand, and the page is read again when it is scrolled to.
  return useMore(first, read, (now, known) => now === known);
}
