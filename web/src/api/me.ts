/** Who looks at the page, and what they may do, as the service tells it. */
import { signal } from '@preact/signals';
import { api, need, type Schema } from './client';

/** Unknown until it is told. */
export const me = signal<Schema<'Me'> | undefined>(undefined);

/** What cannot be read stays unknown: whatever is refused later says why. */
export async function readMe(): Promise<void> {
  me.value = await need(api.GET('/api/v1/me')).catch(() => me.value);
}
