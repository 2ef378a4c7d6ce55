/** What the calls amount to: how long they took, which tools, and how much each client may still call. */
import { useMemo } from 'preact/hooks';
import { Meter, count, type Tone } from '../../parts';
import { Histogram } from './Histogram';
import { byTool, histogram, latency, percent, spans, type ToolCall } from './figures';
import type { Bucket, Summary, ToolFigures } from './summary';

interface FiguresProps {
  /** Those that are listed. */
  calls: readonly ToolCall[];
  hasMore: boolean;
  isFiltered: boolean;
  /** Null where the service sums nothing up; undefined until that is known. */
  summary: Summary | undefined;
  onTool: (tool: string) => void;
}

export function Figures({ calls, hasMore, isFiltered, summary, onTool }: FiguresProps) {
  // A narrower list has figures of its own, which the service's do not tell.
  const known = summary && !isFiltered ? summary : undefined;
  const tools = useMemo(() => known?.byTool ?? byTool(calls), [known, calls]);
  const bins = useMemo(() => spans(known?.histogram ?? histogram(calls)), [known, calls]);
  const sum = (of: (one: ToolFigures) => number) => tools.reduce((all, one) => all + of(one), 0);
  const all = known?.calls ?? calls.length;
  const about = known ? `All calls of the ${windowOf(known.windowSeconds)}` : `${hasMore ? 'The newest' : 'All'} ${count(calls.length, 'call')} that ${calls.length === 1 ? 'is' : 'are'} listed`;
  return (
    <aside class="tool-calls-figures" aria-label="Figures">
      <p class="faint small">{about}</p>
      <dl class="tool-calls-sums">
        <div><dt>Calls</dt><dd class="number">{all.toLocaleString('en')}</dd></div>
        <div><dt>Failed</dt><dd class="number">{percent(sum((one) => one.failures), all)}</dd></div>
        <div><dt>Rate limited</dt><dd class="number">{percent(sum((one) => one.rateLimited), all)}</dd></div>
      </dl>
      {bins.length > 0 && (
        <section class="sheet tool-calls-part" aria-label="How long calls took">
          <h2>How long they took</h2>
          <Histogram of={bins} />
        </section>
      )}
      {tools.length > 0 && <Tools of={tools} onTool={onTool} />}
      {summary && summary.buckets.length > 0 && <Buckets of={summary.buckets} />}
    </aside>
  );
}

function windowOf(seconds: number): string {
  if (seconds === 3_600) return 'last hour';
  if (seconds === 86_400) return 'last 24 hours';
  return seconds < 3_600 ? `last ${count(Math.round(seconds / 60), 'minute')}` : `last ${count(Math.round(seconds / 3_600), 'hour')}`;
}

function Tools({ of, onTool }: { of: readonly ToolFigures[]; onTool: (tool: string) => void }) {
  return (
    <section class="sheet tool-calls-part" aria-label="By tool">
      <h2>By tool</h2>
      <div class="tool-calls-scroll" role="region" aria-label="Calls by tool" tabIndex={0}>
        <table class="table tool-calls-table">
          <thead>
            <tr>
              <th scope="col">Tool</th>
              <th scope="col" class="end">Calls</th>
              <th scope="col" class="end">Failed</th>
              <th scope="col" class="end"><span title="Rate limited: more than a client may call in a minute">Limited</span></th>
              <th scope="col" class="end"><span title="Half of the calls took at most so long">p50</span></th>
              <th scope="col" class="end"><span title="95 of 100 calls took at most so long">p95</span></th>
              <th scope="col" class="end"><span title="99 of 100 calls took at most so long">p99</span></th>
            </tr>
          </thead>
          <tbody>
            {of.map((one) => (
              <tr key={one.tool}>
                <th scope="row"><button type="button" class="tool-calls-name" title={`List the calls of ${one.tool}`} onClick={() => onTool(one.tool)}>{one.tool}</button></th>
                <td class="end">{one.calls.toLocaleString('en')}</td>
                <td class={`end${one.failures ? ' tool-calls-bad' : ' faint'}`}>{one.failures.toLocaleString('en')}</td>
                <td class={`end${one.rateLimited ? ' tool-calls-warn' : ' faint'}`}>{one.rateLimited.toLocaleString('en')}</td>
                <td class="end">{latency(one.p50Us)}</td>
                <td class="end">{latency(one.p95Us)}</td>
                <td class="end">{latency(one.p99Us)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Buckets that are shown before one asks for the rest. */
const BUCKETS = 8;

const levelOf = ({ tokens, capacity }: Bucket): number => (capacity > 0 ? tokens / capacity : 1);

function Buckets({ of }: { of: readonly Bucket[] }) {
  const sorted = useMemo(() => [...of].sort((one, other) => levelOf(one) - levelOf(other)), [of]);
  const rest = sorted.slice(BUCKETS);
  return (
    <section class="sheet tool-calls-part" aria-label="What is left to each client">
      <h2>What is left to each client</h2>
      <p class="faint small">Each call takes one; within a minute it is full again. The emptiest first.</p>
      <BucketList of={sorted.slice(0, BUCKETS)} />
      {rest.length > 0 && (
        <details>
          <summary>{`${rest.length} more`}</summary>
          <BucketList of={rest} />
        </details>
      )}
    </section>
  );
}

function BucketList({ of }: { of: readonly Bucket[] }) {
  return (
    <ul class="tool-calls-buckets">
      {of.map((bucket) => {
        const level = levelOf(bucket);
        const tone: Tone = level < 0.1 ? 'bad' : level < 0.4 ? 'warn' : 'good';
        const left = Math.floor(bucket.tokens);
        return (
          <li key={`${bucket.principalId} ${bucket.tool}`}>
            <span class="cut"><strong>{bucket.name}</strong> <code>{bucket.tool}</code></span>
            <span class="number small">{left === 0 ? 'empty' : `${left} of ${bucket.capacity}`}</span>
            <Meter value={left} max={bucket.capacity} tone={tone} label={`Calls left to ${bucket.name} of ${bucket.tool}`} />
          </li>
        );
      })}
    </ul>
  );
}
