/** Words on a coloured ground. The word says it all; the colour only helps. */
import type { ComponentChildren } from 'preact';

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'busy' | 'deed';

export function Badge({ tone = 'plain', children, title }: { tone?: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class="badge" data-tone={tone} title={title}>
      {children}
    </span>
  );
}

/** The tone of every status word that the API has. */
const TONES: Record<string, Tone> = {
  passed: 'good',
  success: 'good',
  succeeded: 'good',
  processed: 'good',
  completed: 'good',
  healthy: 'good',
  done: 'good',
  accepted: 'good',
  waived: 'warn',
  warning: 'warn',
  degraded: 'warn',
  blocked: 'warn',
  rate_limited: 'warn',
  lost: 'warn',
  concerns: 'warn',
  failed: 'bad',
  failure: 'bad',
  fail: 'bad',
  error: 'bad',
  critical: 'bad',
  unhealthy: 'bad',
  unauthorized: 'bad',
  running: 'busy',
  doing: 'busy',
  review: 'busy',
  pending: 'plain',
  ready: 'deed',
  info: 'deed',
};

/** A status of the API: `rate_limited` is shown as "rate limited". */
export function Status({ of }: { of: string }) {
  return <Badge tone={TONES[of] ?? 'plain'}>{words(of)}</Badge>;
}

/** An enum value as words. */
export const words = (value: string): string => value.replaceAll('_', ' ');

/** `1 conflict`, `2 conflicts`. */
export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
