/** What a document says, now or at a revision, with its outline. */
import { useEffect, useMemo } from 'preact/hooks';
import { FileX } from 'lucide-preact';
import { api, need } from '../../api/client';
import { sentence } from '../../api/problem';
import { useResource } from '../../api/resource';
import { EmptyState, Shown, Time } from '../../parts';
import { Blocks } from './Blocks';
import { parts, type Section } from './blocks';
import { versionWords, type Artifact } from './kinds';
import { usePlace } from './place';

/** Headings from which on an outline helps. */
const WORTH_AN_OUTLINE = 3;

export function Text({ projectId, of }: { projectId: string; of: Artifact }) {
  const { place, link } = usePlace();
  const { revision, section } = place;
  // The newest text is read again when there is a newer one.
  const content = useResource(`content/${of.id}/${revision ?? of.blob ?? of.commit}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/artifacts/{artifact_id}/content', {
      params: { path: { project_id: projectId, artifact_id: of.id }, query: { revision } }, signal,
    })));
  const known = content.value;
  const body = useMemo(() => (known ? parts(known.text, known.sections, known.path) : []), [known]);
  useEffect(() => {
    if (section && known) document.getElementById(idOf(section))?.scrollIntoView();
  }, [section, known]);
  if (content.problem && !known && (content.problem.status === 410 || content.problem.isMissing)) {
    return (
      <EmptyState icon={FileX} title="There is no text to show" deed={<a class="button" href={link({ document: of.id, show: 'history' })}>See its history</a>}>
        {sentence(content.problem.detail)}
      </EmptyState>
    );
  }
  return (
    <Shown of={content} what="Reading the text">
      {({ revision: read, sections, text }) => (
        <>
          {revision && (
            <p class="documents-then small">
              This is {read.version ? versionWords(read.version) : 'a revision'} of <Time at={read.committedAt} form="full" />, commit <code>{read.commit.slice(0, 8)}</code>.{' '}
              <a href={link({ document: of.id })}>Read the newest</a>
            </p>
          )}
          {text.trim() === '' ? <EmptyState title="It is empty" /> : (
            <div class="documents-reading">
              {sections.length >= WORTH_AN_OUTLINE && <Outline of={sections} current={section} href={(anchor) => link({ document: of.id, revision, section: anchor })} />}
              <div class="documents-text">
                {body.map((part) => {
                  const Heading = `h${Math.min((part.section?.level ?? 1) + 2, 6)}` as 'h3';
                  return (
                    <section key={part.section?.anchor ?? ''} class="documents-part">
                      {part.section && <Heading id={idOf(part.section.anchor)} data-level={part.section.level}>{part.section.title}</Heading>}
                      <Blocks of={part.blocks} />
                    </section>
                  );
                })}
              </div>
            </div>
          )}
        </>
      )}
    </Shown>
  );
}

const idOf = (anchor: string): string => `section-${anchor}`;

function Outline({ of, current, href }: { of: readonly Section[]; current: string | undefined; href: (anchor: string) => string }) {
  const highest = Math.min(...of.map(({ level }) => level));
  return (
    <nav class="documents-outline small" aria-label="Sections">
      <ul>
        {of.map(({ anchor, title, level }) => (
          <li key={anchor} data-depth={Math.min(level - highest, 3)}>
            <a href={href(anchor)} aria-current={anchor === current ? 'location' : undefined}
              onClick={() => { if (anchor === current) document.getElementById(idOf(anchor))?.scrollIntoView(); }}>{title}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
