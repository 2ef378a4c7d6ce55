/** Deciding about a gate: passed or failed by a review, or waived for a time by who answers for it. */
import { useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import type { Project } from '../../api/projects';
import { may } from '../../api/scopes';
import { useWrite } from '../../api/write';
import { Field, Form, toast, typed } from '../../parts';
import type { Gate } from './gates';

type Verdict = Schema<'Verdict'>;

const VERDICTS: { value: Verdict; label: string; deed: string; about: string }[] = [
  { value: 'passed', label: 'Passed', deed: 'Pass it', about: 'You looked, and what it asks for holds.' },
  { value: 'failed', label: 'Failed', deed: 'Fail it', about: 'You looked, and it does not hold yet.' },
  { value: 'waived', label: 'Waived', deed: 'Waive it', about: 'It lets the item pass, whatever it finds; you answer for it.' },
];

interface DecideProps {
  project: Project;
  gate: Gate;
  onPut: (gate: Gate) => void;
  onDone: () => void;
}

export function Decide({ project, gate, onPut, onDone }: DecideProps) {
  const offered = VERDICTS.filter(({ value }) => (value === 'waived' ? may('projects.write') : gate.check === 'manual_review'));
  const [verdict, setVerdict] = useState(offered[0]?.value ?? 'passed');
  const decide = useWrite((fields: FormData) => {
    const [reason, until] = [typed(fields, 'reason'), typed(fields, 'until')];
    const params = { path: { project_id: project.id, gate_id: gate.id } };
    const body = { decision: verdict, reason, ...(until && { until: new Date(until).toISOString() }) };
    return need(api.POST('/api/v1/projects/{project_id}/gates/{gate_id}/decision', { params, body }));
  });
  const submit = async (fields: FormData) => {
    const decided = await decide.run(fields);
    if (!decided) return;
    onPut(decided);
    toast(`The gate “${decided.name}” is ${decided.status}.`);
    onDone();
  };
  return (
    <div class="item-ask">
      <Form deed={offered.find(({ value }) => value === verdict)?.deed ?? 'Decide'} problem={decide.problem} isRunning={decide.isRunning}
        onSubmit={(fields) => void submit(fields)} onCancel={onDone}>
        <fieldset class="item-verdicts">
          <legend>What do you decide?</legend>
          {offered.map(({ value, label, about }) => (
            <label key={value}>
              <input type="radio" name="decision" value={value} checked={value === verdict} onChange={() => setVerdict(value)} />
              <span><strong>{label}</strong> <span class="faint small">{about}</span></span>
            </label>
          ))}
        </fieldset>
        <Field label="Why" name="reason" isRequired isLong />
        {verdict === 'waived' && (
          <Field label="Until" name="until" type="datetime-local" hint="In your time. Left empty, until somebody decides otherwise." />
        )}
      </Form>
    </div>
  );
}
