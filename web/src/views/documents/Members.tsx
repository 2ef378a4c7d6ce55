/** What a stack of the map holds. */
import { Dialog, VirtualList, count } from '../../parts';
import type { Box } from './graph';
import { fileName, kindOf, versionWords } from './kinds';
import { usePlace } from './place';

export function Members({ of, onClose }: { of: Box; onClose: () => void }) {
  const { link } = usePlace();
  const { many, icon: Icon } = kindOf(of.kind);
  const rows = [...of.members].sort((one, other) => one.path.localeCompare(other.path, 'en', { numeric: true }));
  return (
    <Dialog title={many} onClose={onClose}>
      <p class="faint small">{count(rows.length, 'document')} that build on the same and stand alike.</p>
      <VirtualList label={many} class="docmap-members" items={rows} itemKey={({ path }) => path} estimate={56}>
        {({ id, path, version }) => {
          const said = (
            <>
              <span class="documents-kind" data-kind={of.kind}><Icon size={15} aria-hidden="true" /></span>
              <span class="documents-name"><span class="cut">{fileName(path)}</span><span class="cut faint small">{path}</span></span>
              {version && <span class="documents-marks faint small number">{versionWords(version)}</span>}
            </>
          );
          return id ? <a class="documents-row" href={link({ document: id, show: 'map' })} onClick={onClose}>{said}</a> : <div class="documents-row">{said}</div>;
        }}
      </VirtualList>
    </Dialog>
  );
}
