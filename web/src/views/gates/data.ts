/** What the view reads. */
import { useCallback, useRef, useState } from 'preact/hooks';
import { api, need, type Schema } from '../../api/client';
import { PAGE_ROWS, usePages, useResource, type Pages, type Resource } from '../../api/resource';
import { useLive, type EventName } from '../../live/useLive';
import { PHASES, type Gate, type Status } from './words';

type Progress = Schema<'PhaseProgress'>;

const CHANGES: EventName[] = ['gate_evaluated', 'phase_progress_changed', 'project_changed'];
/** Gates of one phase: a configuration has not more of them. */
const MOST = 200;

/** How far the phases are, with the gates of all of them. */
export function usePhases(projectId: string): Resource<{ progress: Progress; gates: Gate[] }> {
  const path = { project_id: projectId };
  const phases = useResource(`phases/${projectId}`, async (signal) => {
    const [progress, ...gates] = await Promise.all([
      need(api.GET('/api/v1/projects/{project_id}/phase-progress', { params: { path }, signal })),
      ...PHASES.map(async ({ key }) => {
        const { items } = await need(api.GET('/api/v1/projects/{project_id}/gates', { params: { path, query: { phase: key, limit: MOST } }, signal }));
        return items;
      }),
    ]);
    return { progress, gates: gates.flat() };
  });
  useLive(projectId, CHANGES, phases.refresh);
  return phases;
}

/** Gates that stand so; those of phases are among them. Nothing is read without a status. */
export function useStanding(projectId: string, status: Status | undefined): Pages<Gate> {
  const gates = usePages<Gate>(status ? `gates/${projectId}/${status}` : '', (cursor, signal) =>
    need(api.GET('/api/v1/projects/{project_id}/gates', { params: { path: { project_id: projectId }, query: { status, limit: PAGE_ROWS, cursor } }, signal })));
  useLive(status && projectId, CHANGES, gates.refresh);
  return gates;
}

export interface Titles {
  of: (itemId: string) => string | undefined;
  /** Told by a row that is shown. */
  ask: (itemId: string) => void;
}

/** What work items are called, each read once, when it is first shown. */
export function useTitles(projectId: string): Titles {
  const [titles, setTitles] = useState<ReadonlyMap<string, string>>(new Map());
  const asked = useRef(new Set<string>());
  const ask = useCallback((work_item_id: string) => {
    if (asked.current.has(work_item_id)) return;
    asked.current.add(work_item_id);
    need(api.GET('/api/v1/projects/{project_id}/work-items/{work_item_id}', { params: { path: { project_id: projectId, work_item_id } } }))
      .then(({ title }) => setTitles((known) => new Map(known).set(work_item_id, title)))
      // Without its title it is a link all the same.
      .catch(() => undefined);
  }, [projectId]);
  useLive(projectId, ['work_item_changed'], () => undefined, {
    apply: ({ payload }) => {
      const { workItemId, title } = (payload ?? {}) as { workItemId?: unknown; title?: unknown };
      if (typeof workItemId !== 'string' || typeof title !== 'string' || !asked.current.has(workItemId)) return;
      setTitles((known) => new Map(known).set(workItemId, title));
    },
  });
  return { of: (itemId) => titles.get(itemId), ask };
}
