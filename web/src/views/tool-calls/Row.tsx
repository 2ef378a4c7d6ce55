/** One call: a line that opens to everything that was recorded of it. */
import { useId } from 'preact/hooks';
import { Bot, ChevronRight, User } from 'lucide-preact';
import { CopyButton, Status, Time, When, words } from '../../parts';
import { latency, type ToolCall } from './figures';

interface RowProps {
  call: ToolCall;
  isOpen: boolean;
  toggle: () => void;
}

export function Row({ call, isOpen, toggle }: RowProps) {
  const id = useId();
  // A refusal that its result tells already is not told twice.
  const error = call.error !== call.result ? call.error : undefined;
  const Icon = call.actorKind === 'user' ? User : Bot;
  return (
    <div class="call" data-open={isOpen}>
      <button type="button" class="call-line" aria-expanded={isOpen} aria-controls={isOpen ? id : undefined} onClick={toggle}>
        <ChevronRight class="call-mark" size={15} aria-hidden="true" />
        <span class="call-result"><Status of={call.result} /></span>
        <span class="call-tool"><code>{call.tool}</code></span>
        <span class="call-who faint cut">
          <Icon size={14} aria-hidden="true" />
          {call.actorName}
        </span>
        <span class="call-took number">{latency(call.durationUs)}</span>
        <span class="call-when faint small number"><When at={call.calledAt} /></span>
        {error && !isOpen && <span class="call-error small cut">{words(error)}</span>}
      </button>
      {isOpen && <Details id={id} call={call} />}
    </div>
  );
}

function Details({ id, call }: { id: string; call: ToolCall }) {
  return (
    <dl class="call-details" id={id}>
      {call.error && <div><dt>Error</dt><dd class="call-wrong">{words(call.error)}</dd></div>}
      <div><dt>Called</dt><dd><Time at={call.calledAt} form="full" /></dd></div>
      <div><dt>By</dt><dd>{call.actorName} <span class="faint">({call.actorKind === 'user' ? 'a person' : 'a service account'})</span></dd></div>
      <div><dt>Scope it needs</dt><dd>{call.scope ? <code>{call.scope}</code> : <span class="faint">none: there is no such tool</span>}</dd></div>
      <div><dt>From</dt><dd>{call.ip ?? <span class="faint">unknown</span>}</dd></div>
      <div><dt>Client</dt><dd>{call.userAgent ?? <span class="faint">did not say</span>}</dd></div>
      <div><dt>Key</dt><dd>{call.keyId ? <code>{call.keyId}</code> : <span class="faint">none: it came with a token or a session</span>}</dd></div>
      <div class="whole">
        <dt title="SHA-256 of the arguments in canonical form (RFC 8785)">Hash of the arguments</dt>
        <dd><code>{call.argumentsHash}</code> <CopyButton text={call.argumentsHash} label="Copy the hash of the arguments" /></dd>
      </div>
      <div class="whole"><dt>Record</dt><dd><code>{call.id}</code></dd></div>
    </dl>
  );
}
