/** The end of a list that is read page by page. */
import type { Pages } from '../../api/resource';

export function More<T>({ of }: { of: Pages<T> }) {
  if (!of.hasMore) return null;
  return (
    <p class="settings-more">
      <button type="button" class="button" aria-disabled={of.isLoadingMore} onClick={() => void of.more()}>
        {of.isLoadingMore ? 'Reading…' : 'Show more'}
      </button>
    </p>
  );
}
