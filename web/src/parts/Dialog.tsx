/** A window above the page, by the browser's own `<dialog>`: it keeps the focus, and gives it back when it closes. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { X } from 'lucide-preact';

interface DialogProps {
  title: string;
  /** Called when it was closed, by Escape too. */
  onClose: () => void;
  /** Escape and the cross do nothing: what it shows is shown once. */
  isSticky?: boolean;
  isWide?: boolean;
  children: ComponentChildren;
}

/** Open as long as it is rendered. */
export function Dialog({ title, onClose, isSticky, isWide, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const shown = dialog.current;
    const before = document.activeElement;
    if (shown && !shown.open) shown.showModal();
    return () => {
      shown?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const cancel = (event: Event) => {
    event.preventDefault();
    if (!isSticky) onClose();
  };
  return (
    <dialog class={`dialog${isWide ? ' wide' : ''}`} ref={dialog} aria-labelledby={id} onCancel={cancel}>
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        {!isSticky && (
          <button type="button" class="button bare square" aria-label="Close" onClick={onClose}>
            <X size={18} aria-hidden="true" />
          </button>
        )}
      </div>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}
