/** Who a lane is of: how they are, what they are at, and when anything was last heard of them. */
import { Bot, FolderGit2, User, Workflow } from 'lucide-preact';
import { Status, Time, words } from '../../parts';
import { CI, type Lane } from './pieces';

export function LaneHead({ lane, onOpen }: { lane: Lane; onOpen: (lane: Lane) => void }) {
  const { agent } = lane;
  const Icon = !agent ? (lane.id === CI ? Workflow : lane.about ? FolderGit2 : Bot) : agent.kind === 'user' ? User : Bot;
  return (
    <div class="agents-head">
      <div class="agents-head-name">
        <Icon size={16} aria-hidden="true" />
        {agent ? (
          <button type="button" class="agents-name cut" onClick={() => onOpen(lane)} title={`What ${lane.name} did last`}>{lane.name}</button>
        ) : (
          <strong class="cut">{lane.name}</strong>
        )}
      </div>
      {agent ? (
        <>
          <p class="small cut" title={agent.task ?? undefined}>{agent.task ?? <span class="faint">No task told</span>}</p>
          <p class="faint small agents-head-state">
            <Status of={agent.status} />
            <span class="cut" title="Last sign of life"><Time at={agent.lastSeen.at} />, {words(agent.lastSeen.evidence)}</span>
          </p>
        </>
      ) : (
        <p class="faint small">{lane.about ?? 'Not among the agents'}</p>
      )}
    </div>
  );
}
