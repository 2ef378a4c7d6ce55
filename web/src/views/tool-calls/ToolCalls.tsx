/** Who called which tool, with what outcome and how fast: the log of calls, and beside it what they amount to. */
import { useMemo, useRef, useState } from 'preact/hooks';
import { Download, SquareTerminal } from 'lucide-preact';
import type { operations } from '../../../generated/schema';
import { api, need } from '../../api/client';
import { useNewest } from '../../api/newest';
import { usePoll } from '../../api/poll';
import { useResource } from '../../api/resource';
import { EmptyState, Loading, NewestList, ProblemNote, Since, ViewHead, beginOf, count, useAddress, words } from '../../parts';
import type { ViewProps } from '../../views';
import { Figures } from './Figures';
import { Row } from './Row';
import type { ToolCall } from './figures';
import { readSummary } from './summary';
import './tool-calls.css';

type Query = NonNullable<operations['list_project_tool_calls']['parameters']['query']>;
type Outcome = NonNullable<Query['result']>;

const OUTCOMES: Outcome[] = ['success', 'failure', 'unauthorized', 'rate_limited'];
/** Calls append no event. */
const EVERY_MS = 5_000;
/** Rows that a look for new ones reads; more only when that many are new. */
const FRESH_ROWS = 20;

const isOutcome = (word: string | undefined): word is Outcome => (OUTCOMES as (string | undefined)[]).includes(word);
const isId = (word: string | undefined): word is string => /^[0-9a-f-]{36}$/i.test(word ?? '');

export default function ToolCalls({ project }: ViewProps) {
  const { query, to, go } = useAddress();
  const { tool, since } = query;
  const actor = isId(query['actor']) ? query['actor'] : undefined;
  const result = isOutcome(query['result']) ? query['result'] : undefined;
  const from = useMemo(() => beginOf(since), [since]);
  const asked = { actor, tool, result, from };
  const key = `tool-calls/${project.id}/${actor}/${tool}/${result}/${from}`;
  const calls = useNewest<ToolCall>(key, ({ cursor, limit }, signal) =>
    listed(need(api.GET('/api/v1/projects/{project_id}/tool-calls', {
      params: { path: { project_id: project.id }, query: { ...asked, cursor, limit } }, signal,
    }))), FRESH_ROWS);
  const summary = useResource(`tool-calls-summary/${project.id}`, (signal) => readSummary(project.id, signal));
  usePoll(async () => {
    await Promise.all([calls.refresh(), summary.refresh()]);
  }, EVERY_MS, !calls.problem?.isForbidden);

  const { actors, tools } = useSeen(calls.items, summary.value?.byTool.map((one) => one.tool));
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  const isFiltered = Boolean(actor || tool || result || since);
  const isEmpty = !calls.isLoading && !calls.problem && calls.items.length === 0;
  const hasFigures = calls.items.length > 0 || Boolean(summary.value?.calls);
  // With nothing called there is nothing to filter, to export or to count.
  const isBare = !isFiltered && !calls.isLoading && calls.items.length === 0 && !hasFigures;
  const show = hasFigures && query['show'] === 'figures' ? 'figures' : 'calls';
  return (
    <div class="tool-calls" data-show={show}>
      <ViewHead title="Tool calls" about="Every call that an agent made for this project, with its outcome and how long it took.">
        {!isBare && <a class="button" href={csvOf(project.id, asked)} download="tool-calls.csv" title="All calls that fit the filters">
          <Download size={16} aria-hidden="true" />
          Export CSV
        </a>}
      </ViewHead>
      {hasFigures && <nav class="tool-calls-parts" aria-label="Parts of this view">
        <a href={to({ show: undefined })} aria-current={show === 'calls' ? 'page' : undefined}>Calls</a>
        <a href={to({ show: 'figures' })} aria-current={show === 'figures' ? 'page' : undefined}>Figures</a>
      </nav>}
      <div class="tool-calls-two" data-bare={!hasFigures}>
        <section class="tool-calls-left" aria-label="Calls">
          {!isBare && <div class="tool-calls-filters" role="search" aria-label="Filter calls">
            <div class="chips" role="group" aria-label="Result">
              <button type="button" class="chip" aria-pressed={!result} onClick={() => go({ result: undefined })}>All</button>
              {OUTCOMES.map((one) => (
                <button type="button" class="chip" key={one} aria-pressed={result === one} onClick={() => go({ result: one })}>{words(one)}</button>
              ))}
            </div>
            <Choice label="Who" every="Everybody" value={actor} of={actors} onChange={(next) => go({ actor: next })} />
            <Choice label="Tool" every="Every tool" value={tool} of={tools} onChange={(next) => go({ tool: next })} />
            <Since value={since} onChange={(next) => go({ since: next })} />
          </div>}
          {calls.problem && <ProblemNote problem={calls.problem} retry={() => void calls.refresh()} />}
          {calls.isLoading && <Loading what="Reading the calls" />}
          {calls.items.length > 0 && (
            <NewestList key={key} label="Tool calls, newest first" items={calls.items} estimate={44} onEnd={() => void calls.more()}
              fresh={(number) => count(number, 'new call')}>
              {(call) => <Row call={call} isOpen={open.has(call.id)} toggle={() => toggle(call.id)} />}
            </NewestList>
          )}
          {isEmpty && (isFiltered ? (
            <EmptyState icon={SquareTerminal} title="No call fits"
              deed={<button type="button" class="button" onClick={() => go({ actor: undefined, tool: undefined, result: undefined, since: undefined })}>Show all</button>}>
              Others may; the filters above leave them out.
            </EmptyState>
          ) : (
            <EmptyState icon={SquareTerminal} title="No tool was called yet">
              Once an agent is connected over MCP and asks for something in this project, its calls show up here by themselves.
            </EmptyState>
          ))}
          {calls.items.length > 0 && (
            <p class="tool-calls-foot faint small">
              {calls.isLoadingMore ? 'Reading older ones…' : calls.hasMore ? `The newest ${calls.items.length.toLocaleString('en')}; older ones follow as you scroll` : `All of them: ${count(calls.items.length, 'call')}`}
            </p>
          )}
        </section>
        {hasFigures && (
          <Figures calls={calls.items} hasMore={calls.hasMore} isFiltered={isFiltered} summary={summary.value} onTool={(next) => go({ tool: next, show: undefined })} />
        )}
      </div>
    </div>
  );
}

type Listed = { items: ToolCall[]; nextCursor?: string | null };

/** The route answers CSV too, which is not what was asked for. */
const listed = async (answer: Promise<Listed | string>): Promise<Listed> => {
  const page = await answer;
  return typeof page === 'string' ? { items: [] } : page;
};

function csvOf(projectId: string, asked: Record<string, string | undefined>): string {
  const pairs = Object.entries({ format: 'csv', ...asked }).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return `/api/v1/projects/${projectId}/tool-calls?${new URLSearchParams(pairs).toString()}`;
}

interface Named {
  value: string;
  label: string;
}

/** Who and what was met since the view was opened: what the filters offer. */
function useSeen(calls: readonly ToolCall[], more: string[] = []): { actors: Named[]; tools: Named[] } {
  const seen = useRef({ actors: new Map<string, string>(), tools: new Set<string>() });
  const { actors, tools } = seen.current;
  for (const { actorId, actorName, tool } of calls) {
    actors.set(actorId, actorName);
    tools.add(tool);
  }
  for (const tool of more) tools.add(tool);
  return useMemo(() => {
    const named = (one: Named, other: Named) => one.label.localeCompare(other.label);
    return {
      actors: [...actors].map(([value, label]) => ({ value, label })).sort(named),
      tools: [...tools].map((tool) => ({ value: tool, label: tool })).sort(named),
    };
  }, [actors.size, tools.size]);
}

interface ChoiceProps {
  label: string;
  every: string;
  value: string | undefined;
  of: Named[];
  onChange: (next: string) => void;
}

function Choice({ label, every, value = '', of, onChange }: ChoiceProps) {
  const isKnown = !value || of.some((one) => one.value === value);
  return (
    <select class="select" aria-label={label} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">{every}</option>
      {!isKnown && <option value={value}>{value}</option>}
      {of.map((one) => <option key={one.value} value={one.value}>{one.label}</option>)}
    </select>
  );
}
