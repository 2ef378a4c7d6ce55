/** The one thing that both pages are about: whether it works yet. It says so aloud when it changes. */
import type { ComponentChildren } from 'preact';
import type { CircleCheck } from 'lucide-preact';

interface LampProps {
  tone: 'wait' | 'good' | 'bad';
  title: string;
  icon?: typeof CircleCheck;
  children: ComponentChildren;
}

export function Lamp({ tone, title, icon: Icon, children }: LampProps) {
  return (
    <div class="connect-lamp" data-tone={tone}>
      <span class="connect-lamp-mark" aria-hidden="true">{Icon ? <Icon size={22} /> : <span class="connect-pulse" />}</span>
      <div>
        <h3><span role="status">{title}</span></h3>
        <p>{children}</p>
      </div>
    </div>
  );
}
