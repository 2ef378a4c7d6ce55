/** All documents, by path, or those that say what is looked for; by kind. */
import { useContext, useEffect, useMemo, useState } from 'preact/hooks';
import { FileSearch, FileText, Search } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { useLive } from '../../live/useLive';
import { Badge, EmptyState, Loading, ProblemNote, VirtualList } from '../../parts';
import { CHANGES, Conflicts } from './data';
import { KINDS, fileName, kindOf, versionWords, type Kind } from './kinds';
import { usePlace } from './place';

type Trouble = 'stale' | 'broken';
type Hit = Schema<'ArtifactHit'>;

/** What a row is drawn from: a document, or one that was found. */
interface Entry {
  id: string;
  path: string;
  kind: Kind;
  title?: string | null;
  version?: string | null;
  removedAt?: string | null;
  snippet?: string;
}

/** How long typing has to pause. */
const PAUSE_MS = 250;
const LONGEST_QUERY = 500;

export function List({ projectId }: { projectId: string }) {
  const [kind, setKind] = useState<Kind>();
  const [withRemoved, setRemoved] = useState(false);
  const [typed, setTyped] = useState('');
  const query = useSettled(typed.trim());
  const path = { project_id: projectId };
  const all = usePages<Entry>(`documents/${projectId}/${kind ?? ''}/${withRemoved}`, (cursor, signal) =>
    need(api.GET('/api/v1/projects/{project_id}/artifacts', { params: { path, query: { kind, removed: withRemoved, limit: PAGE_ROWS, cursor } }, signal })));
  const found = usePages<Entry>(query && `found/${projectId}/${kind ?? ''}/${query}`, (cursor, signal): Promise<{ items: Hit[]; nextCursor?: string | null }> =>
    need(api.GET('/api/v1/projects/{project_id}/artifacts/search', { params: { path, query: { query, kind, limit: PAGE_ROWS, cursor } }, signal })));
  const shown = query ? found : all;
  useLive(projectId, CHANGES, shown.refresh);
  const conflicts = useContext(Conflicts);
  const troubles = useMemo(() => {
    const known = new Map<string, Trouble>();
    for (const { artifactPath, kind } of conflicts ?? []) if (known.get(artifactPath) !== 'broken') known.set(artifactPath, kind === 'dependency_broken' ? 'broken' : 'stale');
    return known;
  }, [conflicts]);
  const isBare = !query && !kind && !withRemoved && !all.isLoading && !all.problem && all.items.length === 0;

  return (
    <section class="documents-list sheet" aria-label="All documents">
      <div class="documents-find">
        <Search size={16} aria-hidden="true" />
        <input class="input" type="search" aria-label="Search what documents say" placeholder="Search what they say" maxLength={LONGEST_QUERY}
          value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      </div>
      <div class="chips" role="group" aria-label="Kinds">
        <button type="button" class="chip" aria-pressed={!kind} onClick={() => setKind(undefined)}>All</button>
        {KINDS.map(({ key, many }) => (
          <button type="button" class="chip" key={key} aria-pressed={kind === key} onClick={() => setKind(key === kind ? undefined : key)}>{many}</button>
        ))}
        {!query && (
          <button type="button" class="chip" aria-pressed={withRemoved} onClick={() => setRemoved(!withRemoved)}>Removed too</button>
        )}
      </div>
      {shown.problem && <ProblemNote problem={shown.problem} retry={() => void shown.refresh()} />}
      {shown.isLoading && <Loading what={query ? 'Searching' : 'Loading documents'} />}
      {!shown.isLoading && !shown.problem && shown.items.length === 0 && (isBare ? (
        <EmptyState icon={FileText} title="No documents yet">
          Requirements, architecture, stories and QA files appear here once the repository has them where the project's
          settings look, such as <code>docs/prd.md</code> and <code>docs/stories/</code>.
        </EmptyState>
      ) : (
        <EmptyState icon={FileSearch} title={query ? 'No document says that' : 'No such document'}>
          {query ? 'All words have to be in it. Quotes keep words together, log* is any word that begins so.' : undefined}
        </EmptyState>
      ))}
      {shown.items.length > 0 && (
        <VirtualList label={query ? 'Documents found, best first' : 'Documents, by path'} class="documents-rows" items={shown.items}
          itemKey={({ id }) => id} estimate={query ? 108 : 60} onEnd={shown.more}>
          {(entry) => <Row of={entry} trouble={troubles.get(entry.path)} />}
        </VirtualList>
      )}
    </section>
  );
}

function Row({ of: { id, path, kind, title, version, removedAt, snippet }, trouble }: { of: Entry; trouble?: Trouble }) {
  const { place, link } = usePlace();
  const { icon: Icon, one } = kindOf(kind);
  const show = place.show === 'history' ? 'text' : place.show;
  return (
    <a class="documents-row" href={link({ document: id, show, hops: place.hops })} aria-current={place.document === id ? 'page' : undefined}>
      <span class="documents-kind" data-kind={kind} title={one}>
        <Icon size={15} aria-hidden="true" />
        <span class="unseen">{one}: </span>
      </span>
      <span class="documents-name">
        <span class="cut">{title || fileName(path)}</span>
        <span class="cut faint small" title={path}>{path}</span>
        {snippet && <span class="documents-snippet small"><Snippet text={snippet} /></span>}
      </span>
      <span class="documents-marks">
        {removedAt ? <Badge>removed</Badge> : version && <span class="faint small number">{versionWords(version)}</span>}
        {trouble && (
          <Badge tone={trouble === 'broken' ? 'bad' : 'warn'} title={trouble === 'broken' ? 'It builds on what is not there' : 'It builds on another version than there is'}>{trouble}</Badge>
        )}
      </span>
    </a>
  );
}

/** What was looked for stands between `**`. */
function Snippet({ text }: { text: string }) {
  return <>{text.split('**').map((part, at) => (at % 2 === 1 ? <mark key={at}>{part}</mark> : part))}</>;
}

function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), value ? PAUSE_MS : 0);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
