/** The documents of a project: what there is, what builds on what, and what each says. */
import { useLive } from '../../live/useLive';
import { ViewHead } from '../../parts';
import type { ViewProps } from '../../views';
import { List } from './List';
import { Overview } from './Overview';
import { Page } from './Page';
import { Scan } from './Scan';
import { Conflicts, useConflicts } from './data';
import { usePlace } from './place';
import './documents.css';
import './map.css';
import './text.css';

export default function Documents({ project }: ViewProps) {
  const { place } = usePlace();
  const conflicts = useConflicts(project.id);
  // What is tracked is part of the project's settings.
  useLive(project.id, ['project_changed'], conflicts.refresh);
  return (
    <Conflicts.Provider value={conflicts.value}>
      <div class="documents" data-open={Boolean(place.document)}>
        <ViewHead title="Documents">
          <Scan projectId={project.id} />
        </ViewHead>
        <div class="documents-columns">
          <List projectId={project.id} />
          {place.document ? <Page key={place.document} projectId={project.id} id={place.document} /> : <Overview projectId={project.id} />}
        </div>
      </div>
    </Conflicts.Provider>
  );
}
