/** The projects that one may see, read once for the whole page: the switcher, the portfolio and titles share them. */
import { signal } from '@preact/signals';
import { api, need, type Schema } from './client';
import { Problem } from './problem';

export type Project = Schema<'Project'>;
export type ProjectStatus = Schema<'ProjectStatus'>;

export const projects = signal<Project[] | undefined>(undefined);
export const projectsProblem = signal<Problem | undefined>(undefined);
/** The organisation. */
export const tenant = signal<Schema<'Tenant'> | undefined>(undefined);

/** When a service that was away is asked again. */
const AGAIN_MS = 3_000;

let reading: Promise<void> | undefined;

/** Reads all projects; whoever asks meanwhile gets the same answer. */
export function readProjects(): Promise<void> {
  reading ??= readAll().finally(() => {
    reading = undefined;
  });
  return reading;
}

async function readAll(): Promise<void> {
  try {
    const found: Project[] = [];
    let cursor: string | undefined;
    do {
      const page = await need(api.GET('/api/v1/projects', { params: { query: { limit: 200, cursor } } }));
      found.push(...page.items);
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    projects.value = found.sort((one, other) => one.name.localeCompare(other.name));
    projectsProblem.value = undefined;
  } catch (thrown) {
    const problem = (projectsProblem.value = Problem.from(thrown));
    if (problem.isPassing) setTimeout(() => void readProjects(), AGAIN_MS);
  }
}

export async function readTenant(): Promise<void> {
  tenant.value = await need(api.GET('/api/v1/tenant')).catch(() => undefined);
}

/** How a project stands. */
export const readStatus = (project_id: string, signal?: AbortSignal): Promise<ProjectStatus> =>
  need(api.GET('/api/v1/projects/{project_id}/status', { params: { path: { project_id } }, signal }));

/** A repository's address as people say it: without scheme, login and ending. */
export function shortRepository(url: string): string {
  return url
    .replace(/^[a-z+]+:\/\/([^@/]*@)?/i, '')
    .replace(/\.git$/, '')
    .replace(/\/$/, '');
}
