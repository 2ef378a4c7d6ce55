/** How fresh the documents are: how the repository was read last, what keeps it from being read, and reading it now. */
import { RefreshCw } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { sentence } from '../../api/problem';
import { useResource } from '../../api/resource';
import { may } from '../../api/scopes';
import { idempotencyKey, useWrite } from '../../api/write';
import { useLive, type EventName } from '../../live/useLive';
import { Badge, Meter, Time, toast, words } from '../../parts';

type State = Schema<'Scan'>;

const SCANS: EventName[] = ['artifact_scan_started', 'artifact_scan_progress', 'artifact_scan_completed', 'artifact_scan_failed', 'project_changed'];

export function Scan({ projectId }: { projectId: string }) {
  const path = { project_id: projectId };
  const scan = useResource(`scan/${projectId}`, (signal) => need(api.GET('/api/v1/projects/{project_id}/scan', { params: { path }, signal })));
  useLive(projectId, SCANS, scan.refresh);
  const start = useWrite(async () => {
    const asked = await need(api.POST('/api/v1/projects/{project_id}/scan', { params: { path, header: { 'Idempotency-Key': idempotencyKey() } } }));
    scan.set(() => asked);
    return asked;
  });
  const state = scan.value;
  if (!state) return null;
  const isBusy = state.state === 'waiting' || state.state === 'running';
  const run = async () => {
    if (isBusy) return;
    const asked = await start.run();
    if (asked) toast('The repository is being read.');
  };
  return (
    <div class="documents-scan">
      <div class="documents-scan-said small" role="status"><Said of={state} /></div>
      {may('artifacts.write') && state.state !== 'off' && (
        <button type="button" class="button" aria-disabled={isBusy || start.isRunning} onClick={() => void run()}>
          <RefreshCw size={15} aria-hidden="true" />
          Scan now
        </button>
      )}
      {state.state === 'failed' && state.failure && (
        <p class="documents-scan-why small">
          <strong>{sentence(words(state.failure.code))}</strong> {sentence(state.failure.detail)}
          {state.succeededAt ? <> What is shown is as of <Time at={state.succeededAt} />.</> : ' What is shown is what deliveries told of.'}
        </p>
      )}
      {start.problem && <p class="documents-scan-why small" role="alert"><strong>{start.problem.title}.</strong> {sentence(start.problem.detail)}</p>}
    </div>
  );
}

function Said({ of: { state, done, total, commit, finishedAt, succeededAt } }: { of: State }) {
  if (state === 'off') return <span class="faint">This installation reads no repositories; documents are known by what deliveries tell</span>;
  if (state === 'waiting') return <span class="faint">The repository is about to be read…</span>;
  if (state === 'running') {
    return (
      <>
        <span>{total > 0 ? `Reading document ${Math.min(done + 1, total).toLocaleString('en')} of ${total.toLocaleString('en')}` : 'Reading the repository…'}</span>
        {total > 0 && <Meter value={done} max={total} label="Documents read" />}
      </>
    );
  }
  if (state === 'failed') {
    return <><Badge tone="bad">Repository not readable</Badge>{finishedAt && <span class="faint">tried <Time at={finishedAt} /></span>}</>;
  }
  return (
    <span class="faint">
      Read{commit && <> at <code title={commit}>{commit.slice(0, 8)}</code></>}{succeededAt && <>, <Time at={succeededAt} /></>}
    </span>
  );
}
