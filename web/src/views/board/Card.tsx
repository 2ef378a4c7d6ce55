/** One work item on the board: what it is, what holds it back, and who is at it. */
import { Ban, Bot, CircleCheck, CircleDashed, CircleX, Ellipsis, FileText, UserRound } from 'lucide-preact';
import { Badge, Menu, Meter, Time, count, now, words, type MenuItem } from '../../parts';
import { begin, dragged, end } from './drag';
import { gateWords, type GateBrief } from './gates';
import { PRIORITIES, laneTitle, leaseLeft, type Claim, type Item, type Lane } from './items';

interface CardProps {
  item: Item;
  href: string;
  lanes: readonly Lane[];
  gates: readonly GateBrief[];
  /** Who has just changed it; nothing if nobody has. */
  freshBy: string | undefined;
  mayMove: boolean;
  /** Places in its own lane to which it may be moved; none where they are not known. */
  within: { key: string; label: string; run: () => void }[];
  onMove: (lane: string) => void;
  onOpen: () => void;
}

export function Card({ item, href, lanes, gates, freshBy, mayMove, within, onMove, onOpen }: CardProps) {
  const deeds: MenuItem[] = [{ key: 'open', label: 'Open', run: onOpen }];
  if (mayMove) {
    for (const { name } of lanes) {
      const isCurrent = name === item.lane;
      deeds.push({ key: `to ${name}`, isCurrent, isDisabled: isCurrent, run: () => onMove(name),
        label: isCurrent ? `In ${laneTitle(name)}` : `Move to ${laneTitle(name)}` });
    }
    deeds.push(...within);
  }
  return (
    <div class="board-card" data-item={item.id} data-priority={item.priority} data-fresh={freshBy !== undefined || undefined}
      data-dragged={dragged.value?.id === item.id || undefined} draggable={mayMove} onDragStart={(event) => begin(event, item)} onDragEnd={end}>
      <div class="board-card-head">
        <h3><a href={href} draggable={false}>{item.title}</a></h3>
        <Menu isFloating side="end" class="button bare square board-card-menu" label={`Move “${item.title}” and more`}
          button={<Ellipsis size={16} aria-hidden="true" />} items={deeds} />
      </div>
      <Marks item={item} gates={gates} />
      {item.claim && <Presence claim={item.claim} />}
      {item.lane === 'done' && item.finishedAt && <p class="faint small">Done <Time at={item.finishedAt} /></p>}
      {freshBy && <p class="board-fresh small" role="status">{freshBy} changed this just now</p>}
    </div>
  );
}

function Marks({ item, gates }: { item: Item; gates: readonly GateBrief[] }) {
  const priority = PRIORITIES.find(({ value }) => value === item.priority);
  const isDone = item.lane === 'done';
  const held = isDone ? undefined : gateWords(gates);
  const GateIcon = held?.tone === 'bad' ? CircleX : held?.tone === 'warn' ? CircleDashed : CircleCheck;
  const isPlain = item.priority === 'normal' && !item.role && !item.artifactId && (isDone || !item.blockers) && !held;
  if (isPlain) return null;
  return (
    <div class="board-marks">
      {priority && item.priority !== 'normal' && <Badge tone={priority.tone}>{priority.label}</Badge>}
      {!isDone && item.blockers > 0 && (
        <Badge tone="warn" title="It cannot be claimed before these are done"><Ban size={12} aria-hidden="true" />Waits for {item.blockers}</Badge>
      )}
      {held && <Badge tone={held.tone} title={held.title}><GateIcon size={12} aria-hidden="true" />{held.text}</Badge>}
      {item.role && <span class="board-mark faint small" title="The agents it is for"><UserRound size={13} aria-hidden="true" />{item.role}</span>}
      {item.artifactId && (
        <span class="board-mark faint small" title="It is one thing with a document"><FileText size={13} aria-hidden="true" />
          {item.fileStatus ? `Document: ${words(item.fileStatus)}` : 'Document'}
        </span>
      )}
    </div>
  );
}

const SIGNS: Record<Claim['lastSeenBy'], string> = {
  claim: 'claimed it',
  update: 'reported',
  push: 'pushed',
  run: 'had a run',
  reservation: 'reserved paths',
};

export const signOf = ({ lastSeenBy }: Claim): string => SIGNS[lastSeenBy];

/** Who holds it, and for how long without another sign of life. */
function Presence({ claim }: { claim: Claim }) {
  const { share } = leaseLeft(claim, now.value);
  return (
    <div class="board-holder small">
      <p class="board-holder-name">
        <Bot size={14} aria-hidden="true" />
        <strong class="cut">{claim.holderName}</strong>
        <span class="faint">{signOf(claim)} <Time at={claim.lastSeenAt} /></span>
      </p>
      {claim.task && <p class="cut" title={claim.task}>{claim.task}</p>}
      <Lease claim={claim} share={share} />
    </div>
  );
}

/** The time that is left of a claim, as a bar and in words. */
export function Lease({ claim, share }: { claim: Claim; share: number }) {
  const isOver = share <= 0;
  return (
    <div class="board-lease">
      <Meter value={Math.round(share * 100)} label="Time left of the claim, percent" tone={share < 0.15 ? 'bad' : share < 0.4 ? 'warn' : 'good'} />
      <span class="faint small">{isOver ? 'claim is over' : <>runs out <Time at={claim.expiresAt} /></>}</span>
    </div>
  );
}

/** For those who hear the lane: how many it has, of how many that it takes. */
export const laneWords = (shown: number, all: number, limit: number | null | undefined): string =>
  (shown === all ? count(all, 'item') : `${shown.toLocaleString('en')} of ${count(all, 'item')}`) + (limit ? `, at most ${limit}` : '');
