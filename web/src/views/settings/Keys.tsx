/** API keys: who acts with which, what it may do, when it was last used; each can be followed by another, or ended. */
import { useState } from 'preact/hooks';
import { KeyRound, Plus } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { usePoll } from '../../api/poll';
import { projects } from '../../api/projects';
import { PAGE_ROWS, usePages } from '../../api/resource';
import { may } from '../../api/scopes';
import { useWishes, useWrite } from '../../api/write';
import { Badge, CopyBox, DataTable, Dialog, EmptyState, Field, Form, Loading, ProblemNote, Time, ViewHead, count, toast, typed, type Column } from '../../parts';
import { OVERLAPS } from '../connect/RotateSecret';
import { Confirm } from './Confirm';
import { More } from './More';
import { stateOf } from './keys';

type ApiKey = Schema<'ApiKey'>;

const EVERY_MS = 10_000;

export function Keys() {
  const all = usePages<ApiKey>('keys', (cursor, signal) =>
    need(api.GET('/api/v1/api-keys', { params: { query: { limit: PAGE_ROWS, cursor } }, signal })),
  );
  const [isAll, setAll] = useState(false);
  const [rotating, setRotating] = useState<ApiKey>();
  const [ending, setEnding] = useState<ApiKey>();
  usePoll(all.refresh, EVERY_MS);
  const mayChange = may('keys.write');
  const rows = isAll ? all.items : all.items.filter((key) => stateOf(key).isGood);
  const columns: Column<ApiKey>[] = [
    {
      title: 'Key',
      isHead: true,
      cell: ({ name, prefix }) => (
        <>
          <strong>{name}</strong>
          <code class="faint settings-under">{prefix}…</code>
        </>
      ),
    },
    {
      title: 'May',
      cell: ({ role, scopes, projectIds }) => (
        <>
          <span title={scopes.join('\n')}>{role}, {count(scopes.length, 'scope')}</span>
          <span class="faint small settings-under">{reach(projectIds)}</span>
        </>
      ),
    },
    { title: 'Last used', cell: ({ lastUsedAt }) => (lastUsedAt ? <Time at={lastUsedAt} /> : <span class="faint">never</span>) },
    { title: 'Made', cell: ({ createdAt }) => <Time at={createdAt} /> },
    {
      title: 'State',
      cell: (key) => {
        const { title, tone, at } = stateOf(key);
        return (
          <>
            <Badge tone={tone}>{title}</Badge>
            {at && <span class="faint small settings-under"><Time at={at} form="full" /></span>}
          </>
        );
      },
    },
    {
      title: 'What can be done',
      isSilent: true,
      isEnd: true,
      cell: (key) =>
        mayChange && stateOf(key).isGood && (
          <div class="row settings-deeds">
            {!key.successorId && <button type="button" class="button" onClick={() => setRotating(key)}>Rotate</button>}
            <button type="button" class="button bare" onClick={() => setEnding(key)}>Revoke</button>
          </div>
        ),
    },
  ];
  return (
    <>
      <ViewHead title="Keys" about="What programs and agents come with. The text of a key is kept nowhere; it is shown once, when it is made.">
        {mayChange && <a class="button main" href="/connect/agent"><Plus size={16} aria-hidden="true" />A key for an agent</a>}
      </ViewHead>
      <div class="settings-tools">
        <div class="chips" role="group" aria-label="Show">
          <button type="button" class="chip" aria-pressed={!isAll} onClick={() => setAll(false)}>In use</button>
          <button type="button" class="chip" aria-pressed={isAll} onClick={() => setAll(true)}>Ended ones too</button>
        </div>
      </div>
      {all.problem && <ProblemNote problem={all.problem} retry={() => void all.refresh()} />}
      {all.isLoading && <Loading what="Loading keys" />}
      {rows.length > 0 && <DataTable label="Keys" columns={columns} rows={rows} rowKey={({ id }) => id} />}
      {!all.isLoading && !all.problem && rows.length === 0 && (
        <EmptyState icon={KeyRound} title="No keys" deed={mayChange && <a class="button main" href="/connect/agent">Connect an agent</a>}>
          A key is made when an agent is connected.
        </EmptyState>
      )}
      <More of={all} />
      <p class="faint small settings-more">When a key was last used is noted once a minute.</p>
      {rotating && <Rotate of={rotating} onClose={() => setRotating(undefined)} onDone={all.refresh} />}
      {ending && (
        <Confirm title={`Revoke the key ${ending.name}?`} deed="Revoke" onClose={() => setEnding(undefined)}
          run={async () => {
            await need(api.DELETE('/api/v1/api-keys/{key_id}', { params: { path: { key_id: ending.id } } }));
            toast(`The key ${ending.name} is revoked.`);
            await all.refresh();
          }}>
          It is refused within a second, and what it has open ends. This cannot be undone; to change it without a gap, rotate
          it instead.
        </Confirm>
      )}
    </>
  );
}

function reach(projectIds: string[] | null | undefined): string {
  if (!projectIds) return 'all projects';
  if (projectIds.length !== 1) return count(projectIds.length, 'project');
  return projects.value?.find(({ id }) => id === projectIds[0])?.name ?? '1 project';
}

function Rotate({ of, onClose, onDone }: { of: ApiKey; onClose: () => void; onDone: () => Promise<void> }) {
  const wish = useWishes();
  const rotate = useWrite((overlapSeconds: number) =>
    need(api.POST('/api/v1/api-keys/{key_id}/rotate', {
      params: { path: { key_id: of.id } },
      body: { overlapSeconds },
      headers: { 'Idempotency-Key': wish(overlapSeconds) },
    })),
  );
  const [made, setMade] = useState<Schema<'RotatedApiKey'>>();
  const submit = async (fields: FormData) => {
    const made = await rotate.run(Number(typed(fields, 'overlapSeconds')));
    if (!made) return;
    setMade(made);
    await onDone();
  };
  if (made) {
    return (
      <Dialog title={`The new key of ${of.name}`} onClose={onClose} isSticky>
        <div class="stack">
          <CopyBox text={made.key} label="Key" />
          <p class="faint small">It is shown this once. The old key is good until <Time at={made.oldKeyExpiresAt} form="full" />.</p>
        </div>
        <div class="form-deeds">
          <button type="button" class="button main" onClick={onClose}>I have copied it</button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={`Rotate the key ${of.name}`} onClose={onClose}>
      <Form deed="Make the new key" problem={rotate.problem} isRunning={rotate.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <Field label="The old key stays valid for" name="overlapSeconds" value="86400" options={OVERLAPS}
          hint="The new one may do the same, in the same projects, and ends when the old one would have." />
      </Form>
    </Dialog>
  );
}
