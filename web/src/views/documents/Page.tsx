/** One document: what it says of itself, what is wrong with it, and what it says, builds on, and was before. */
import { useContext, useEffect, useRef } from 'preact/hooks';
import { ArrowLeft, FileX, GitCommitHorizontal, History, ScrollText, TriangleAlert, Waypoints } from 'lucide-preact';
import { api, need } from '../../api/client';
import { sentence } from '../../api/problem';
import { useResource } from '../../api/resource';
import { useLive } from '../../live/useLive';
import { Badge, CopyButton, EmptyState, Shown, Status, Time, count, utc } from '../../parts';
import { Around } from './Around';
import { Quality } from './Quality';
import { Revisions } from './Revisions';
import { Text } from './Text';
import { CHANGES, Conflicts } from './data';
import { fileName, kindOf, versionWords, type Artifact } from './kinds';
import { usePlace, type Pane } from './place';

const PANES: { key: Pane; title: string; icon: typeof History }[] = [
  { key: 'text', title: 'Text', icon: ScrollText },
  { key: 'map', title: 'Connections', icon: Waypoints },
  { key: 'history', title: 'History', icon: History },
];

export function Page({ projectId, id }: { projectId: string; id: string }) {
  const { link } = usePlace();
  const path = { project_id: projectId, artifact_id: id };
  const document = useResource(`document/${id}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/artifacts/{artifact_id}', { params: { path }, signal })));
  useLive(projectId, CHANGES, document.refresh);
  const back = (
    <a class="button bare documents-back" href={link({})}>
      <ArrowLeft size={16} aria-hidden="true" />
      All documents
    </a>
  );
  // An id that is no id is a document that is not there.
  if (!document.value && (document.problem?.isMissing || document.problem?.status === 400)) {
    return (
      <section class="documents-main sheet" aria-label="Document">
        <EmptyState icon={FileX} title="No such document" deed={<a class="button main" href={link({})}>All documents</a>}>
          It may belong to another project, or the link was cut short.
        </EmptyState>
      </section>
    );
  }
  return (
    <article class="documents-main sheet" aria-label="Document">
      {back}
      <Shown of={document} what="Opening the document">{(known) => <Opened projectId={projectId} of={known} />}</Shown>
    </article>
  );
}

function Opened({ projectId, of }: { projectId: string; of: Artifact }) {
  const { place, link } = usePlace();
  const heading = useRef<HTMLHeadingElement>(null);
  const { icon: Icon, one } = kindOf(of.kind);
  const shown = of.title || fileName(of.path);
  // Where the list gives way to the document, the focus comes along.
  useEffect(() => {
    if (window.document.activeElement === window.document.body) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      <header class="documents-head">
        <span class="documents-kind large" data-kind={of.kind} title={one}><Icon size={20} aria-hidden="true" /></span>
        <div class="documents-title">
          <h2 ref={heading} tabIndex={-1}>{shown}</h2>
          <p class="faint small documents-path"><code>{of.path}</code><CopyButton text={of.path} label="Copy the path" /></p>
        </div>
        <div class="row">
          <Badge>{one}</Badge>
          {of.version && <Badge tone="deed">{versionWords(of.version)}</Badge>}
          {of.status && <Status of={of.status} />}
          {of.removedAt && <Badge tone="warn">removed</Badge>}
        </div>
      </header>
      <Facts of={of} />
      <Troubles of={of} />
      {of.gate && <Quality of={of.gate} />}
      <nav class="documents-panes" aria-label="Parts of the document">
        {PANES.map(({ key, title, icon: Pane }) => (
          <a key={key} href={link({ document: of.id, show: key, hops: place.hops })} aria-current={place.show === key ? 'page' : undefined}>
            <Pane size={15} aria-hidden="true" />
            {title}
          </a>
        ))}
      </nav>
      {place.show === 'text' && <Text projectId={projectId} of={of} />}
      {place.show === 'map' && <Around projectId={projectId} of={of} />}
      {place.show === 'history' && <Revisions projectId={projectId} of={of} />}
    </>
  );
}

function Facts({ of }: { of: Artifact }) {
  return (
    <dl class="documents-facts small">
      <div>
        <dt>Changed</dt>
        <dd><Time at={of.changedAt} />{of.author && <> by {of.author}</>}</dd>
      </div>
      <div>
        <dt>Commit</dt>
        <dd title={of.commit}><GitCommitHorizontal size={14} aria-hidden="true" /> <code>{of.commit.slice(0, 8)}</code></dd>
      </div>
      {of.createdBy && <div><dt>Written by</dt><dd>{of.createdBy}</dd></div>}
      <div>
        <dt>Size</dt>
        <dd>{[of.sections.length > 0 && count(of.sections.length, 'section'), typeof of.bytes === 'number' && bytes(of.bytes)].filter(Boolean).join(', ') || 'not read yet'}</dd>
      </div>
      {of.removedAt && <div><dt>Removed</dt><dd title={utc(of.removedAt)}><Time at={of.removedAt} /></dd></div>}
    </dl>
  );
}

export const bytes = (number: number): string =>
  number < 1_000 ? count(number, 'byte') : number < 1_000_000 ? `${(number / 1_000).toFixed(1)} kB` : `${(number / 1_000_000).toFixed(1)} MB`;

/** What is wrong in it, and with what it builds on. */
function Troubles({ of }: { of: Artifact }) {
  const known = useContext(Conflicts) ?? [];
  const conflicts = known.filter(({ artifactId, artifactPath }) => artifactId === of.id || artifactPath === of.path);
  if (conflicts.length + of.warnings.length === 0) return null;
  return (
    <ul class="documents-troubles" aria-label="What is wrong">
      {conflicts.map(({ id, severity, message }) => (
        <li key={id} data-severity={severity}>
          <Status of={severity} />
          <span>{sentence(message)}</span>
        </li>
      ))}
      {of.warnings.map((warning) => (
        <li key={warning} data-severity="note">
          <Badge tone="warn"><TriangleAlert size={13} aria-hidden="true" /> front matter</Badge>
          <span>{sentence(warning)}</span>
        </li>
      ))}
    </ul>
  );
}
