/** Deciding about a gate: a review's outcome, or a waiver with its end. Both ask for a reason. */
import { useMemo } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { idempotencyKey, useWrite } from '../../api/write';
import { Dialog, Field, Form, toast, typed } from '../../parts';
import { messageOf, type Gate } from './words';

export interface Deed {
  gate: Gate;
  decision: Schema<'Verdict'>;
}

const WORDS: Record<Deed['decision'], { title: string; deed: string; done: string; hint: string }> = {
  passed: { title: 'Pass', deed: 'Pass', done: 'passed', hint: 'What was looked at, and why it is good.' },
  failed: { title: 'Fail', deed: 'Fail', done: 'failed', hint: 'What is wrong, so that somebody can mend it.' },
  waived: { title: 'Waive', deed: 'Waive', done: 'waived', hint: 'Why it may pass all the same. Your name stands with it.' },
};

export function Decide({ projectId, of: { gate, decision }, onClose, onDone }: { projectId: string; of: Deed; onClose: () => void; onDone: () => void }) {
  const words = WORDS[decision];
  // Sent twice over a bad line, the same words are one decision.
  const keys = useMemo(() => new Map<string, string>(), []);
  const submit = useWrite((reason: string, until: string | undefined) => {
    const wish = `${reason}\n${until}`;
    const key = keys.get(wish) ?? idempotencyKey();
    keys.set(wish, key);
    return need(api.POST('/api/v1/projects/{project_id}/gates/{gate_id}/decision', {
      params: { path: { project_id: projectId, gate_id: gate.id }, header: { 'Idempotency-Key': key } },
      body: { decision, reason, until },
    }));
  });
  const send = async (fields: FormData) => {
    const until = typed(fields, 'until');
    const decided = await submit.run(typed(fields, 'reason'), until ? new Date(until).toISOString() : undefined);
    if (!decided) return;
    toast(`${gate.name} is ${words.done}.`);
    onClose();
    onDone();
  };
  return (
    <Dialog title={`${words.title} “${gate.name}”`} onClose={onClose}>
      <p class="faint gates-now">Now: {messageOf(gate)}</p>
      <Form deed={words.deed} problem={submit.problem} isRunning={submit.isRunning} isDangerous={decision === 'failed'}
        onSubmit={(fields) => void send(fields)} onCancel={onClose}>
        <Field label="Reason" name="reason" isLong isRequired autoFocus hint={words.hint} />
        {decision === 'waived' && (
          <Field label="Until" name="until" type="datetime-local" hint="When the waiver ends, by your clock. Left empty, it holds until somebody decides otherwise." />
        )}
      </Form>
    </Dialog>
  );
}
