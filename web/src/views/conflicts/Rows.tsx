/** A conflict and a reservation, each as a row that says all there is to know, with what can be done about it. */
import { Check, Info, OctagonAlert, TriangleAlert } from 'lucide-preact';
import { may } from '../../api/scopes';
import { Badge, Status, Time, words } from '../../parts';
import { editOf, type Conflict, type Reservation } from './map';

const SIGNS = { critical: OctagonAlert, warning: TriangleAlert, info: Info };

export function ConflictRow({ of, onResolve, isCurrent }: { of: Conflict; onResolve: (conflict: Conflict) => void; isCurrent?: boolean }) {
  const isOpen = !of.resolvedAt;
  const Icon = isOpen ? SIGNS[of.severity] : Check;
  const edit = editOf(of);
  const who = edit?.parties.map(({ name }) => name).join(', ');
  const paths = edit && edit.paths.length > 0 ? edit.paths : [of.artifactPath];
  return (
    <article class="conflicts-row" data-severity={isOpen ? of.severity : 'resolved'} aria-current={isCurrent || undefined}>
      <span class="conflicts-sign"><Icon size={16} aria-hidden="true" /></span>
      <div class="conflicts-text">
        <p class="conflicts-title">
          <strong>{sentenceCase(words(of.kind))}</strong>
          {isOpen ? <Status of={of.severity} /> : <Badge tone="good">resolved</Badge>}
          <code class="conflicts-path">{paths[0]}</code>
          {paths.length > 1 && <span class="faint small" title={paths.slice(1).join('\n')}>and {paths.length - 1} more</span>}
        </p>
        <p>{of.message}</p>
        <p class="faint small">
          {who && <>{who} · </>}
          since <Time at={of.detectedAt} />
          {of.resolvedAt && <> · {of.resolverName ? `${of.resolverName} resolved it` : 'over by itself'} <Time at={of.resolvedAt} />{of.resolution && <>: {of.resolution}</>}</>}
        </p>
      </div>
      {isOpen && may('conflicts.write') && (
        <button type="button" class="button" onClick={() => onResolve(of)} aria-label={`Resolve ${words(of.kind)} at ${paths[0]}`}>Resolve…</button>
      )}
    </article>
  );
}

const sentenceCase = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Patterns that are named before they are counted. */
const NAMED = 4;

export function ReservationRow({ of, home, onRelease }: { of: Reservation; home: string; onRelease: (reservation: Reservation) => void }) {
  const more = of.paths.length - NAMED;
  return (
    <article class="conflicts-row">
      <div class="conflicts-text">
        <p class="conflicts-title">
          <strong>{of.holderName}</strong>
          <Badge tone={of.mode === 'exclusive' ? 'busy' : 'deed'}>{of.mode}</Badge>
          {of.paths.slice(0, NAMED).map((path) => <code class="conflicts-path" key={path}>{path}</code>)}
          {more > 0 && <span class="faint small" title={of.paths.slice(NAMED).join('\n')}>and {more} more</span>}
        </p>
        {of.purpose && <p>{of.purpose}</p>}
        <p class="faint small">
          since <Time at={of.reservedAt} /> · ends <Time at={of.expiresAt} /> without another sign of life, the last was <Time at={of.lastSeenAt} /> ({words(of.lastSeenBy)})
          {of.branch && <> · on <code>{of.branch}</code></>}
          {of.workItemId && <> · <a href={`${home}/board?item=${of.workItemId}`}>its work item</a></>}
        </p>
      </div>
      {may('projects.write') && (
        <button type="button" class="button" onClick={() => onRelease(of)} aria-label={`Release ${of.paths[0]} of ${of.holderName}`}>Release…</button>
      )}
    </article>
  );
}
