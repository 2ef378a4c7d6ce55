/**
 * What the viewer may do, as far as it is known. The service decides in any case: a view that is opened without the
 * scope shows the refusal.
 */
import { computed } from '@preact/signals';
import type { Schema } from './client';
import { me } from './me';

export type Scope = Schema<'Scope'>;

/** The viewer's scopes; unknown until the service tells them. */
export const scopes = computed<ReadonlySet<Scope> | undefined>(() => me.value && new Set(me.value.scopes));

/** Whether it is worth offering; what is not known is offered. */
export const may = (scope: Scope): boolean => scopes.value?.has(scope) ?? true;
