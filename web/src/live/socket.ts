/**
 * The one WebSocket of the page, over all projects that anything on it watches.
 *
 * A project is subscribed to while somebody watches it, behind the last event that was seen of it, so that a break of
 * any length costs nothing: what happened meanwhile arrives in order. Where the log cannot serve that position any
 * more, watchers are told to read again what they show (`reset`). The socket is opened again with growing, jittered
 * waits, and at once when the network or the user comes back.
 */
import { signal } from '@preact/signals';
import { leave, type Schema } from '../api/client';

export type Event = Schema<'Event'>;

/** `live`: what is shown is what is. `connecting`: for the first time. `behind`: catching up. `offline`: no way. */
export type LiveState = 'idle' | 'connecting' | 'live' | 'behind' | 'offline';

export const liveState = signal<LiveState>('idle');
/** When anything was last heard, in milliseconds. */
export const lastHeard = signal<number | undefined>(undefined);

export interface Watcher {
  event: (event: Event) => void;
  /** What is shown may lack something: read it again. */
  stale: () => void;
}

interface Subscription {
  watchers: Set<Watcher>;
  /** The last event that was seen, and where the service says the next one follows. */
  after: string | undefined;
  isConfirmed: boolean;
  isRefused: boolean;
}

type Control =
  | { type: 'subscribed' | 'reset'; projectId: string; id: string }
  | { type: 'unsubscribed'; projectId: string }
  | { type: 'error'; code: string; detail: string; projectId?: string }
  | { type: 'reconnect'; retryMs: number };

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** How long a project stays subscribed to that nobody watches: views follow upon each other. */
const LINGER_MS = 2_000;
/** How long an answer may take before the socket counts as dead. */
const ANSWER_MS = 6_000;

const subscriptions = new Map<string, Subscription>();
let socket: WebSocket | undefined;
let failures = 0;
let retry: number | undefined;
let deadline: number | undefined;

/** Watches a project from `after` on, or from now on. Gives what ends it. */
export function watch(projectId: string, watcher: Watcher, after?: string): () => void {
  let subscription = subscriptions.get(projectId);
  if (!subscription) {
    subscription = { watchers: new Set(), after, isConfirmed: false, isRefused: false };
    subscriptions.set(projectId, subscription);
    send(projectId, subscription);
  } else if (after && subscription.after && subscription.after !== after) {
    // Others have seen more of it than this watcher knows of.
    queueMicrotask(watcher.stale);
  }
  subscription.watchers.add(watcher);
  open();
  tell();
  return () => {
    subscription.watchers.delete(watcher);
    setTimeout(() => drop(projectId, subscription), LINGER_MS);
  };
}

function drop(projectId: string, subscription: Subscription): void {
  if (subscription.watchers.size > 0 || subscriptions.get(projectId) !== subscription) return;
  subscriptions.delete(projectId);
  if (socket?.readyState === WebSocket.OPEN && !subscription.isRefused) {
    socket.send(JSON.stringify({ action: 'unsubscribe', projectId }));
  }
  tell();
}

function open(): void {
  if (socket || retry !== undefined) return;
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const opened = (socket = new WebSocket(`${scheme}//${location.host}/api/v1/events/ws`));
  let wasOpen = false;
  opened.onopen = () => {
    wasOpen = true;
    for (const [projectId, subscription] of subscriptions) send(projectId, subscription);
    tell();
  };
  opened.onmessage = ({ data }) => hear(JSON.parse(String(data)) as Event | Control);
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = undefined;
    clearTimeout(deadline);
    deadline = undefined;
    for (const subscription of subscriptions.values()) subscription.isConfirmed = false;
    failures += 1;
    if (!wasOpen) void askWhy();
    wait(Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.5 + Math.random()));
    tell();
  };
  tell();
}

/** A socket that does not open says not why. A session that is over is found out over REST. */
async function askWhy(): Promise<void> {
  const response = await fetch('/api/v1/tenant', { credentials: 'same-origin' }).catch(() => undefined);
  if (response?.status === 401) leave();
}

function wait(ms: number): void {
  clearTimeout(retry);
  retry = setTimeout(() => {
    retry = undefined;
    if (subscriptions.size > 0) open();
  }, ms) as unknown as number;
}

function send(projectId: string, { after }: Subscription): void {
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ action: 'subscribe', projectId, ...(after && { after }) }));
  expect();
}

/** The service has to say something soon. */
function expect(): void {
  const asked = socket;
  deadline ??= setTimeout(() => {
    deadline = undefined;
    if (socket === asked) abandon();
  }, ANSWER_MS) as unknown as number;
}

/** Gives a socket up that says nothing: closing one over a dead connection would take minutes. */
function abandon(): void {
  const dead = socket;
  if (!dead) return;
  const closed = dead.onclose;
  dead.onmessage = dead.onclose = null;
  dead.close();
  closed?.call(dead, new CloseEvent('close'));
}

function hear(message: Event | Control): void {
  clearTimeout(deadline);
  deadline = undefined;
  lastHeard.value = Date.now();
  if (!('type' in message)) {
    const subscription = subscriptions.get(message.projectId);
    if (!subscription) return;
    subscription.after = message.id;
    for (const watcher of subscription.watchers) watcher.event(message);
    return;
  }
  const subscription = 'projectId' in message && message.projectId ? subscriptions.get(message.projectId) : undefined;
  switch (message.type) {
    case 'subscribed':
      failures = 0;
      if (subscription) {
        // What was subscribed to without a position may have changed between its first reading and now.
        if (!subscription.after) for (const watcher of subscription.watchers) watcher.stale();
        subscription.after ??= message.id;
        subscription.isConfirmed = true;
        subscription.isRefused = false;
      }
      break;
    case 'reset':
      if (subscription) {
        subscription.after = message.id;
        for (const watcher of subscription.watchers) watcher.stale();
      }
      break;
    case 'error':
      // `conflict` says that it is subscribed to already, which is what was wanted.
      if (subscription && message.code === 'conflict') subscription.isConfirmed = true;
      else if (subscription) subscription.isRefused = true;
      if (message.code === 'unauthenticated') void askWhy();
      break;
    case 'reconnect':
      failures = 0;
      abandon();
      wait(message.retryMs);
      break;
    case 'unsubscribed':
      break;
  }
  tell();
}

function tell(): void {
  const wanted = [...subscriptions.values()].filter(({ isRefused }) => !isRefused);
  if (wanted.length === 0 && !socket) liveState.value = subscriptions.size > 0 ? 'offline' : 'idle';
  else if (socket?.readyState === WebSocket.OPEN) {
    liveState.value = wanted.every(({ isConfirmed }) => isConfirmed) ? 'live' : lastHeard.value ? 'behind' : 'connecting';
  } else liveState.value = failures === 0 ? 'connecting' : 'offline';
}

/** Asks at once whether the socket is alive, after a sleep or when the network is back. */
export function check(): void {
  if (subscriptions.size === 0) return;
  if (!socket) {
    clearTimeout(retry);
    retry = undefined;
    failures = 0;
    open();
  } else if (socket.readyState === WebSocket.OPEN) {
    // Any answer will do: an action that is refused is one, and changes nothing.
    socket.send(JSON.stringify({ action: 'unsubscribe', projectId: '00000000-0000-0000-0000-000000000000' }));
    expect();
  }
}

document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && check());
addEventListener('online', check);
addEventListener('offline', () => abandon());
addEventListener('pageshow', (event) => event.persisted && check());
