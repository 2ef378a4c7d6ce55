/** Light, dark, or as the system has it; remembered in this browser. */
import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'trackside-theme';

function remembered(): Theme {
  try {
    const known = localStorage.getItem(KEY);
    return known === 'light' || known === 'dark' ? known : 'auto';
  } catch {
    return 'auto'; // a browser may keep nothing
  }
}

export const theme = signal<Theme>(remembered());
const system = matchMedia('(prefers-color-scheme: dark)');
/** What is shown; for what is drawn by script, such as charts. */
export const isDark = signal(false);

const follow = () => (isDark.value = theme.value === 'dark' || (theme.value === 'auto' && system.matches));
system.addEventListener('change', follow);

effect(() => {
  const root = document.documentElement;
  if (theme.value === 'auto') delete root.dataset['theme'];
  else root.dataset['theme'] = theme.value;
  follow();
});

export function choose(next: Theme): void {
  theme.value = next;
  try {
    if (next === 'auto') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // It holds until the page is left.
  }
}
