/** Asks once more before something that cannot be taken back. */
import type { ComponentChildren } from 'preact';
import { useWrite } from '../../api/write';
import { Dialog, Form } from '../../parts';

interface ConfirmProps {
  title: string;
  deed: string;
  /** Does it; the question closes once it is done. */
  run: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, deed, run, onClose, children }: ConfirmProps) {
  const write = useWrite(async () => {
    await run();
    return true;
  });
  const submit = async () => {
    if (await write.run()) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <Form deed={deed} problem={write.problem} isRunning={write.isRunning} isDangerous onSubmit={() => void submit()} onCancel={onClose}>
        <p>{children}</p>
      </Form>
    </Dialog>
  );
}
