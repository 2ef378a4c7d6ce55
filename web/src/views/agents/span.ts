/** The stretch of time that is shown: how long it is, whether it follows the clock, and where its hours are. */
import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const LENGTHS = [
  { key: '15m', title: '15 min', ms: 15 * MINUTE },
  { key: '1h', title: '1 hour', ms: HOUR },
  { key: '6h', title: '6 hours', ms: 6 * HOUR },
  { key: '24h', title: '24 hours', ms: 24 * HOUR },
] as const;

const USUAL = LENGTHS[1];

/** The share of what is shown that lies ahead of the clock, so that what goes on has room to go on. */
const AHEAD = 0.03;

export interface Span {
  from: number;
  to: number;
  now: number;
}

export interface Shown {
  length: (typeof LENGTHS)[number];
  /** Where it ends; it follows the clock if nothing is said. */
  until: number | undefined;
  choose: (key: string, until: number | undefined) => void;
}

/** What is shown, as the address says it: it can be sent to somebody else, and survives a reload. */
export function useShown(): Shown {
  const { path, query, route } = useLocation();
  const length = LENGTHS.find(({ key }) => key === query['span']) ?? USUAL;
  const asked = Date.parse(query['until'] ?? '');
  const until = Number.isNaN(asked) ? undefined : asked;
  const choose = (key: string, next: number | undefined) => {
    const words = new URLSearchParams(query);
    words.set('span', key);
    // Whoever pans to now or beyond is back at the clock.
    if (next === undefined || next >= Date.now()) words.delete('until');
    else words.set('until', new Date(next).toISOString());
    route(`${path}?${words}`, true);
  };
  return { length, until, choose };
}

export function spanOf(ms: number, until: number | undefined, now: number): Span {
  const to = until ?? now + ms * AHEAD;
  return { from: to - ms, to, now };
}

/** The time, as often as `stepMs`, and not more than once a second; it rests while the page is not seen. */
export function useNow(stepMs: number): number {
  const [now, setNow] = useState(Date.now());
  const pace = Math.min(Math.max(stepMs, 1_000), 60_000);
  useEffect(() => {
    const tick = () => document.visibilityState === 'visible' && setNow(Date.now());
    const timer = setInterval(tick, pace);
    document.addEventListener('visibilitychange', tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }, [pace]);
  return now;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);
/** Pixels that the name of an hour needs. */
const LABEL = 76;

const hour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export interface Tick {
  at: number;
  label: string;
  isDay: boolean;
}

/** Full minutes or hours of this place, as many as have room. */
export function ticksOf({ from, to }: Span, width: number): Tick[] {
  const room = ((to - from) / Math.max(width, 1)) * LABEL;
  const step = STEPS.find((ms) => ms >= room) ?? 24 * HOUR;
  const away = new Date(to).getTimezoneOffset() * MINUTE;
  const ticks: Tick[] = [];
  for (let at = Math.ceil((from - away) / step) * step + away; at <= to; at += step) {
    const isDay = hour.format(at) === '00:00';
    ticks.push({ at, label: isDay ? date.format(at) : hour.format(at), isDay });
  }
  return ticks;
}
