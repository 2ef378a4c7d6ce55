/** One agent by itself: how it stands, and the last hundred things that it did. */
import { api, need, type Schema } from '../../api/client';
import { useResource } from '../../api/resource';
import { useLive } from '../../live/useLive';
import { Badge, Dialog, Shown, Status, Time, count, words, type Tone } from '../../parts';
import type { Agent } from './pieces';

type Activity = Schema<'Activity'>;

interface DialogProps {
  projectId: string;
  agent: Agent;
  home: string;
  onClose: () => void;
}

export function AgentDialog({ projectId, agent, home, onClose }: DialogProps) {
  const { principalId, name } = agent;
  const details = useResource(`agent/${projectId}/${principalId}`, (signal) => {
    const path = { project_id: projectId, principal_id: principalId };
    return need(api.GET('/api/v1/projects/{project_id}/agents/{principal_id}', { params: { path }, signal }));
  });
  useLive(projectId, ['agent_status_changed', 'push', 'run_started', 'run_finished', 'work_claimed', 'work_released'], details.refresh);
  return (
    <Dialog title={name} onClose={onClose} isWide>
      <Shown of={details} what="Reading what it did">
        {(it) => (
          <div class="stack">
            <dl class="agents-facts">
              <div><dt>Status</dt><dd><Status of={it.status} /> <span class="faint small">since <Time at={it.since} /></span></dd></div>
              <div>
                <dt>Task</dt>
                <dd>{it.task ? (it.workItemId ? <a href={`${home}/board?item=${it.workItemId}`}>{it.task}</a> : it.task) : <span class="faint">None told</span>}</dd>
              </div>
              <div><dt>Last sign of life</dt><dd><Time at={it.lastSeen.at} />, {words(it.lastSeen.evidence)}</dd></div>
              <div><dt>Role</dt><dd>{it.agentRole ?? it.role}</dd></div>
            </dl>
            <section aria-labelledby="agents-did">
              <h3 id="agents-did">What it did last</h3>
              {it.activities.length === 0 && <p class="faint">Nothing is remembered.</p>}
              <ol class="agents-did">
                {it.activities.map((activity) => <Did key={`${activity.kind} ${activity.firstAt} ${activity.what}`} of={activity} />)}
              </ol>
            </section>
          </div>
        )}
      </Shown>
    </Dialog>
  );
}

const TONES: Record<string, Tone> = { success: 'good', failure: 'bad', started: 'busy' };

function Did({ of }: { of: Activity }) {
  return (
    <li>
      <span class="faint small agents-did-kind">{words(of.kind)}</span>
      <span class="agents-did-what">
        {of.kind === 'tool_call' || of.kind === 'push' ? <code>{of.what}</code> : of.what}
        {of.count > 1 && <span class="faint small"> {count(of.count, 'time')} in a row</span>}
        {of.commit && <span class="faint small"> <code>{of.commit.slice(0, 8)}</code></span>}
      </span>
      {of.outcome && of.outcome !== 'success' && <Badge tone={TONES[of.outcome]}>{of.outcome}</Badge>}
      <span class="faint small"><Time at={of.lastAt} /></span>
    </li>
  );
}
