/** All documents in one picture. */
import { useContext } from 'preact/hooks';
import { Waypoints } from 'lucide-preact';
import { EmptyState, Shown, count } from '../../parts';
import { Map } from './Map';
import { Conflicts, useGraph } from './data';

export function Overview({ projectId }: { projectId: string }) {
  const graph = useGraph(projectId);
  const conflicts = useContext(Conflicts);
  return (
    <section class="documents-main sheet" aria-label="What builds on what">
      <Shown of={graph} what="Drawing the map">
        {(known) => known.nodes.length === 0 ? (
          <EmptyState icon={Waypoints} title="Nothing to draw yet">
            Here documents will stand beside what they build on, as they say in their front matter:{' '}
            <code>dependencies: docs/prd.md@1.0</code>
          </EmptyState>
        ) : (
          <Map of={known} conflicts={conflicts} label="What builds on what" head={
            <>
              <h2>What builds on what</h2>
              <p class="faint small">
                {known.truncated ? `The first ${count(known.nodes.length, 'document')} of more.` : `${count(known.nodes.length, 'document')}.`}{' '}
                Choose one to read it.
              </p>
            </>
          } />
        )}
      </Shown>
    </section>
  );
}
