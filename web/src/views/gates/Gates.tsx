/** Gates: what has to hold before a phase, or a work item, is complete, and who lets it pass otherwise. */
import { useState } from 'preact/hooks';
import { FileCode, RefreshCw, ShieldCheck } from 'lucide-preact';
import { api, need } from '../../api/client';
import { sentence } from '../../api/problem';
import { may } from '../../api/scopes';
import { idempotencyKey, useWrite } from '../../api/write';
import { EmptyState, Shown, ViewHead, count, toast } from '../../parts';
import type { ViewProps } from '../../views';
import { Decide, type Deed } from './Decide';
import { GateRow } from './GateRow';
import { Items } from './Items';
import { Stepper } from './Stepper';
import { usePhases } from './data';
import { PHASES, STATUSES, type Gate } from './words';
import './gates.css';

export default function Gates({ project }: ViewProps) {
  const phases = usePhases(project.id);
  const [deed, setDeed] = useState<Deed>();
  const evaluate = useWrite(() =>
    need(api.POST('/api/v1/projects/{project_id}/gates/evaluate', { params: { path: { project_id: project.id }, header: { 'Idempotency-Key': idempotencyKey() } } })));
  const run = async () => {
    const done = await evaluate.run();
    if (!done) return;
    toast(done.changed > 0 ? `${count(done.changed, 'gate')} changed.` : 'All gates stand as before.');
    void phases.refresh();
  };
  return (
    <div class="gates">
      <ViewHead title="Gates" about="What has to hold before a phase, or a work item, is complete.">
        <a class="button" href={`/api/v1/projects/${project.id}/sprint-status.yaml`} target="_blank" rel="noreferrer"
          title="Derived from work items, gates and conflicts; nobody need write it">
          <FileCode size={15} aria-hidden="true" />
          sprint-status.yaml
        </a>
        {may('gates.write') && !phases.problem?.isForbidden && (
          <button type="button" class="button" aria-disabled={evaluate.isRunning} onClick={() => void run()}>
            <RefreshCw size={15} aria-hidden="true" />
            Evaluate now
          </button>
        )}
      </ViewHead>
      {evaluate.problem && <p class="gates-problem small" role="alert"><strong>{evaluate.problem.title}.</strong> {sentence(evaluate.problem.detail)}</p>}
      <Shown of={phases} what="Loading gates">
        {({ progress, gates }) => (
          <>
            {gates.length > 0 ? (
              <>
                <Stepper of={progress} gates={gates} />
                <div class="gates-phases">
                  {PHASES.map(({ key, title, about }) => {
                    const own = gates.filter(({ phase }) => phase === key);
                    return (
                      <section key={key} id={`phase-${key}`} tabIndex={-1} class="sheet gates-phase" aria-labelledby={`phase-title-${key}`}>
                        <div class="gates-phase-head">
                          <h2 id={`phase-title-${key}`}>{title}</h2>
                          <span class="faint small">{about}</span>
                          <span class="small gates-sum">{sum(own)}</span>
                        </div>
                        {own.length === 0 && <p class="faint small gates-none">No gate is set up for this phase.</p>}
                        <ul>{own.map((gate) => <li key={gate.id}><GateRow of={gate} decide={setDeed} /></li>)}</ul>
                      </section>
                    );
                  })}
                </div>
              </>
            ) : (
              <EmptyState icon={ShieldCheck} title="No phase has gates">
                The project's settings say what each phase asks for: documents, tests, files, or somebody's review.
              </EmptyState>
            )}
            <Items projectId={project.id} decide={setDeed} />
          </>
        )}
      </Shown>
      {deed && <Decide projectId={project.id} of={deed} onClose={() => setDeed(undefined)} onDone={() => void phases.refresh()} />}
    </div>
  );
}

/** `1 failed, 2 passed`. */
function sum(gates: readonly Gate[]): string {
  const order = Object.entries(STATUSES) as [Gate['status'], { text: string }][];
  return order
    .map(([status, { text }]) => [gates.filter((gate) => gate.status === status).length, text.toLowerCase()] as const)
    .filter(([number]) => number > 0)
    .map(([number, text]) => `${number} ${text}`)
    .join(', ');
}
