/** The numbered parts of a page that leads somebody through something. */
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { Check } from 'lucide-preact';

interface PartProps {
  number: number;
  title: string;
  isDone?: boolean;
  /** It comes later: only its title is shown. */
  isAhead?: boolean;
  /** Beside the title. */
  deed?: ComponentChildren;
  children?: ComponentChildren;
}

export function Part({ number, title, isDone, isAhead, deed, children }: PartProps) {
  const id = useId();
  return (
    <section class="sheet connect-part" aria-labelledby={id} data-state={isAhead ? 'ahead' : isDone ? 'done' : 'now'}>
      <div class="connect-part-head">
        <span class="connect-number" aria-hidden="true">{isDone ? <Check size={16} /> : number}</span>
        <h2 id={id}>
          <span class="unseen">Step {number}{isDone && ', done'}: </span>
          {title}
        </h2>
        {deed}
      </div>
      {!isAhead && children && <div class="connect-part-body">{children}</div>}
    </section>
  );
}

interface PickProps<T extends { id: string; title: string }> {
  label: string;
  of: readonly T[];
  value: string;
  onPick: (id: string) => void;
}

/** One of a few things of the same kind, side by side. */
export function Pick<T extends { id: string; title: string }>({ label, of, value, onPick }: PickProps<T>) {
  return (
    <div class="chips connect-pick" role="group" aria-label={label}>
      {of.map(({ id, title }) => (
        <button type="button" class="chip" key={id} aria-pressed={id === value} onClick={() => onPick(id)}>
          {title}
        </button>
      ))}
    </div>
  );
}
