/** What the shapes of the chart mean. */
import type { Tone } from '../../parts';
import { KINDS, iconOf } from './Piece';
import type { Kind } from './pieces';

const SHAPES: { kind: Kind; tone: Tone; text: string }[] = [
  { kind: 'claim', tone: 'busy', text: 'Work item held' },
  { kind: 'run', tone: 'busy', text: 'Run' },
  { kind: 'push', tone: 'deed', text: 'Push' },
  { kind: 'gate', tone: 'good', text: 'Gate evaluated' },
  { kind: 'conflict', tone: 'warn', text: 'Conflict' },
];

const TONES: { tone: Tone; text: string }[] = [
  { tone: 'busy', text: 'goes on' },
  { tone: 'good', text: 'went well' },
  { tone: 'plain', text: 'was given up' },
  { tone: 'warn', text: 'ran out, or was lost' },
  { tone: 'bad', text: 'failed' },
];

export function Legend() {
  return (
    <div class="agents-legend faint small">
      <ul aria-label="Shapes">
        {SHAPES.map(({ kind, tone, text }) => {
          const { icon: Icon } = KINDS[kind];
          return (
            <li key={kind}>
              <span class="agents-bar sample" data-kind={kind} data-tone={tone} aria-hidden="true"><Icon size={13} /></span>
              {text}
            </li>
          );
        })}
      </ul>
      <ul aria-label="Colours">
        {TONES.map(({ tone, text }) => {
          const Icon = iconOf({ kind: 'run', tone });
          return <li key={tone}><span class="agents-sign" data-tone={tone} aria-hidden="true"><Icon size={13} /></span>{text}</li>;
        })}
      </ul>
    </div>
  );
}
