/** Text that people take elsewhere: shown as it is, with a button that copies it. */
import { useState } from 'preact/hooks';
import { Check, Copy as CopyIcon } from 'lucide-preact';
import { toast } from './Toasts';

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 2_000);
    } catch {
      // Browsers have no clipboard on plain http beyond this machine.
      toast('This browser does not let the page copy; select the text instead.', 'bad');
    }
  };
  const Icon = isDone ? Check : CopyIcon;
  return (
    <button type="button" class="button bare" aria-label={label} title={label} onClick={() => void copy()}>
      <Icon size={16} aria-hidden="true" />
      <span aria-live="polite">{isDone ? 'Copied' : 'Copy'}</span>
    </button>
  );
}

/** A value or a snippet in a box of its own. `label` says what it is. */
export function CopyBox({ text, label }: { text: string; label: string }) {
  return (
    <div class="copy">
      <code tabIndex={0} role="region" aria-label={label}>{text}</code>
      <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} />
    </div>
  );
}
