/** A button that opens a list of deeds or places. Arrows, Home, End and first letters move in it; Escape closes it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface MenuItem {
  key: string;
  label: ComponentChildren;
  /** Where it leads, or … */
  href?: string;
  /** … what it does. */
  run?: () => void;
  isDisabled?: boolean;
  /** The one that holds, such as the project one is in. */
  isCurrent?: boolean;
}

interface MenuProps {
  /** What is on the button. */
  button: ComponentChildren;
  /** What the button is called, where its content is no text. */
  label?: string;
  items: MenuItem[];
  head?: ComponentChildren;
  side?: 'start' | 'end';
  /** The list lies above the page, where a frame that scrolls would cut it. */
  isFloating?: boolean;
  class?: string;
}

export function Menu({ button, label, items, head, side = 'start', isFloating, class: name = 'button bare' }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const entries = () => [...(root.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
  const close = (back = true) => {
    setOpen(false);
    if (back) root.current?.querySelector('button')?.focus();
  };

  useEffect(() => {
    if (!isOpen) return;
    (entries().find((entry) => entry.ariaCurrent) ?? entries()[0])?.focus();
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [isOpen]);

  // Before the first entry takes the focus: what is not shown yet takes none.
  useLayoutEffect(() => {
    const [button, floating] = [root.current?.querySelector('button'), list.current];
    if (!isOpen || !isFloating || !button || !floating) return;
    floating.showPopover();
    float(floating, button.getBoundingClientRect(), side);
    const away = (event: Event) => {
      if (!floating.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('scroll', away, true);
    addEventListener('resize', away);
    return () => {
      removeEventListener('scroll', away, true);
      removeEventListener('resize', away);
    };
  }, [isOpen]);

  const keys = (event: KeyboardEvent) => {
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const go = (index: number) => all[(index + all.length) % all.length]?.focus();
    if (!isOpen) {
      if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
      setOpen(true);
    } else if (event.key === 'ArrowDown') go(at + 1);
    else if (event.key === 'ArrowUp') go(at - 1);
    else if (event.key === 'Home') go(0);
    else if (event.key === 'End') go(-1);
    else if (event.key === 'Escape') close();
    else if (event.key === 'Tab') return close(false);
    else if (/^\S$/.test(event.key) && !event.ctrlKey && !event.metaKey) {
      const starts = (entry: HTMLElement) => entry.textContent?.toLowerCase().startsWith(event.key.toLowerCase());
      [...all.slice(at + 1), ...all.slice(0, at + 1)].find(starts)?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class="menu" data-side={side} ref={root} onKeyDown={keys}>
      <button type="button" class={name} aria-label={label} aria-haspopup="menu" aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined} onClick={() => setOpen(!isOpen)}>
        {button}
      </button>
      {isOpen && (
        <div class="menu-list" id={id} ref={list} popover={isFloating ? 'manual' : undefined}>
          {head && <div class="menu-head">{head}</div>}
          <div role="menu" aria-label={label}>
            {items.map((item) => {
              const shared = { class: 'menu-item', role: 'menuitem' as const, tabIndex: -1, key: item.key,
                'aria-current': item.isCurrent ? ('true' as const) : undefined,
                'aria-disabled': item.isDisabled ? ('true' as const) : undefined };
              return item.href ? (
                <a {...shared} href={item.href} onClick={() => close()}>{item.label}</a>
              ) : (
                <button {...shared} type="button" onClick={() => { if (!item.isDisabled) { close(); item.run?.(); } }}>
                  {item.label}
                </button>
              );
            })}
          </div>
        </div>
      )}
    </div>
  );
}

/** Puts a list under its button, or above it where there is more room. */
function float(list: HTMLElement, button: DOMRect, side: 'start' | 'end'): void {
  const gap = 5;
  const { width, height } = list.getBoundingClientRect();
  const left = side === 'end' ? button.right - width : button.left;
  const below = button.bottom + gap;
  const top = below + height <= innerHeight - gap ? below : Math.max(gap, button.top - gap - height);
  list.style.left = `${Math.max(gap, Math.min(left, innerWidth - width - gap))}px`;
  list.style.top = `${Math.min(top, Math.max(gap, innerHeight - height - gap))}px`;
}
