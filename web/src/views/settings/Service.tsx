/** What the service says of itself. How long things are kept, and such, are its operator's settings. */
import { api, need } from '../../api/client';
import { usePoll } from '../../api/poll';
import { tenant } from '../../api/projects';
import { useResource } from '../../api/resource';
import { Shown, Status, Time, ViewHead } from '../../parts';

const EVERY_MS = 5_000;
const STORES: Record<string, string> = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

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
            <div><dt>Routes, to read and try</dt><dd><a href="/docs">API documentation</a></dd></div>
          </dl>
        )}
      </Shown>
    </>
  );
}
