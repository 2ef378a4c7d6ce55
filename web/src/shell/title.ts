/** The document's title: from the particular to the general. */
import { useEffect } from 'preact/hooks';

export function useTitle(...parts: (string | undefined)[]): void {
  const title = [...parts.filter(Boolean), 'Trackside'].join(' · ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}
