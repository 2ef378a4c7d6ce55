/** What a view keeps in its address, so that it can be sent to somebody and survives a reload: filters, what is open. */
import { useLocation } from 'preact-iso';

type Changes = Record<string, string | undefined>;

export interface Address {
  query: Readonly<Record<string, string>>;
  /** This address with changes; what is empty is left out. */
  to: (changes: Changes) => string;
  /** Goes there; a filter replaces the entry in the browser's history, what is opened adds one. */
  go: (changes: Changes, how?: 'replace' | 'push') => void;
}

export function useAddress(): Address {
  const { path, query, route } = useLocation();
  const to = (changes: Changes) => {
    const pairs = Object.entries({ ...query, ...changes }).filter((pair): pair is [string, string] => Boolean(pair[1]));
    const search = new URLSearchParams(pairs).toString();
    return search ? `${path}?${search}` : path;
  };
  return { query, to, go: (changes, how = 'replace') => route(to(changes), how === 'replace') };
}
