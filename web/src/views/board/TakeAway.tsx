/** Asks before a move takes an item away from whoever holds it. */
import { Dialog, Time } from '../../parts';
import { laneTitle, type Item } from './items';

interface TakeAwayProps {
  item: Item;
  lane: string;
  onSure: () => void;
  onClose: () => void;
}

export function TakeAway({ item, lane, onSure, onClose }: TakeAwayProps) {
  const { claim } = item;
  return (
    <Dialog title={`Take it from ${claim?.holderName ?? 'its holder'}?`} onClose={onClose}>
      <p>
        <strong>{claim?.holderName}</strong> holds “{item.title}”{claim && <> since <Time at={claim.claimedAt} form="full" /></>}. In{' '}
        {laneTitle(lane)} nobody holds it: what they write from then on under their claim is refused.
      </p>
      {claim?.task && <p class="faint">They are at: {claim.task}</p>}
      <div class="form-deeds">
        <button type="button" class="button" onClick={onClose}>Leave it with them</button>
        <button type="button" class="button main" onClick={onSure}>Move to {laneTitle(lane)}</button>
      </div>
    </Dialog>
  );
}
