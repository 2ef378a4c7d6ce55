/** Who looks at the page, and what they may do, as the service tells it. */
import { signal } from '@preact/signals';
import { leave, type Schema } from './client';

/** What `GET /api/v1/me` answers. It is written by hand until the specification has it. */
export interface Me {
  principal: {
    id: string;
    name: string;
    kind: Schema<'PrincipalKind'>;
    role: Schema<'Role'>;
    agentRole?: string | null;
  };
  tenant: { id: string; name: string };
  /** What the credential may do. */
  scopes: Schema<'Scope'>[];
  credential: 'session' | 'api_key' | 'token';
  /** The projects that it reaches; null means all of the tenant. */
  projects?: string[] | null;
}

/** Unknown until it is told, and with a service that does not tell. */
export const me = signal<Me | undefined>(undefined);

export async function readMe(): Promise<void> {
  const response = await fetch('/api/v1/me', { credentials: 'same-origin' }).catch(() => undefined);
  if (response?.status === 401) leave();
  if (!response?.ok) return;
  const told = (await response.json()) as Partial<Me>;
  if (told.principal && told.tenant && Array.isArray(told.scopes)) me.value = told as Me;
}
