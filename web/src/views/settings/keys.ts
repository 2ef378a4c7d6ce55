/** How a key stands. */
import type { Schema } from '../../api/client';
import type { Tone } from '../../parts';

interface State {
  title: string;
  tone: Tone;
  /** It is accepted. */
  isGood: boolean;
  /** When that ends or ended. */
  at?: string;
}

export function stateOf({ revokedAt, expiresAt, successorId }: Schema<'ApiKey'>, now = Date.now()): State {
  if (revokedAt) return { title: 'revoked', tone: 'plain', isGood: false, at: revokedAt };
  if (expiresAt && Date.parse(expiresAt) <= now) return { title: 'expired', tone: 'plain', isGood: false, at: expiresAt };
  if (successorId) return { title: 'being replaced', tone: 'warn', isGood: true, at: expiresAt ?? undefined };
  if (expiresAt) return { title: 'good until', tone: 'good', isGood: true, at: expiresAt };
  return { title: 'good', tone: 'good', isGood: true };
}
