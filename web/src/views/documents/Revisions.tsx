/** What a document was before: its revisions, and what changed between two of them, section by section. */
import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { api, need, type Schema } from '../../api/client';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { useLive } from '../../live/useLive';
import { Badge, DataTable, EmptyState, Loading, ProblemNote, Time, moment } from '../../parts';
import { Difference } from './Difference';
import { bytes } from './Page';
import { CHANGES } from './data';
import { versionWords, type Artifact } from './kinds';
import { usePlace } from './place';

type Revision = Schema<'ArtifactRevision'>;

export function Revisions({ projectId, of }: { projectId: string; of: Artifact }) {
  const { place, link } = usePlace();
  const { route } = useLocation();
  const path = { project_id: projectId, artifact_id: of.id };
  const revisions = usePages<Revision>(`revisions/${of.id}`, (cursor, signal) =>
    need(api.GET('/api/v1/projects/{project_id}/artifacts/{artifact_id}/revisions', { params: { path, query: { limit: PAGE_ROWS, cursor } }, signal })));
  useLive(projectId, CHANGES, revisions.refresh);
  const [chosen, setChosen] = useState<{ from?: string; to?: string }>({});
  useEffect(() => setChosen({}), [of.id]);
  const { items } = revisions;
  if (revisions.isLoading) return <Loading what="Reading the history" />;
  const texts = items.filter(({ removed }) => !removed);
  const to = chosen.to ?? place.to ?? texts[0]?.id;
  const from = chosen.from ?? place.from ?? texts[1]?.id;
  const compare = (next: { from?: string; to?: string }) => {
    const both = { from, to, ...next };
    setChosen(both);
    route(link({ document: of.id, show: 'history', ...both }), true);
  };
  const choose = (name: 'from' | 'to', value: string | undefined) => (
    <select class="select input" value={value} onChange={(event) => compare({ [name]: event.currentTarget.value })}>
      {texts.map((revision) => <option key={revision.id} value={revision.id}>{named(revision)}</option>)}
    </select>
  );
  const before = (revision: Revision): Revision | undefined => texts[texts.indexOf(revision) + 1];
  return (
    <div class="documents-history">
      {revisions.problem && <ProblemNote problem={revisions.problem} retry={() => void revisions.refresh()} />}
      {items.length === 0 && !revisions.problem && <EmptyState title="It was never read">Its revisions appear once the repository is read.</EmptyState>}
      {items.length > 0 && (
        <DataTable label="Revisions, newest first" rows={items} rowKey={({ id }) => id} columns={[
          { title: 'Version', isHead: true, cell: (it) => it.removed ? <Badge tone="warn">removed</Badge> : it.version ? <strong>{versionWords(it.version)}</strong> : <span class="faint">none stated</span> },
          { title: 'When', cell: (it) => <Time at={it.committedAt} /> },
          { title: 'Author', cell: (it) => it.author ?? <span class="faint">unknown</span> },
          { title: 'Commit', cell: (it) => <code title={it.commit}>{it.commit.slice(0, 8)}</code> },
          { title: 'Size', isEnd: true, cell: (it) => it.removed ? '' : bytes(it.bytes) },
          { title: 'What to do', isSilent: true, cell: (it) => !it.removed && (
            <span class="row documents-deeds">
              <a href={link({ document: of.id, revision: it.id })} aria-label={`Read ${named(it)}`}>Read</a>
              {before(it) && (
                <a href={link({ document: of.id, show: 'history', from: before(it)?.id, to: it.id })} aria-label={`Changes that made ${named(it)}`}
                  onClick={() => setChosen({})}>Changes</a>
              )}
            </span>
          ) },
        ]} />
      )}
      {revisions.hasMore && <button type="button" class="button" onClick={() => void revisions.more()}>Older revisions</button>}
      {texts.length > 1 && from && to && (
        <section class="documents-compare" aria-label="Comparison">
          <div class="row">
            <h3>What changed</h3>
            <label class="row small">from {choose('from', from)}</label>
            <label class="row small">to {choose('to', to)}</label>
          </div>
          <Difference projectId={projectId} id={of.id} from={from} to={to} />
        </section>
      )}
      {texts.length === 1 && <p class="faint small">There is one revision yet; what changes will be compared here.</p>}
    </div>
  );
}

const named = ({ version, commit, committedAt }: Revision): string => `${version ? versionWords(version) : 'no version'}, ${moment(committedAt)} (${commit.slice(0, 8)})`;
