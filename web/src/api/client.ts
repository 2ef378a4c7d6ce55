/**
 * The public API, typed by its committed specification. The session's cookie goes along by itself.
 *
 * `need(api.GET('/api/v1/projects/{project_id}', { params: { path: { project_id } } }))` gives what was asked for,
 * or throws one `Problem`. Reads that were refused for a moment (429, 503) are tried again once their `Retry-After` is
 * over; a session that has ended leads to the sign-in page, and from there back to this page.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from '../../generated/schema';
import { Problem } from './problem';

/** What the specification calls a thing: `Schema<'Project'>`. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

/** How often, and for how long at most, a read waits for a service that is busy. */
const TRIES = 3;
const LONGEST_WAIT_MS = 5_000;

export const api = createClient<paths>({
  baseUrl: location.origin,
  credentials: 'same-origin',
  fetch: patient,
});

async function patient(request: Request): Promise<Response> {
  for (let tried = 1; ; tried++) {
    const response = await fetch(request.clone()).catch((cause: unknown) => {
      if (request.signal.aborted) throw cause;
      throw Problem.unreachable(cause);
    });
    if (response.status === 401) leave();
    const isBusy = response.status === 429 || response.status === 503;
    if (!isBusy || request.method !== 'GET' || tried >= TRIES) return response;
    const waitMs = Number(response.headers.get('retry-after') ?? '1') * 1_000;
    if (!(waitMs <= LONGEST_WAIT_MS)) return response;
    await new Promise((go) => setTimeout(go, Math.max(waitMs, 250)));
    if (request.signal.aborted) throw new DOMException('it is not wanted any more', 'AbortError');
  }
}

let leaving = false;

/** Leads to the sign-in page, and from there back to where one is. */
export function leave(): void {
  if (leaving) return;
  leaving = true;
  const here = location.pathname + location.search;
  location.assign(`/signin?next=${encodeURIComponent(here)}`);
}

/** What openapi-fetch answers. */
type Answer<Data> = Promise<{ data?: Data; error?: unknown; response: Response }>;

/** What was asked for; throws a `Problem` for everything else. */
export async function need<Data>(answer: Answer<Data>): Promise<NonNullable<Data>> {
  const { data, error, response } = await answer;
  if (response.ok) return (data ?? {}) as NonNullable<Data>;
  throw Problem.of(response, error);
}

/** What was asked for with its ETag, which a later write names as `If-Match`. */
export async function needTagged<Data>(answer: Answer<Data>): Promise<{ value: NonNullable<Data>; etag: string | null }> {
  const { data, error, response } = await answer;
  if (!response.ok) throw Problem.of(response, error);
  return { value: (data ?? {}) as NonNullable<Data>, etag: response.headers.get('etag') };
}
