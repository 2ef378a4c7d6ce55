/** What a document builds on and what builds on it: as a map of some steps around it, and as lists. */
import { useContext } from 'preact/hooks';
import { Shown, count } from '../../parts';
import { Map } from './Map';
import { Conflicts, useGraph } from './data';
import { READABLE, marked, type Conflict, type Graph, type Link, type Mark } from './graph';
import { fileName, kindOf, versionWords, type Artifact } from './kinds';
import { FARTHEST, usePlace } from './place';

const STEPS = [1, 2, 3];
/** Rows of a list that are shown at once. */
const SHOWN = 50;

export function Around({ projectId, of }: { projectId: string; of: Artifact }) {
  const { place, link } = usePlace();
  const { hops } = place;
  const graph = useGraph(projectId, of.id, hops);
  const conflicts = useContext(Conflicts);
  return (
    <Shown of={graph} what="Drawing the map">
      {(known) => {
        const isSmall = known.nodes.length <= READABLE && !known.truncated;
        const steps = isSmall || hops === FARTHEST ? [...STEPS, FARTHEST] : STEPS;
        return (
          <>
            <Map of={known} conflicts={conflicts} label={`What is around ${of.title || fileName(of.path)}`} focus={of.path} head={
              <div class="row">
                <div class="chips" role="group" aria-label="Steps around it">
                  {steps.map((step) => (
                    <a class="chip" key={step} href={link({ document: of.id, show: 'map', hops: step })} aria-current={step === hops ? 'true' : undefined}>
                      {step === FARTHEST ? 'All' : count(step, 'step')}
                    </a>
                  ))}
                </div>
                <span class="faint small">{count(known.nodes.length, 'document')}{known.truncated && ', and more'}</span>
              </div>
            } />
            {known.cycles.length > 0 && (
              <p class="documents-then small" role="note">
                <strong>In a circle:</strong> {known.cycles.map((cycle) => cycle.map(fileName).join(' → ')).join('; ')}. Somewhere it has to begin.
              </p>
            )}
            <Neighbours graph={known} conflicts={conflicts} of={of} />
          </>
        );
      }}
    </Shown>
  );
}

function Neighbours({ graph, conflicts, of }: { graph: Graph; conflicts: readonly Conflict[] | undefined; of: Artifact }) {
  const links = marked(graph, conflicts);
  const nodes = new globalThis.Map(graph.nodes.map((node) => [node.path, node]));
  const found = (path: string) => nodes.get(path)?.version ?? undefined;
  const on = links.filter(({ from }) => from === of.path);
  const by = links.filter(({ to }) => to === of.path);
  const row = (path: string, link: Link) => <Neighbour key={path} path={path} id={nodes.get(path)?.id ?? undefined} kind={nodes.get(path)?.kind} link={link} found={found(link.to)} />;
  return (
    <div class="documents-neighbours">
      <section aria-label="Builds on">
        <h3>Builds on <span class="faint number">{on.length}</span></h3>
        {on.length === 0 && <p class="faint small">It names nothing that it builds on.</p>}
        <ul>{on.slice(0, SHOWN).map((link) => row(link.to, link))}</ul>
      </section>
      <section aria-label="Built on by">
        <h3>Built on by <span class="faint number">{by.length}</span></h3>
        {by.length === 0 && <p class="faint small">No document names it.</p>}
        <ul>{by.slice(0, SHOWN).map((link) => row(link.from, link))}</ul>
        {by.length > SHOWN && <p class="faint small">And {count(by.length - SHOWN, 'other')}: the map has them in stacks.</p>}
      </section>
    </div>
  );
}

const SAID: Record<Mark, string> = { fine: '', settled: 'another version, settled', stale: 'stale', broken: 'not there' };

function Neighbour({ path, id, kind, link: { wanted, mark, why }, found }: { path: string; id?: string; kind?: string; link: Link; found?: string }) {
  const { link, place } = usePlace();
  const { icon: Icon, one } = kindOf(kind);
  return (
    <li class="documents-neighbour" data-mark={mark}>
      <span class="documents-kind" data-kind={kind ?? 'other'} title={one}><Icon size={15} aria-hidden="true" /></span>
      <span class="documents-name">
        {id ? <a class="cut" href={link({ document: id, show: 'map', hops: place.hops })}>{fileName(path)}</a> : <span class="cut">{fileName(path)}</span>}
        <span class="cut faint small" title={path}>{path}</span>
      </span>
      <span class="documents-marks small" title={why}>
        <span class="number">{wanted ? versionWords(wanted) : <span class="faint">any version</span>}{mark === 'stale' || mark === 'settled' ? found && <> ≠ {versionWords(found)}</> : ''}</span>
        {SAID[mark] && <span class="docmap-mark" data-mark={mark}>{SAID[mark]}</span>}
      </span>
    </li>
  );
}
