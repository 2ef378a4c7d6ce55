/** Replays, of one delivery or of all that fit; each says first what it does. */
import type { ComponentChildren } from 'preact';
import { PackageX } from 'lucide-preact';
import { api, need, type Schema } from '../../api/client';
import type { Problem } from '../../api/problem';
import type { Project } from '../../api/projects';
import { useWrite } from '../../api/write';
import { Dialog, EmptyState, Form, Time, count, toast, words } from '../../parts';
import { hostName } from './hosts';

type Delivery = Schema<'Delivery'>;

const SAFE = 'What it has already caused is not caused twice, so that this can be done as often as you like.';

interface OneProps {
  project: Project;
  delivery: Delivery;
  onClose: () => void;
  onDone: (pending: Delivery) => void;
}

export function ReplayOne({ project, delivery, onClose, onDone }: OneProps) {
  const replay = useWrite(() =>
    need(api.POST('/api/v1/projects/{project_id}/deliveries/{delivery_id}/replay', {
      params: { path: { project_id: project.id, delivery_id: delivery.id } },
    })),
  );
  const submit = async () => {
    const pending = await replay.run();
    if (!pending) return;
    toast('It will be processed again.');
    onDone(pending);
    onClose();
  };
  const host = hostName(delivery.source);
  return (
    <Dialog title={isGone(replay.problem) ? 'It cannot be replayed' : 'Replay this delivery?'} onClose={onClose}>
      {isGone(replay.problem) ? <Gone host={host} onClose={onClose} /> : (
        <Form deed="Replay" problem={replay.problem} isRunning={replay.isRunning} onSubmit={() => void submit()} onCancel={onClose}>
          <p>
            <strong>{words(delivery.eventType) || 'It'}</strong> of <Time at={delivery.receivedAt} form="full" /> is processed once
            more here, from exactly the bytes that came. {host} is not asked, and does not notice.
          </p>
          <p class="faint">{SAFE}</p>
        </Form>
      )}
    </Dialog>
  );
}

interface ManyProps {
  project: Project;
  what: { status: 'failed'; eventType?: string; from?: string };
  since: string | undefined;
  onClose: () => void;
  onDone: () => void;
}

export function ReplayMany({ project, what, since, onClose, onDone }: ManyProps) {
  const replay = useWrite(() =>
    need(api.POST('/api/v1/projects/{project_id}/deliveries/replay', { params: { path: { project_id: project.id } }, body: what })),
  );
  const submit = async () => {
    const answer = await replay.run();
    if (!answer) return;
    const gone = answer.gone > 0 ? ` The ${answer.gone === 1 ? 'body of 1 is' : `bodies of ${answer.gone} are`} not kept any longer.` : '';
    const done = answer.enqueued === 0 ? 'Nothing is processed again.' : `${count(answer.enqueued, 'delivery', 'deliveries')} will be processed again.`;
    toast(`${done}${gone}`, answer.enqueued === 0 ? 'bad' : 'good');
    onDone();
    onClose();
  };
  return (
    <Dialog title="Replay all that failed?" onClose={onClose}>
      <Form deed="Replay all" problem={replay.problem} isRunning={replay.isRunning} onSubmit={() => void submit()} onCancel={onClose}>
        <p>
          Every failed delivery{what.eventType && <> of <strong>{words(what.eventType)}</strong></>}
          {since && what.from && <> since <Time at={what.from} form="full" /></>}, also those further down the list, is processed
          once more, oldest first, from exactly the bytes that came.
        </p>
        <p class="faint">{SAFE} Those whose bodies were removed by age are left out.</p>
      </Form>
    </Dialog>
  );
}

const isGone = (problem: Problem | undefined): boolean => problem?.status === 410;

function Gone({ host, onClose }: { host: string; onClose: () => void }): ComponentChildren {
  return (
    <EmptyState icon={PackageX} title="Its body is not kept any longer" deed={<button type="button" class="button" onClick={onClose}>Close</button>}>
      Bodies are removed after a while, and without one there is nothing to process. What it caused back then still holds.
      If {host} still lists it among its own recent deliveries, it can be sent again from there.
    </EmptyState>
  );
}
