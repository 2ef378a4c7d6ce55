/** A new webhook secret, beside which the present one stays valid for a while. */
import { api, need, type Schema } from '../../api/client';
import type { Project } from '../../api/projects';
import { useWishes, useWrite } from '../../api/write';
import { Dialog, Field, Form, typed } from '../../parts';

/** How long what was before stays valid. */
export const OVERLAPS = [
  { value: '0', label: 'not at all: it may have leaked' },
  { value: '3600', label: 'an hour' },
  { value: '86400', label: 'a day' },
  { value: '604800', label: 'a week' },
];

interface Props {
  project: Project;
  onClose: () => void;
  onMade: (secret: string, rotated: Schema<'RotatedSecret'>) => void;
}

export function RotateSecret({ project, onClose, onMade }: Props) {
  const wish = useWishes();
  const rotate = useWrite((overlapSeconds: number) =>
    need(api.POST('/api/v1/projects/{project_id}/webhook-secret/rotate', {
      params: { path: { project_id: project.id } },
      body: { overlapSeconds },
      headers: { 'Idempotency-Key': wish(overlapSeconds) },
    })),
  );
  const submit = async (fields: FormData) => {
    const made = await rotate.run(Number(typed(fields, 'overlapSeconds')));
    if (made) onMade(made.webhookSecret, made);
  };
  return (
    <Dialog title={`New webhook secret for ${project.name}`} onClose={onClose}>
      <Form deed="Make a new secret" problem={rotate.problem} isRunning={rotate.isRunning} onSubmit={(fields) => void submit(fields)} onCancel={onClose}>
        <Field label="The present secret stays valid for" name="overlapSeconds" value="86400" options={OVERLAPS}
          hint="Long enough to change it at the Git host: until then no delivery is lost. Secrets before the present one end now." />
      </Form>
    </Dialog>
  );
}
