/** What narrows the board: words, a role, a holder. They are part of the address, so that a view of it can be sent on. */
import { X } from 'lucide-preact';
import { isFiltered, type Filter, type Item } from './items';

interface FiltersProps {
  filter: Filter;
  items: Iterable<Item>;
  onChange: (filter: Filter) => void;
}

export function Filters({ filter, items, onChange }: FiltersProps) {
  const roles = new Set<string>();
  const holders = new Map<string, string>();
  for (const { role, claim } of items) {
    if (role) roles.add(role);
    if (claim) holders.set(claim.holderId, claim.holderName);
  }
  // What was chosen stays there to be chosen, though nothing has it any more.
  if (filter.role && filter.role !== 'any') roles.add(filter.role);
  if (filter.holder && !['anybody', 'nobody'].includes(filter.holder) && !holders.has(filter.holder)) holders.set(filter.holder, 'Somebody else');
  const names = [...holders].sort(([, one], [, other]) => one.localeCompare(other));
  return (
    <div class="board-filters" role="search">
      <input class="input" type="search" placeholder="Filter by words" aria-label="Filter by words" value={filter.text}
        onInput={(event) => onChange({ ...filter, text: event.currentTarget.value })} />
      <select class="select" aria-label="Role" value={filter.role} onChange={(event) => onChange({ ...filter, role: event.currentTarget.value })}>
        <option value="">All roles</option>
        <option value="any">For any role</option>
        {[...roles].sort().map((role) => <option key={role} value={role}>{role}</option>)}
      </select>
      <select class="select" aria-label="Holder" value={filter.holder} onChange={(event) => onChange({ ...filter, holder: event.currentTarget.value })}>
        <option value="">Held or not</option>
        <option value="anybody">Held by anybody</option>
        <option value="nobody">Held by nobody</option>
        {names.map(([id, name]) => <option key={id} value={id}>Held by {name}</option>)}
      </select>
      {isFiltered(filter) && (
        <button type="button" class="button bare" onClick={() => onChange({ text: '', role: '', holder: '' })}>
          <X size={15} aria-hidden="true" />
          Clear
        </button>
      )}
    </div>
  );
}
