/**
 * The items of a board, kept as they are at the service.
 *
 * They are read lane by lane: what is open first, so that a board with thousands of done items is there at once. From then
 * on events say what has changed; what they leave out is read item by item. A move that has not been answered yet lies
 * over what is known, so that a refusal has nothing to undo: what is known shows again.
 */
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, need, needTagged } from '../../api/client';
import { Problem } from '../../api/problem';
import type { Project } from '../../api/projects';
import type { Event } from '../../live/socket';
import { paced, useLive, type EventName } from '../../live/useLive';
import { lanesOf, newsOf, type Item, type Place } from './items';

const NAMES: EventName[] = ['work_item_changed', 'work_claimed', 'work_released', 'agent_status_changed'];
const PAGE_ROWS = 200;
/** Items of one lane that are read at most. */
const MOST = 10_000;
/** Single items that are read at once; for more of them the open lanes are read again. */
const SINGLES = 30;
/** How often held items are read again: signs of life are not told as events. */
const PRESENCE_MS = 20_000;
/** For how long a card shows that somebody has just changed it. */
const FRESH_MS = 2_500;

export interface Board {
  /** As they are to be shown; nothing until the open lanes have been read. */
  items: ReadonlyMap<string, Item> | undefined;
  problem: Problem | undefined;
  /** The lane `done` is still being read. */
  isReadingDone: boolean;
  /** Items that were changed just now, and by whom. */
  fresh: ReadonlyMap<string, string>;
  refresh: () => Promise<void>;
  /** Moves an item; throws the refusal, and the item is back where it was. */
  move: (item: Item, place: Place, rank: number) => Promise<void>;
  /** Takes in what a write answered. */
  put: (item: Item) => void;
  /** Forgets an item that was deleted. */
  forget: (id: string) => void;
}

const pathOf = (project_id: string, work_item_id: string) => ({ project_id, work_item_id });

/** Reads an item, with its blockers and the tag of its version. */
export const readItem = (projectId: string, id: string, signal?: AbortSignal) =>
  needTagged(api.GET('/api/v1/projects/{project_id}/work-items/{work_item_id}', { params: { path: pathOf(projectId, id) }, signal }));

async function* pagesOf(project_id: string, lane: string, signal: AbortSignal): AsyncGenerator<Item[]> {
  let cursor: string | undefined;
  let read = 0;
  do {
    const params = { path: { project_id }, query: { lane, limit: PAGE_ROWS, cursor } };
    const page = await need(api.GET('/api/v1/projects/{project_id}/work-items', { params, signal }));
    yield page.items;
    read += page.items.length;
    cursor = page.nextCursor ?? undefined;
  } while (cursor && read < MOST);
}

async function laneOf(projectId: string, lane: string, signal: AbortSignal): Promise<Item[]> {
  const items: Item[] = [];
  for await (const page of pagesOf(projectId, lane, signal)) items.push(...page);
  return items;
}

export function useBoard(project: Project): Board {
  const projectId = project.id;
  const laneKey = lanesOf(project).map(({ name }) => name).join();
  const known = useRef(new Map<string, Item>());
  const moves = useRef(new Map<string, Pick<Item, 'lane' | 'rank'>>());
  const [shown, setShown] = useState<ReadonlyMap<string, Item>>();
  const [fresh, setFresh] = useState<ReadonlyMap<string, string>>(new Map());
  const [problem, setProblem] = useState<Problem>();
  const [isReadingDone, setReadingDone] = useState(true);
  const running = useRef<AbortController>();
  /** What events have told while lanes were being read, and is newer than what is read. */
  const touched = useRef(new Set<string>());
  const isRead = useRef(false);

  const publish = useCallback(() => {
    if (!isRead.current) return;
    const next = new Map(known.current);
    for (const [id, move] of moves.current) {
      const item = next.get(id);
      if (item) next.set(id, { ...item, ...move });
    }
    setShown(next);
  }, []);

  /** What a lane has: what is not in it any more goes, unless an event said something newer. */
  const take = useCallback((read: Item[], isMeant: (item: Item) => boolean) => {
    const ids = new Set(read.map(({ id }) => id));
    for (const item of known.current.values()) {
      if (isMeant(item) && !ids.has(item.id) && !touched.current.has(item.id)) known.current.delete(item.id);
    }
    add(read);
  }, []);
  const add = useCallback((read: Item[]) => {
    for (const item of read) {
      const before = known.current.get(item.id);
      const isOld = touched.current.has(item.id) ? !before || before.version > item.version : (before?.version ?? 0) > item.version;
      if (!isOld) known.current.set(item.id, item);
    }
  }, []);

  const refresh = useCallback(async () => {
    running.current?.abort();
    const { signal } = (running.current = new AbortController());
    touched.current = new Set();
    const lanes = laneKey.split(',').filter((lane) => lane !== 'done');
    try {
      const open = await Promise.all(lanes.map((lane) => laneOf(projectId, lane, signal)));
      if (signal.aborted) return;
      take(open.flat(), ({ lane }) => lane !== 'done');
      isRead.current = true;
      setProblem(undefined);
      publish();
      const done: Item[] = [];
      for await (const page of pagesOf(projectId, 'done', signal)) {
        if (signal.aborted) return;
        done.push(...page);
        add(page);
        publish();
      }
      take(done, ({ lane }) => lane === 'done');
      setReadingDone(false);
      publish();
    } catch (thrown) {
      if (signal.aborted) return;
      const met = Problem.from(thrown);
      setProblem(met);
      if (met.isForbidden || met.isMissing) setShown(undefined);
    }
  }, [projectId, laneKey]);

  useEffect(() => {
    void refresh();
    return () => running.current?.abort();
  }, [refresh]);

  const forget = useCallback((id: string) => {
    touched.current.add(id);
    if (known.current.delete(id)) publish();
  }, []);
  const put = useCallback((item: Item) => {
    touched.current.add(item.id);
    if ((known.current.get(item.id)?.version ?? 0) > item.version) return;
    known.current.set(item.id, item);
    publish();
  }, []);

  const stale = useRef(new Set<string>());
  const singles = useMemo(
    () =>
      paced(async () => {
        const ids = [...stale.current];
        stale.current.clear();
        if (ids.length > SINGLES) return refresh();
        await Promise.all(
          ids.map((id) =>
            readItem(projectId, id).then(
              ({ value }) => put(value),
              (thrown: unknown) => Problem.from(thrown).isMissing && forget(id),
            ),
          ),
        );
      }),
    [projectId, refresh],
  );
  useEffect(() => singles.stop, [singles]);
  const touch = useCallback((id: string) => {
    stale.current.add(id);
    singles.ask();
  }, [singles]);

  const mark = useCallback((id: string, by: string) => {
    setFresh((now) => new Map(now).set(id, by));
    setTimeout(() => setFresh((now) => new Map([...now].filter(([each]) => each !== id))), FRESH_MS);
  }, []);
  const hear = (event: Event) => {
    const news = newsOf(event);
    if (!news) return;
    if (event.event === 'agent_status_changed') {
      if (known.current.has(news.id)) touch(news.id);
      return;
    }
    if (news.isDeleted) return forget(news.id);
    const item = known.current.get(news.id);
    if (item && news.version !== undefined && news.version < item.version) return;
    // What is at this version already is one's own deed, or was read just now.
    if (news.isMoved && !moves.current.has(news.id) && item?.version !== news.version) mark(news.id, news.by ?? '');
    touched.current.add(news.id);
    if (item) {
      known.current.set(item.id, news.apply(item));
      publish();
    }
    touch(news.id);
  };
  useLive(projectId, NAMES, refresh, { apply: hear });

  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible') return;
      const held = [...known.current.values()].filter(({ claim }) => claim);
      for (const { id } of held.slice(0, SINGLES)) touch(id);
    }, PRESENCE_MS);
    return () => clearInterval(timer);
  }, [touch]);

  const queues = useRef(new Map<string, Promise<unknown>>());
  const move = useCallback(
    (item: Item, { lane, beforeId }: Place, rank: number) => {
      const go = async () => {
        const before = known.current.get(item.id) ?? item;
        const header = { 'If-Match': `"${before.version}"` };
        try {
          const { value } = await needTagged(
            api.PATCH('/api/v1/projects/{project_id}/work-items/{work_item_id}', {
              params: { path: pathOf(projectId, item.id), header },
              body: { lane, ...(beforeId && { beforeId }) },
            }),
          );
          moves.current.delete(item.id);
          put(value);
        } catch (thrown) {
          moves.current.delete(item.id);
          touch(item.id);
          throw thrown;
        } finally {
          publish();
        }
      };
      moves.current.set(item.id, { lane, rank });
      publish();
      // A second move of the same item follows upon the first one's version.
      const last = (queues.current.get(item.id) ?? Promise.resolve()).catch(() => undefined).then(go);
      queues.current.set(item.id, last);
      return last;
    },
    [projectId, touch],
  );

  return { items: shown, problem, isReadingDone, fresh, refresh, move, put, forget };
}
