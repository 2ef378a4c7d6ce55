/** One gate: how it stands, why, since when, what was decided about it, and deciding. */
import type { Schema } from '../../api/client';
import { sentence } from '../../api/problem';
import { may } from '../../api/scopes';
import { Badge, Time, moment } from '../../parts';
import type { Deed } from './Decide';
import { CHECKS, STATUSES, messageOf, type Gate } from './words';

export function GateRow({ of, decide }: { of: Gate; decide: (deed: Deed) => void }) {
  const { text, tone, icon: Icon } = STATUSES[of.status] ?? STATUSES.pending;
  const isReview = of.check === 'manual_review';
  // A decision says itself what the message would say of it.
  const isTold = of.status === 'waived' || (isReview && of.decision);
  const isWaivable = of.status === 'failed' || of.status === 'pending';
  return (
    <div class="gates-row" data-status={of.status}>
      <span class="gates-mark" data-tone={tone}><Icon size={18} aria-hidden="true" /></span>
      <div class="gates-said">
        <p class="row">
          <strong>{of.name}</strong>
          <Badge tone={tone}>{text}</Badge>
          <span class="faint small"><span class="unseen">since </span><Time at={of.evaluatedAt} /></span>
        </p>
        {!isTold && <p class="gates-message">{messageOf(of)}</p>}
        {of.decision && <Ruling of={of.decision} />}
        {of.waiver && <Ruling of={of.waiver} isOver={of.status !== 'waived'} />}
      </div>
      <p class="faint small gates-check">
        {CHECKS[of.check] ?? of.check}
        <span class="gates-weight">weight <span class="number">{of.weight}</span>{!of.isConfigured && ', added by hand'}</span>
      </p>
      <div class="gates-deeds">
        {isReview && may('gates.write') && (
          <>
            <button type="button" class="button" aria-label={`Pass ${of.name}`} onClick={() => decide({ gate: of, decision: 'passed' })}>Pass</button>
            <button type="button" class="button" aria-label={`Fail ${of.name}`} onClick={() => decide({ gate: of, decision: 'failed' })}>Fail</button>
          </>
        )}
        {isWaivable && may('gates.write') && may('projects.write') && (
          <button type="button" class="button bare" aria-label={`Waive ${of.name}`} onClick={() => decide({ gate: of, decision: 'waived' })}>Waive…</button>
        )}
      </div>
    </div>
  );
}

const DECIDED: Record<Schema<'Verdict'>, string> = { passed: 'passed it', failed: 'failed it', waived: 'waived it' };

function Ruling({ of: { decision, name, reason, at, until }, isOver }: { of: Schema<'GateRuling'>; isOver?: boolean }) {
  return (
    <p class="small gates-ruling">
      <strong>{name}</strong> {DECIDED[decision] ?? decision} <Time at={at} />
      {until && <span title={moment(until)}>, {isOver ? 'it ended' : 'until'} <Time at={until} form="full" /></span>}
      {decision === 'waived' && !until && !isOver && ', until somebody decides otherwise'}: {sentence(reason)}
      {isOver && decision === 'waived' && <span class="faint"> Not in force.</span>}
    </p>
  );
}
