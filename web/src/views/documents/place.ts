/** Where one is among the documents: all of it stands in the address, so that every state is a link. */
import { useLocation } from 'preact-iso';

export type Pane = 'text' | 'map' | 'history';

export interface Place {
  document?: string;
  show: Pane;
  /** How far around the document the map reaches. */
  hops: number;
  /** The heading that is wanted. */
  section?: string;
  /** The revision that is read; the newest if not given. */
  revision?: string;
  /** The revisions that are compared. */
  from?: string;
  to?: string;
}

/** So far that nothing is left out, as far as the service goes. */
export const FARTHEST = 10;
const PANES: readonly string[] = ['text', 'map', 'history'];

export function usePlace(): { place: Place; link: (place: Partial<Place>) => string } {
  const { path, query } = useLocation();
  const hops = Number(query['hops'] ?? 2);
  const place: Place = {
    document: query['document'] || undefined,
    show: PANES.includes(query['show'] ?? '') ? (query['show'] as Pane) : 'text',
    hops: Number.isInteger(hops) && hops >= 1 && hops <= FARTHEST ? hops : 2,
    section: query['section'] || undefined,
    revision: query['revision'] || undefined,
    from: query['from'] || undefined,
    to: query['to'] || undefined,
  };
  return { place, link: (wanted) => path + search(wanted) };
}

/** What the address says of a place: whatever goes without saying is left out. */
export function search({ document, show = 'text', hops = 2, section, revision, from, to }: Partial<Place>): string {
  if (!document) return '';
  const told = new URLSearchParams({ document });
  if (show !== 'text') told.set('show', show);
  if (show === 'map' && hops !== 2) told.set('hops', String(hops));
  for (const [name, value] of Object.entries({ section, revision, from, to })) if (value) told.set(name, value);
  return `?${told}`;
}
