/** The gates of an item: what holds it back from being done, and deciding about it. */
import { useState } from 'preact/hooks';
import { api, need } from '../../api/client';
import type { Project } from '../../api/projects';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import { useLive, type EventName } from '../../live/useLive';
import { Field, Form, ProblemNote, Status, Time, toast, typed, words } from '../../parts';
import { sentence } from '../../api/problem';
import { Decide } from './Decide';
import { isAbout } from './ItemDialog';
import { isRed, type Gate } from './gates';
import type { Item } from './items';

const NAMES: EventName[] = ['gate_evaluated', 'work_item_changed', 'work_claimed', 'work_released'];
/** More gates than anybody gives an item. */
const ROWS = 100;

export function ItemGates({ project, item }: { project: Project; item: Item }) {
  const gates = useResource(`gates-of/${item.id}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/gates', { params: { path: { project_id: project.id }, query: { workItemId: item.id, limit: ROWS } }, signal })),
  );
  useLive(project.id, NAMES, gates.refresh, { apply: (event) => void (isAbout(event, item.id) && gates.refresh()) });
  const [isAsking, setAsking] = useState(false);
  const all = gates.value?.items;
  const red = all?.filter(isRed).length ?? 0;
  const isDone = item.lane === 'done';
  const put = (gate: Gate) =>
    gates.set((known) => known && { ...known, items: known.items.some(({ id }) => id === gate.id) ? known.items.map((each) => (each.id === gate.id ? gate : each)) : [...known.items, gate] });
  return (
    <section class="item-gates">
      <div class="row">
        <h3>Gates</h3>
        {all && all.length > 0 && <span class="faint small">{isDone ? 'as they were when it was done' : red > 0 ? `${red} of ${all.length} hold it back from being done` : 'all let it pass'}</span>}
      </div>
      {gates.problem && <ProblemNote problem={gates.problem} retry={() => void gates.refresh()} />}
      {all?.length === 0 && <p class="faint small">No gates: it may be done at any time.</p>}
      <ul>
        {all?.map((gate) => <Row key={gate.id} gate={gate} project={project} isDone={isDone} onPut={put} />)}
      </ul>
      {all && !isDone && may('gates.write') && (
        isAsking
          ? <AskReview project={project} item={item} onDone={() => setAsking(false)} onPut={put} />
          : <button type="button" class="button bare" onClick={() => setAsking(true)}>Ask for a review…</button>
      )}
    </section>
  );
}

interface RowProps {
  project: Project;
  gate: Gate;
  isDone: boolean;
  onPut: (gate: Gate) => void;
}

function Row({ project, gate, isDone, onPut }: RowProps) {
  const [isDeciding, setDeciding] = useState(false);
  const { decision, waiver } = gate;
  // A waiver in force is all that there is to say; one that is over is told beside what the gate finds.
  const isWaived = gate.status === 'waived' && waiver;
  const deed = gate.check === 'manual_review' ? 'Decide…' : 'Waive…';
  const mayDecide = !isDone && may('gates.write') && (gate.check === 'manual_review' || may('projects.write'));
  return (
    <li class="item-gate">
      <div class="row">
        <Status of={gate.status} />
        <strong>{gate.name}</strong>
        <span class="faint small">{words(gate.check)}</span>
        <span class="faint small item-when"><Time at={gate.evaluatedAt} /></span>
      </div>
      {!isWaived && <p class="small">{sentence(gate.message)}</p>}
      {decision && !gate.message.includes(decision.reason) && (
        <p class="small faint">{decision.name} said {decision.decision} <Time at={decision.at} />: {decision.reason}</p>
      )}
      {waiver && (
        <p class={isWaived ? 'small' : 'small faint'}>
          {waiver.name} waived it <Time at={waiver.at} />{waiver.until ? <>, until <Time at={waiver.until} form="full" /></> : ', until somebody decides otherwise'}: {waiver.reason}
        </p>
      )}
      {mayDecide && !isDeciding && (
        <button type="button" class="button" aria-label={`${deed} about ${gate.name}`} onClick={() => setDeciding(true)}>
          {deed}
        </button>
      )}
      {isDeciding && <Decide project={project} gate={gate} onPut={onPut} onDone={() => setDeciding(false)} />}
    </li>
  );
}

interface AskProps {
  project: Project;
  item: Item;
  onPut: (gate: Gate) => void;
  onDone: () => void;
}

/** A gate that waits for somebody to look who did not do the work. */
function AskReview({ project, item, onPut, onDone }: AskProps) {
  const ask = useWrite((name: string) => {
    const params = { path: { project_id: project.id } };
    return need(api.POST('/api/v1/projects/{project_id}/gates', { params, body: { workItemId: item.id, name, check: 'manual_review' } }));
  });
  const submit = async (fields: FormData) => {
    const gate = await ask.run(typed(fields, 'name'));
    if (!gate) return;
    onPut(gate);
    toast(`It waits for the review “${gate.name}” now.`);
    onDone();
  };
  return (
    <Form deed="Ask for it" problem={ask.problem} isRunning={ask.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onDone}>
      <Field label="Which review" name="name" isRequired autoFocus placeholder="design review"
        hint="The item is not done before somebody passes it who did not do the work." />
    </Form>
  );
}
