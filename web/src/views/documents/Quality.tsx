/** What quality assurance decided, as a QA file says it. */
import type { Schema } from '../../api/client';
import { sentence } from '../../api/problem';
import { Badge, type Tone } from '../../parts';

type Gate = Schema<'ArtifactGate'>;

const DECISIONS: Record<Gate['decision'], { tone: Tone; text: string; about: string }> = {
  pass: { tone: 'good', text: 'Passed', about: 'All is well' },
  concerns: { tone: 'warn', text: 'Concerns', about: 'It may go on, with concerns' },
  fail: { tone: 'bad', text: 'Failed', about: 'It must not go on' },
  waived: { tone: 'warn', text: 'Waived', about: 'It would not go on, but somebody answers for it' },
};

export function Quality({ of: { decision, reviewer, reasons, waiver, expires } }: { of: Gate }) {
  const said = DECISIONS[decision];
  return (
    <section class="documents-quality" data-tone={said.tone} aria-label="Quality gate">
      <div class="row">
        <h3>Quality gate</h3>
        <Badge tone={said.tone}>{said.text}</Badge>
        <span class="faint small">{said.about}{reviewer && <>, says {reviewer}</>}{expires && <>; holds until {expires}</>}</span>
      </div>
      {reasons.length > 0 && <ul>{reasons.map((reason, at) => <li key={at}>{sentence(reason)}</li>)}</ul>}
      {waiver && (waiver.active || waiver.reason) && (
        <p class="small">
          <strong>Waiver{waiver.active ? '' : ', not in force'}:</strong>{' '}
          {waiver.reason ? sentence(waiver.reason) : 'no reason is given.'}
          {waiver.approvedBy && <span class="faint"> Approved by {waiver.approvedBy}.</span>}
        </p>
      )}
    </section>
  );
}
