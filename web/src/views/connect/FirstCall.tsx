/** What the service hears of an agent that was just connected: nothing yet, that it is there, or what it calls. */
import { CircleCheck, Radio, TriangleAlert } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import { usePoll } from '../../api/poll';
import { projects } from '../../api/projects';
import { useResource } from '../../api/resource';
import { ProblemNote, Status, Time, duration } from '../../parts';
import { Lamp } from './Lamp';

type ToolCall = Schema<'ToolCall'>;

const EVERY_MS = 2_000;
const SHOWN = 8;

interface Props {
  keyId: string;
  principalId: string;
  name: string;
}

export function FirstCall({ keyId, principalId, name }: Props) {
  const calls = useResource(`calls/${keyId}`, async (signal) => {
    const query = { actor: principalId, limit: SHOWN };
    const page = await need(api.GET('/api/v1/tool-calls', { params: { query }, signal }));
    return typeof page === 'string' ? [] : page.items; // text is for who asks for CSV
  });
  const key = useResource(`key/${keyId}`, (signal) =>
    need(api.GET('/api/v1/api-keys/{key_id}', { params: { path: { key_id: keyId } }, signal })),
  );
  usePoll(async () => {
    await Promise.all([calls.refresh(), key.refresh()]);
  }, EVERY_MS);
  const made = calls.value ?? [];
  const problem = calls.problem ?? key.problem;
  return (
    <>
      <Heard calls={made} usedAt={key.value?.lastUsedAt} name={name} />
      {problem && <ProblemNote problem={problem} retry={() => void calls.refresh()} />}
      {made.length > 0 && (
        <ol class="connect-calls" aria-label="Its newest calls">
          {made.map((call) => (
            <Call key={call.id} call={call} />
          ))}
        </ol>
      )}
    </>
  );
}

function Heard({ calls, usedAt, name }: { calls: ToolCall[]; usedAt: string | null | undefined; name: string }) {
  const good = calls.find(({ result }) => result === 'success');
  const newest = calls[0];
  if (good) {
    return (
      <Lamp tone="good" icon={CircleCheck} title={`${name} is connected`}>
        It called <code>{good.tool}</code> <Time at={good.calledAt} />.
      </Lamp>
    );
  }
  if (newest) {
    return (
      <Lamp tone="bad" icon={TriangleAlert} title={`${name} is there, but its call did not work`}>
        It called <code>{newest.tool}</code> <Time at={newest.calledAt} />: {newest.error ?? newest.result.replaceAll('_', ' ')}.
      </Lamp>
    );
  }
  if (usedAt) {
    return (
      <Lamp tone="good" icon={Radio} title={`${name} has found its way here`}>
        The key was used <Time at={usedAt} />. Ask the agent something about the project, and its first call shows up here.
      </Lamp>
    );
  }
  return (
    <Lamp tone="wait" title="Waiting for the first call">
      Nothing has come with this key yet. Once the agent calls a tool, this turns green. No need to reload.
    </Lamp>
  );
}

function Call({ call }: { call: ToolCall }) {
  const project = projects.value?.find(({ id }) => id === call.projectId);
  return (
    <li class="connect-call">
      <code>{call.tool}</code>
      <Status of={call.result} />
      <span class="faint small connect-call-more">
        {project && <>{project.name} · </>}
        {duration(call.durationUs / 1_000)} · <Time at={call.calledAt} form="clock" />
      </span>
    </li>
  );
}
