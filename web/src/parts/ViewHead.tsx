/** The head of a view: its heading, which takes the focus when one comes to it, and what can be done here. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { arriving } from '../shell/arrival';

interface HeadProps {
  title: string;
  /** A line on what this is. */
  about?: ComponentChildren;
  /** Buttons. */
  children?: ComponentChildren;
}

export function ViewHead({ title, about, children }: HeadProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (arriving()) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="view-head">
      <h1 ref={heading} tabIndex={-1}>{title}</h1>
      {children && <div class="view-deeds">{children}</div>}
      {about && <div class="view-about">{about}</div>}
    </div>
  );
}
