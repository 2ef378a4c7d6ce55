/** What a project's deliveries say about its webhook. */
import type { Schema } from '../../api/client';

export type Delivery = Schema<'Delivery'>;
export type Rejected = Schema<'RejectedDelivery'>;

export type Verdict =
  | { is: 'waiting' }
  /** It worked before this page was opened. */
  | { is: 'known'; delivery: Delivery }
  | { is: 'arrived'; delivery: Delivery }
  /** The newest thing that came was refused. */
  | { is: 'refused'; rejected: Rejected };

const at = (of: { receivedAt: string } | undefined): number => (of ? Date.parse(of.receivedAt) : -Infinity);

/** When the newest of them came, in milliseconds by the service's clock; 0 if there is none. */
export const newest = (deliveries: readonly Delivery[], rejected: readonly Rejected[]): number =>
  Math.max(0, at(deliveries[0]), at(rejected[0]));

/** Both lists are newest first; what came after `since` came while somebody waited. */
export function verdict(deliveries: readonly Delivery[], rejected: readonly Rejected[], since: number): Verdict {
  const [delivery] = deliveries;
  const [refusal] = rejected;
  if (refusal && at(refusal) > at(delivery) && (!delivery || at(refusal) > since)) return { is: 'refused', rejected: refusal };
  if (!delivery) return { is: 'waiting' };
  return { is: at(delivery) > since ? 'arrived' : 'known', delivery };
}

/** What to do about a refusal, by its code. */
export function advice(code: string): string | undefined {
  switch (code) {
    case 'invalid_signature':
      return 'Paste the secret again, all of it, with whsec_. If nobody has it any more, make a new one in step 2.';
    case 'invalid_request':
      return 'Look whether the address is the one for this kind of host, and the content type application/json.';
    case 'rate_limited':
      return 'It came too fast after others. The host can send it again later.';
    default:
      return undefined;
  }
}

interface Row {
  id: string;
  source: string;
  eventType: string;
  receivedAt: string;
  /** The delivery's status, or the code of its refusal. */
  status: string;
  isRefused: boolean;
}

/** Both lists as one, newest first. */
export function traffic(deliveries: readonly Delivery[], rejected: readonly Rejected[], most: number): Row[] {
  const rows: Row[] = [
    ...deliveries.map(({ id, source, eventType, receivedAt, status }) => ({ id, source, eventType, receivedAt, status, isRefused: false })),
    ...rejected.map(({ id, source, eventType, receivedAt, code }) => ({ id, source, eventType, receivedAt, status: code, isRefused: true })),
  ];
  return rows.sort((one, other) => at(other) - at(one)).slice(0, most);
}
