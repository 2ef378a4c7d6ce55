/** Security events in words. */
import type { Schema } from '../../api/client';
import { moment, words } from '../../parts';

export type SecurityAction = Schema<'SecurityAction'>;
type SecurityEvent = Schema<'SecurityEvent'>;

/** What was done, as the end of a sentence that begins with who did it; what it was done to follows. */
const DEEDS: Record<SecurityAction, string> = {
  key_created: 'made the key',
  key_rotated: 'rotated the key',
  key_revoked: 'revoked the key',
  role_changed: 'changed the role of',
  access_changed: 'changed the projects of',
  principal_renamed: 'renamed',
  principal_deactivated: 'deactivated',
  principal_reactivated: 'let back in',
  invitation_created: 'invited',
  invitation_revoked: 'withdrew the invitation of',
  invitation_accepted: 'joined by an invitation',
  signed_in: 'signed in',
  signed_out: 'signed out',
  session_revoked: 'ended a session',
  password_changed: 'changed the password',
  password_reset_offered: 'made a link for a new password of',
  identity_linked: 'connected a provider to sign in with',
  grant_created: 'let a program act for them',
  grant_revoked: 'ended what a program may do',
  refresh_token_reused: 'showed a refresh token twice, and its grant ended',
  code_reused: 'showed a sign-in code twice, and its grant ended',
  signing_key_rotated: 'rotated the signing key',
  master_key_rotated: 'rotated the master key',
  client_registered: 'registered the client',
  client_removed: 'removed the client',
  project_created: 'made the project',
  project_deleted: 'deleted the project',
  webhook_secret_rotated: 'made a new webhook secret for',
  provider_token_set: 'gave a provider token to',
  provider_token_removed: 'took the provider token of',
};

/** All actions, for a choice. */
export const actions = Object.keys(DEEDS) as SecurityAction[];

export const deedOf = (action: string): string => (DEEDS as Record<string, string>)[action] ?? words(action);

/** What it was done to, unless the sentence says it already. */
export const targetOf = ({ targetName, actorName, action }: SecurityEvent): string | undefined =>
  targetName && !(targetName === actorName && ['signed_in', 'signed_out', 'password_changed', 'session_revoked', 'invitation_accepted'].includes(action))
    ? targetName
    : undefined;

/** What else is worth a line, as `role: member` or `scopes: 24`; ids say nothing to people, and what is not is left out. */
export function detailsOf(details: unknown): string[] {
  if (typeof details !== 'object' || !details) return [];
  return Object.entries(details).flatMap(([key, value]: [string, unknown]) => {
    if (value === null || key.endsWith('Id')) return [];
    const name = key.replace(/Ids$/, 's').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    if (Array.isArray(value)) return [`${name}: ${value.length}`];
    if (typeof value !== 'string') return [`${name}: ${JSON.stringify(value)}`];
    return [`${name}: ${/^\d{4}-\d\d-\d\dT/.test(value) ? moment(value) : value}`];
  });
}
