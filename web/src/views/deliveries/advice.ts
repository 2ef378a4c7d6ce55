/** What to do about a refusal, by what the service says of it, and refusals with the same cause put together. */
import type { Schema } from '../../api/client';
import { hostName, type Source } from './hosts';

export type Refusal = Schema<'RejectedDelivery'>;

export interface Advice {
  /** Refusals with the same key have the same cause. */
  key: string;
  title: string;
  what: string;
  steps: string[];
  /** The remedy is in the webhook's settings at the host. */
  isAtHost: boolean;
}

type Maker = (host: string) => Omit<Advice, 'key'>;

/** Where the secret is typed in. */
const PLACE: Record<Source, string> = {
  github: 'Secret',
  gitlab: 'Secret token (or Signing token)',
  bitbucket: 'Secret',
  gitea: 'Secret',
  forgejo: 'Secret',
};

const unsigned = (source: Source): Maker => (host) => ({
  title: 'Not signed',
  what: `${host} sent it without a signature, so that nobody can know whether it is from there.`,
  steps: [
    `Open the webhook's settings at ${host}.`,
    `Put the project's webhook secret into “${PLACE[source]}”, and save.`,
    'Send a test delivery from there. If the secret is not at hand, give the project a new one.',
  ],
  isAtHost: true,
});

const MAKERS: Record<string, Maker> = {
  expired: (host) => ({
    title: 'Signed with an old secret',
    what: `The project has a new secret, and ${host} still signs with the one before.`,
    steps: [`Open the webhook's settings at ${host}.`, 'Put the present secret in place of the old one, and save.', 'Have what was missed sent again from there.'],
    isAtHost: true,
  }),
  mismatch: (host) => ({
    title: 'Wrong secret',
    what: `It is signed, but not with a secret of this project. Either ${host} has another one, or something on the way changes the body.`,
    steps: [
      `Put the project's webhook secret into the webhook's settings at ${host} once more, without spaces around it.`,
      'If it is not at hand, give the project a new one: secrets are shown only once.',
      'If it still does not fit: a proxy in between must hand the body on byte by byte.',
    ],
    isAtHost: true,
  }),
  clocks: (host) => ({
    title: 'The clocks differ',
    what: `It says that it was signed minutes ago or ahead. That guards against deliveries that somebody has kept and sends again.`,
    steps: ['Check that the clock of this server is right (NTP).', `Check that of ${host}, if you run it yourself.`],
    isAtHost: false,
  }),
  malformed: (host) => ({
    title: 'A signature that is none',
    what: `The header of the signature is there, but not in the form in which ${host} writes it.`,
    steps: [`Check that it is ${host} that sends this: the address of the webhook names the host.`, 'Check that no proxy in between rewrites headers.'],
    isAtHost: false,
  }),
  rate_limited: () => ({
    title: 'Too many at once',
    what: 'More came within a minute than a project may receive.',
    steps: ['Have what was missed sent again at the host.', 'If it happens in everyday work, raise TRACKSIDE_INGEST_PER_MINUTE.'],
    isAtHost: true,
  }),
  payload_too_large: () => ({
    title: 'Too large',
    what: 'Its body is larger than the service takes.',
    steps: ['Choose fewer events at the host, or push less at once.'],
    isAtHost: true,
  }),
  unsupported_media_type: (host) => ({
    title: 'Not in a form that is read here',
    what: `${host} sends it as something else than JSON or a form.`,
    steps: [`Set the content type of the webhook at ${host} to application/json.`],
    isAtHost: true,
  }),
  invalid_request: (host) => ({
    title: 'Not understood',
    what: 'It is signed rightly, but something that each delivery has is missing or broken.',
    steps: [`Set the content type of the webhook at ${host} to application/json.`, 'Check that no proxy in between removes headers or cuts bodies.'],
    isAtHost: true,
  }),
};

/** The cause, by the code and the words of the reason. */
function causeOf({ code, reason }: Refusal): string {
  if (code !== 'invalid_signature') return MAKERS[code] ? code : `other ${code}`;
  if (/expired/.test(reason)) return 'expired';
  if (/clocks/.test(reason)) return 'clocks';
  if (/missing|no secret is set|carries/.test(reason)) return 'unsigned';
  return /does not match/.test(reason) ? 'mismatch' : 'malformed';
}

export function adviceOn(refusal: Refusal): Advice {
  const cause = causeOf(refusal);
  const make = cause === 'unsigned' ? unsigned(refusal.source) : MAKERS[cause];
  const key = `${refusal.source} ${cause}`;
  if (make) return { key, ...make(hostName(refusal.source)) };
  return { key, title: refusal.code.replaceAll('_', ' '), what: 'It was refused for the reason that stands below.', steps: [], isAtHost: false };
}

export interface Cause {
  advice: Advice;
  source: Source;
  /** Newest first. */
  refusals: Refusal[];
}

/** By cause; the cause of the newest refusal first. */
export function causes(refusals: readonly Refusal[]): Cause[] {
  const all = new Map<string, Cause>();
  for (const refusal of refusals) {
    const advice = adviceOn(refusal);
    const known = all.get(advice.key);
    if (known) known.refusals.push(refusal);
    else all.set(advice.key, { advice, source: refusal.source, refusals: [refusal] });
  }
  return [...all.values()];
}
