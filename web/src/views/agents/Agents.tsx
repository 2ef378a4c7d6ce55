/** Who is at work, and what they did when: a lane for each agent, one for CI, and one for the project itself. */
import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { Bot, ChevronLeft, ChevronRight } from 'lucide-preact';
import { EmptyState, Loading, ProblemNote, Time, ViewHead, count } from '../../parts';
import { projectHome, type ViewProps } from '../../views';
import { AgentDialog } from './AgentDialog';
import { Chart } from './Chart';
import { Legend } from './Legend';
import { List, Several } from './List';
import { useHistory } from './history';
import type { Agent, Lane, Piece } from './pieces';
import { LENGTHS, spanOf, useNow, useShown, type Span } from './span';
import './agents.css';
import './lines.css';

/** The share of what is shown by which it moves at a press. */
const PAN = 0.5;
/** Pixels that a chart has at most, by which the clock need not tick more often than anything moves. */
const PIXELS = 1_200;

export default function Agents({ project }: ViewProps) {
  const { path, query, route } = useLocation();
  const { length, until, choose } = useShown();
  const [moved, setMoved] = useState(0);
  const [several, setSeveral] = useState<{ lane: string; pieces: Piece[] }>();
  const [opened, setOpened] = useState<Agent>();
  const [showsQuiet, setShowsQuiet] = useState(false);
  const now = useNow(length.ms / PIXELS);
  const held = spanOf(length.ms, until, now);
  const span: Span = { from: held.from - moved, to: held.to - moved, now };
  const history = useHistory(project, span.from);
  const { lanes, knownFrom } = history;
  const isList = query['as'] === 'list';
  const home = projectHome(project.id);

  const show = (as: string) => {
    const words = new URLSearchParams(query);
    if (as === 'list') words.set('as', as);
    else words.delete('as');
    route(`${path}?${words}`, true);
  };
  const move = (ms: number, isDone: boolean) => {
    setMoved(isDone ? 0 : ms);
    if (isDone) choose(length.key, held.to - ms);
  };
  const isQuiet = (lane: Lane) => (!lane.agent || lane.agent.status === 'idle') && !lane.pieces.some((piece) => isIn(piece, span));
  const quiet = lanes?.filter((lane) => lane.agent && isQuiet(lane)).length ?? 0;
  const shown = lanes?.filter((lane) => !isQuiet(lane) || (showsQuiet && lane.agent)) ?? [];
  const isEmpty = lanes?.length === 0;
  const hasLanes = lanes !== undefined && !isEmpty;

  return (
    <div class="agents">
      <ViewHead title="Agents" about={history.agents.length > 0 ? told(history.agents) : undefined}>
        {hasLanes && (
          <div class="chips" role="group" aria-label="Show as">
            <button type="button" class="chip" aria-pressed={!isList} onClick={() => show('chart')}>Lanes</button>
            <button type="button" class="chip" aria-pressed={isList} onClick={() => show('list')}>List</button>
          </div>
        )}
      </ViewHead>
      {hasLanes && (
        <div class="agents-tools">
          <div class="chips" role="group" aria-label="Length of time">
            {LENGTHS.map(({ key, title }) => (
              <button type="button" class="chip" key={key} aria-pressed={key === length.key} onClick={() => choose(key, until)}>{title}</button>
            ))}
          </div>
          <div class="agents-pan" role="group" aria-label="Move through time">
            <button type="button" class="button square" aria-label="Earlier" title="Earlier" onClick={() => choose(length.key, held.to - length.ms * PAN)}>
              <ChevronLeft size={16} aria-hidden="true" />
            </button>
            <button type="button" class="button" aria-pressed={until === undefined} onClick={() => choose(length.key, undefined)}>Now</button>
            <button type="button" class="button square" aria-label="Later" title="Later" aria-disabled={until === undefined}
              onClick={() => until !== undefined && choose(length.key, held.to + length.ms * PAN)}>
              <ChevronRight size={16} aria-hidden="true" />
            </button>
          </div>
          <p class="faint small agents-time">
            {until === undefined && moved === 0 ? `The last ${length.title.replace(/^1 /, '')}, live` : (
              <><Time at={new Date(span.from).toISOString()} form="full" /> – <Time at={new Date(span.to).toISOString()} form="full" /></>
            )}
          </p>
        </div>
      )}
      {history.problem && <ProblemNote problem={history.problem} retry={history.refresh} />}
      {!lanes && !history.problem && <Loading what="Reading what agents did" />}
      {isEmpty && (
        <EmptyState icon={Bot} title="No agents yet" deed={<a class="button main" href="/connect">Connect an agent</a>}>
          An agent shows up here with its first call of a tool, its first push, or its first run.
        </EmptyState>
      )}
      {hasLanes && (
        <>
          {isList ? <List lanes={shown} span={span} /> : (
            <>
              <Chart lanes={shown} span={span} knownFrom={knownFrom} onMove={move}
                onMany={(lane, pieces) => setSeveral({ lane: lane.name, pieces })} onLane={(lane) => setOpened(lane.agent)} />
              <Legend />
            </>
          )}
          <div class="agents-foot faint small">
            <span role="status">
              {history.isReading && knownFrom > span.from && 'Reading earlier events…'}
              {history.isCutOff && <>So much happened that what came before <Time at={new Date(knownFrom).toISOString()} form="full" /> is not read: choose a shorter time.</>}
            </span>
            {quiet > 0 && (
              <button type="button" class="button bare" aria-expanded={showsQuiet} onClick={() => setShowsQuiet(!showsQuiet)}>
                {showsQuiet ? 'Hide' : 'Show'} {count(quiet, 'idle agent')} without anything in this time
              </button>
            )}
          </div>
        </>
      )}
      {several && <Several {...several} now={now} onClose={() => setSeveral(undefined)} />}
      {opened && <AgentDialog projectId={project.id} agent={opened} home={home} onClose={() => setOpened(undefined)} />}
    </div>
  );
}

const isIn = ({ from, to }: Piece, span: Span): boolean => from <= span.to && (to ?? span.now) >= span.from;

const ORDER = ['running', 'blocked', 'error', 'completed', 'idle'];

/** `3 running, 1 blocked, 2 idle`. */
function told(agents: Agent[]): string {
  const number = (status: string) => agents.filter((agent) => agent.status === status).length;
  return ORDER.flatMap((status) => (number(status) > 0 ? [`${number(status)} ${status}`] : [])).join(', ');
}
