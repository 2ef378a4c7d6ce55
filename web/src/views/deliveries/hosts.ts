/** The Git hosts, as people call them, and where their webhooks are set up. */
import type { Schema } from '../../api/client';
import type { Project } from '../../api/projects';

export type Source = Schema<'Source'>;

/** Sites that one host alone runs. */
const SITES: Record<string, Source> = { 'github.com': 'github', 'gitlab.com': 'gitlab', 'bitbucket.org': 'bitbucket', 'codeberg.org': 'forgejo' };

const HOSTS: Record<Source, { name: string; hooks: string }> = {
  github: { name: 'GitHub', hooks: '/settings/hooks' },
  gitlab: { name: 'GitLab', hooks: '/-/hooks' },
  bitbucket: { name: 'Bitbucket', hooks: '/admin/webhooks' },
  gitea: { name: 'Gitea', hooks: '/settings/hooks' },
  forgejo: { name: 'Forgejo', hooks: '/settings/hooks' },
};

export const hostName = (source: Source): string => HOSTS[source]?.name ?? source;

/** The page of the host at which the project's webhook is set up; unknown for a repository that is not on the web. */
export function hooksPage({ repoUrl }: Project, source: Source): string | undefined {
  const site = /^https?:\/\/([^/@]+)\/./i.exec(repoUrl)?.[1]?.toLowerCase();
  const path = HOSTS[source]?.hooks;
  // What was posted to the address for another host has nothing to do with this page.
  return site && path && (SITES[site] ?? source) === source ? repoUrl.replace(/\/$/, '').replace(/\.git$/, '') + path : undefined;
}

/** Bytes as people say them. */
export function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  const [value, unit] = bytes < 1_000_000 ? [bytes / 1_000, 'kB'] : [bytes / 1_000_000, 'MB'];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}
