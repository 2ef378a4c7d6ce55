/** Why something did not work: RFC 9457 as the service speaks it, and what a browser has to say beside it. */

/** What is wrong with one field, by its JSON pointer such as `/repoUrl`. */
export interface FieldError {
  pointer: string;
  detail: string;
}

interface Body {
  title?: string;
  detail?: string;
  code?: string;
  requestId?: string;
  errors?: FieldError[];
}

export class Problem extends Error {
  override name = 'Problem';

  private constructor(
    /** Stable, such as `not_found`; `unreachable` when no answer came at all. */
    readonly code: string,
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly errors: FieldError[] = [],
    /** What to name when asking an operator. */
    readonly requestId?: string,
    readonly retryAfterMs?: number,
  ) {
    super(detail);
  }

  static of(response: Response, body: unknown): Problem {
    const { title, detail, code, requestId, errors } = (typeof body === 'object' && body ? body : {}) as Body;
    const wait = Number(response.headers.get('retry-after') ?? NaN);
    return new Problem(
      code ?? 'unknown',
      response.status,
      title ?? 'That did not work',
      detail ?? `the service answered ${response.status}`,
      errors ?? [],
      requestId ?? response.headers.get('x-request-id') ?? undefined,
      Number.isFinite(wait) ? wait * 1_000 : undefined,
    );
  }

  static unreachable(cause: unknown): Problem {
    const problem = new Problem('unreachable', 0, 'The service cannot be reached', 'it may be restarting, or the network is away');
    problem.cause = cause;
    return problem;
  }

  /** Whatever was thrown, as a problem. */
  static from(thrown: unknown): Problem {
    if (thrown instanceof Problem) return thrown;
    console.error(thrown);
    return new Problem('broken_page', 0, 'This page has a fault', thrown instanceof Error ? thrown.message : String(thrown));
  }

  /** What is wrong with one field. */
  at(pointer: string): string | undefined {
    return this.errors.find((error) => error.pointer === pointer)?.detail;
  }

  get isForbidden(): boolean {
    return this.status === 403;
  }

  get isMissing(): boolean {
    return this.status === 404;
  }

  /** Whether it is about the service rather than about what was asked, so that asking again later may do. */
  get isPassing(): boolean {
    return this.code === 'unreachable' || [502, 503, 504].includes(this.status);
  }
}

/** What the service says, as a sentence. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const first = trimmed.split(/[\s:]/)[0] ?? '';
  const begun = first.includes('_') || first.includes('/') ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
