/** The roles of the organisation, in words. */
import type { Schema } from '../../api/client';

export type Role = Schema<'Role'>;
export type Level = Schema<'Level'>;
/** Projects with the level in each; nothing means all of the organisation. */
export type Reach = Record<string, Level>;

export const ROLES: { value: Role; label: string }[] = [
  { value: 'owner', label: 'Owner: everything, and making other owners' },
  { value: 'admin', label: 'Admin: everything but making owners' },
  { value: 'member', label: 'Member: works in projects' },
  { value: 'viewer', label: 'Viewer: looks, and changes nothing' },
];

export const LEVELS: { value: Level; label: string }[] = [
  { value: 'editor', label: 'may change' },
  { value: 'viewer', label: 'may look' },
];

/** The same reach over other projects: those that stay keep their level. */
export const reachOver = (projectIds: readonly string[], before: Reach | undefined): Reach =>
  Object.fromEntries(projectIds.map((id) => [id, before?.[id] ?? 'editor']));
