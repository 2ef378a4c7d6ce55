/** What differs between two revisions, a box per section. */
import { useState } from 'preact/hooks';
import { api, need } from '../../api/client';
import { useResource } from '../../api/resource';
import { EmptyState, Shown, count } from '../../parts';
import { bySection, type Change, type Line } from './diff';

/** Lines that are drawn before somebody asks for more. */
const SHOWN = 1_500;

export function Difference({ projectId, id, from, to }: { projectId: string; id: string; from: string; to: string }) {
  const path = { project_id: projectId, artifact_id: id };
  const [isWhole, setWhole] = useState(false);
  const difference = useResource(`diff/${id}/${from}/${to}`, async (signal) => {
    const sections = async (revision: string) => {
      const { sections } = await need(api.GET('/api/v1/projects/{project_id}/artifacts/{artifact_id}/content', { params: { path, query: { revision } }, signal }));
      return sections;
    };
    const [found, before, after] = await Promise.all([
      need(api.GET('/api/v1/projects/{project_id}/artifacts/{artifact_id}/diff', { params: { path, query: { from, to } }, signal })),
      sections(from),
      sections(to),
    ]);
    return { ...found, changes: bySection(found.diff, before, after) };
  });
  return (
    <Shown of={difference} what="Comparing">
      {({ changes, added, removed }) => {
        if (changes.length === 0) return <EmptyState title="Both say the same" />;
        const lines = changes.reduce((sum, change) => sum + change.lines.length, 0);
        let left = isWhole ? Infinity : SHOWN;
        return (
          <div class="stack" aria-live="polite">
            <p class="faint small">{count(changes.length, 'section')} changed: {count(added, 'line')} came, {count(removed, 'line')} went.</p>
            {changes.map((change, at) => {
              const shown = change.lines.slice(0, Math.max(left, 0));
              left -= shown.length;
              return shown.length > 0 && <Box key={at} of={change} lines={shown} />;
            })}
            {lines > SHOWN && !isWhole && <button type="button" class="button" onClick={() => setWhole(true)}>Show all {count(lines, 'line')}</button>}
          </div>
        );
      }}
    </Shown>
  );
}

const SAID: Record<Line['sign'], string> = { '+': 'came: ', '-': 'went: ', ' ': '', '…': '' };

function Box({ of: { title, added, removed }, lines }: { of: Change; lines: readonly Line[] }) {
  const name = title ?? 'Above the first heading';
  return (
    <section class="documents-change" aria-label={name}>
      <h4>{name} <span class="number small"><span data-sign="+">+{added}</span> <span data-sign="-">−{removed}</span></span></h4>
      <div class="documents-lines" role="region" aria-label={`Lines of ${name}`} tabIndex={0}>
        {lines.map(({ sign, text, number }, at) => (
          <div key={at} class="documents-line" data-sign={sign}>
            <span class="documents-number number" aria-hidden="true">{number ?? ''}</span>
            <span class="documents-sign" aria-hidden="true">{sign === '-' ? '−' : sign}</span>
            <code><span class="unseen">{SAID[sign]}</span>{text}</code>
          </div>
        ))}
      </div>
    </section>
  );
}
