/** What the service says of itself, and for how long it keeps things, which its operator sets. */
import { api, need, type Schema } from '../../api/client';
import { usePoll } from '../../api/poll';
import { tenant } from '../../api/projects';
import { useResource } from '../../api/resource';
import { Shown, Status, Time, ViewHead, count } from '../../parts';

const EVERY_MS = 5_000;
const STORES: Record<string, string> = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

function Retention({ of }: { of: Schema<'Retention'> }) {
  const kept = [`bodies of deliveries ${count(of.payloadDays, 'day')}`, `records of tool calls ${count(of.toolCallDays, 'day')}`,
    `security events ${count(of.securityEventDays, 'day')}`];
  return <div><dt>Kept for</dt><dd>{kept.join(', ')}; events, documents and work items for good</dd></div>;
}

export function Service() {
  const health = useResource('health', (signal) => need(api.GET('/health', { signal })));
  usePoll(health.refresh, EVERY_MS);
  return (
    <>
      <ViewHead title="Service" about="How the service is. How long it keeps things is set by whoever runs it, in its environment." />
      <Shown of={health} what="Asking the service">
        {({ status, version, infrastructure: { database, redis } }) => (
          <dl class="sheet settings-facts">
            <div><dt>Service</dt><dd><Status of={status} /></dd></div>
            <div><dt>Version</dt><dd>{version}</dd></div>
            {tenant.value && <div><dt>Organisation</dt><dd>{tenant.value.name}, since <Time at={tenant.value.createdAt} form="full" /></dd></div>}
            <div>
              <dt>Database</dt>
              <dd>
                {STORES[database.storeType] ?? database.storeType} <Status of={database.status} />{' '}
                <span class="faint small number">{database.latencyMs.toFixed(1)} ms, {database.poolIdle} of {database.poolTotal} connections idle</span>
              </dd>
            </div>
            {redis && (
              <div>
                <dt>Redis</dt>
                <dd>
                  <Status of={redis.status} />{' '}
                  {redis.latencyMs != null && <span class="faint small number">{redis.latencyMs.toFixed(1)} ms</span>}
                </dd>
              </div>
            )}
            {tenant.value && <Retention of={tenant.value.retention} />}
            <div><dt>Routes, to read and try</dt><dd><a href="/docs">API documentation</a></dd></div>
          </dl>
        )}
      </Shown>
    </>
  );
}
