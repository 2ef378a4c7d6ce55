/** What the view reads. */
import { createContext } from 'preact';
import { api, need } from '../../api/client';
import { useResource, type Resource } from '../../api/resource';
import { useLive, type EventName } from '../../live/useLive';
import type { Conflict, Graph } from './graph';

export const CHANGES: EventName[] = ['artifact_updated', 'artifact_removed'];
const CONFLICTS: EventName[] = ['conflict_detected', 'conflict_resolved'];
const PAGE_ROWS = 200;
/** Conflicts that marks are made of; beyond that the graph itself says what is stale. */
const MOST_CONFLICTS = 1_000;

/** The open conflicts between documents, which the whole view shares; nothing for whoever may not see them. */
export const Conflicts = createContext<readonly Conflict[] | undefined>(undefined);

export function useConflicts(projectId: string): Resource<Conflict[]> {
  const conflicts = useResource(`conflicts/${projectId}`, async (signal) => {
    const both = await Promise.all((['version_mismatch', 'dependency_broken'] as const).map(async (kind) => {
      const found: Conflict[] = [];
      let cursor: string | undefined;
      do {
        const params = { path: { project_id: projectId }, query: { kind, limit: PAGE_ROWS, cursor } };
        const page = await need(api.GET('/api/v1/projects/{project_id}/conflicts', { params, signal }));
        found.push(...page.items);
        cursor = page.nextCursor ?? undefined;
      } while (cursor && found.length < MOST_CONFLICTS);
      return found;
    }));
    return both.flat();
  });
  useLive(projectId, CONFLICTS, conflicts.refresh);
  return conflicts;
}

/** What builds on what: around one document, or all there is. */
export function useGraph(projectId: string, artifact?: string, hops?: number): Resource<Graph> {
  const graph = useResource(`graph/${projectId}/${artifact ?? ''}/${hops ?? ''}`, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}/artifact-graph', {
      params: { path: { project_id: projectId }, query: { artifact, hops: artifact ? hops : undefined } }, signal,
    })));
  useLive(projectId, CHANGES, graph.refresh);
  return graph;
}
