/** The phases as steps: how far each is, by the weight of its gates, and which is the current one. */
import { Check } from 'lucide-preact';
import type { Schema } from '../../api/client';
import { Badge, Meter } from '../../parts';
import { PHASES, type Gate } from './words';

export function Stepper({ of: { phases, currentPhase }, gates }: { of: Schema<'PhaseProgress'>; gates: readonly Gate[] }) {
  const go = (key: string) => {
    const section = document.getElementById(`phase-${key}`);
    section?.scrollIntoView({ behavior: 'smooth', block: 'start' });
    section?.focus({ preventScroll: true });
  };
  return (
    <ol class="gates-steps" aria-label="Phases">
      {PHASES.map(({ key, title }, at) => {
        const share = phases.find(({ phase }) => phase === key)?.percentage ?? 0;
        const isCurrent = key === currentPhase;
        const counted = gates.filter(({ phase, status }) => phase === key && status !== 'skipped');
        const isDone = share === 100;
        const weight = counted.reduce((sum, gate) => sum + gate.weight, 0);
        const won = counted.filter(({ status }) => status === 'passed' || status === 'waived').reduce((sum, gate) => sum + gate.weight, 0);
        return (
          <li key={key} class="sheet gates-step" data-current={isCurrent} data-done={isDone} aria-current={isCurrent ? 'step' : undefined}>
            <div class="gates-step-head">
              <span class="gates-step-mark" aria-hidden="true">{isDone ? <Check size={16} /> : at + 1}</span>
              <button type="button" class="gates-step-name" onClick={() => go(key)}>{title}</button>
              {isCurrent && <Badge tone="deed">current</Badge>}
              {isDone && <Badge tone="good">complete</Badge>}
              <span class="gates-step-share number">{share} %</span>
            </div>
            <Meter value={share} label={`Progress of ${title}, percent`} tone={isDone ? 'good' : undefined} />
            <p class="faint small">{counted.length > 0 ? <>weight <span class="number">{won} of {weight}</span></> : 'nothing is asked'}</p>
          </li>
        );
      })}
    </ol>
  );
}
