/** What calls amount to: how many of each tool, how long they took. Computed from rows where the service does not. */
import type { Schema } from '../../api/client';
import type { Bin, ToolFigures } from './summary';

export type ToolCall = Schema<'ToolCall'>;

/** Bounds of bins in microseconds, three to a decade, from 100 µs to 10 s. */
const BOUNDS = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000];

/** The value below which so large a share of sorted values lies; by nearest rank. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Figures of each tool, the most called one first. */
export function byTool(calls: readonly ToolCall[]): ToolFigures[] {
  const groups = new Map<string, ToolCall[]>();
  for (const call of calls) {
    const group = groups.get(call.tool);
    if (group) group.push(call);
    else groups.set(call.tool, [call]);
  }
  const figures = [...groups].map(([tool, group]) => {
    const took = group.map(({ durationUs }) => durationUs).sort((one, other) => one - other);
    const number = (...results: string[]) => group.filter(({ result }) => results.includes(result)).length;
    return {
      tool, calls: group.length, failures: number('failure', 'unauthorized'), rateLimited: number('rate_limited'),
      p50Us: percentile(took, 0.5), p95Us: percentile(took, 0.95), p99Us: percentile(took, 0.99),
    };
  });
  return figures.sort((one, other) => other.calls - one.calls || one.tool.localeCompare(other.tool));
}

export function histogram(calls: readonly ToolCall[]): Bin[] {
  const bins: Bin[] = [...BOUNDS, null].map((upToUs) => ({ upToUs, calls: 0 }));
  for (const { durationUs } of calls) {
    const bin = bins.find(({ upToUs }) => durationUs <= (upToUs ?? Infinity));
    if (bin) bin.calls += 1;
  }
  return bins;
}

/** A bin with its lower bound, in words too. */
export interface Span {
  label: string;
  /** As a mark on an axis. */
  mark: string;
  calls: number;
}

/** Bins without the empty ones at both ends, so that what there is fills the picture. */
export function spans(bins: readonly Bin[]): Span[] {
  const sorted = [...bins].sort((one, other) => (one.upToUs ?? Infinity) - (other.upToUs ?? Infinity));
  const all = sorted.map(({ upToUs, calls }, index) => {
    const from = sorted[index - 1]?.upToUs ?? 0;
    const isLast = upToUs === null || upToUs === undefined;
    const label = isLast ? `more than ${latency(from)}` : from === 0 ? `up to ${latency(upToUs)}` : `${latency(from)} to ${latency(upToUs)}`;
    return { label, mark: isLast ? 'more' : latency(upToUs), calls };
  });
  const first = all.findIndex(({ calls }) => calls > 0);
  const last = all.findLastIndex(({ calls }) => calls > 0);
  return first < 0 ? [] : all.slice(Math.max(0, first - 1), last + 2);
}

/** A latency: `840 µs`, `1.8 ms`, `123 ms`, `4.2 s`. */
export function latency(us: number): string {
  if (us < 1_000) return `${Math.round(us)} µs`;
  const [value, unit] = us < 1_000_000 ? [us / 1_000, 'ms'] : [us / 1_000_000, 's'];
  return `${value < 10 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value)} ${unit}`;
}

/** A part of a whole in percent, of which a little is not nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  const share = (part / whole) * 100;
  return share < 1 ? '< 1 %' : `${Math.round(share)} %`;
}
