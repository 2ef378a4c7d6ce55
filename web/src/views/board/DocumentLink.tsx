/** The document that an item is one thing with. */
import { FileText } from 'lucide-preact';
import { api, need } from '../../api/client';
import type { Project } from '../../api/projects';
import { useResource } from '../../api/resource';
import { Badge, words } from '../../parts';
import { pathOf, projectViews } from '../../views';
import type { Item } from './items';

export function DocumentLink({ project, item, id }: { project: Project; item: Item; id: string }) {
  const found = useResource(`artifact/${id}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/artifacts/{artifact_id}', { params: { path: { project_id: project.id, artifact_id: id } }, signal })),
  );
  const view = projectViews.find(({ path }) => path === 'documents');
  const name = found.value?.path ?? (found.problem ? 'It cannot be shown' : '…');
  return (
    <section>
      <h3>Document</h3>
      <p class="item-document">
        <FileText size={15} aria-hidden="true" />
        {view && found.value ? <a href={`${pathOf(project.id, view)}?document=${id}`}>{name}</a> : <span>{name}</span>}
      </p>
      {item.fileStatus && <p class="small"><span class="faint">It says of itself</span> <Badge>{words(item.fileStatus)}</Badge></p>}
    </section>
  );
}
