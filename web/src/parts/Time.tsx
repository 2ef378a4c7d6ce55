/** A moment, as the viewer says it: how long ago, kept fresh, with the full time here and in UTC on hover. */
import { signal } from '@preact/signals';

/** Ticks while the page is open: every `Time` on it follows one timer. */
export const now = signal(Date.now());
setInterval(() => {
  if (document.visibilityState === 'visible') now.value = Date.now();
}, 10_000);
document.addEventListener('visibilitychange', () => (now.value = Date.now()));

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

export function ago(at: string | number, from = Date.now()): string {
  const seconds = (new Date(at).getTime() - from) / 1_000;
  if (Math.abs(seconds) < 45) return seconds <= 5 ? 'just now' : 'in a moment';
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length * 0.95) return relative.format(Math.round(seconds / length), unit);
  }
  return relative.format(Math.round(seconds / 60), 'minute');
}

/** The moment in UTC, to the second. */
export const utc = (at: string | number): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
/** The time of day here. */
export const timeOfDay = (at: string | number): string => clock.format(new Date(at));
/** The day here. */
export const dayOf = (at: string | number): string => day.format(new Date(at));
/** A moment here, in full. */
export const moment = (at: string | number): string => full.format(new Date(at));

interface TimeProps {
  at: string;
  /** `relative` as people say it, `clock` for a list under its day, `full` where it stands alone. */
  form?: 'relative' | 'clock' | 'full';
}

export function Time({ at, form = 'relative' }: TimeProps) {
  // It is drawn again with each tick, and says what is so at that moment: a tick ago, what has just happened lay ahead.
  const text = form === 'clock' ? timeOfDay(at) : form === 'full' ? moment(at) : ago(at, Math.max(now.value, Date.now()));
  return (
    <time dateTime={at} title={`${moment(at)}\n${utc(at)}`}>
      {text}
    </time>
  );
}

/** How long something took: `850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0).replace(/\.0$/, '')} s`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.round((ms % 60_000) / 1_000);
  if (minutes < 60) return seconds ? `${minutes} min ${seconds} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
