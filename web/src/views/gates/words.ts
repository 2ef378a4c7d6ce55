/** What gates and phases are called. */
import { CircleCheck, CircleDashed, CircleSlash, CircleX, ShieldAlert } from 'lucide-preact';
import type { Schema } from '../../api/client';
import { sentence } from '../../api/problem';
import type { Tone } from '../../parts';

export type Gate = Schema<'Gate'>;
export type Phase = Schema<'Phase'>;
export type Status = Schema<'GateStatus'>;

/** In their order. */
export const PHASES: { key: Phase; title: string; about: string }[] = [
  { key: 'build', title: 'Build', about: 'What is to be made is written down' },
  { key: 'map', title: 'Map', about: 'How it is to be made is written down' },
  { key: 'analyze', title: 'Analyze', about: 'It is made, and it works' },
  { key: 'deploy', title: 'Deploy', about: 'It can be handed to whoever uses it' },
];

export const CHECKS: Record<Gate['check'], string> = {
  artifact_exists: 'The documents are there',
  version_valid: 'A version is stated',
  dependencies_resolved: 'No conflict is open',
  tests_passing: 'Tests pass',
  code_exists: 'Files are there',
  manual_review: 'Somebody reviews it',
  qa_file: 'A QA file decides',
};

export const STATUSES: Record<Status, { text: string; tone: Tone; icon: typeof CircleX; rank: number }> = {
  failed: { text: 'Failed', tone: 'bad', icon: CircleX, rank: 0 },
  pending: { text: 'Pending', tone: 'plain', icon: CircleDashed, rank: 1 },
  waived: { text: 'Waived', tone: 'warn', icon: ShieldAlert, rank: 2 },
  passed: { text: 'Passed', tone: 'good', icon: CircleCheck, rank: 3 },
  skipped: { text: 'Skipped', tone: 'plain', icon: CircleSlash, rank: 4 },
};

/** Why it stands so. The tool that a message ends with is for agents: here there is a button. */
export const messageOf = ({ message }: Gate): string => sentence(message.replace(/: [a-z]+(_[a-z]+)+$/, ''));

export interface Group {
  itemId: string;
  gates: Gate[];
}

/** The gates of work items, by item: items with what is red first, then those that wait longest for something. */
export function byItem(gates: readonly Gate[]): Group[] {
  const groups = new Map<string, Group>();
  for (const gate of gates) {
    if (!gate.workItemId) continue;
    const group = groups.get(gate.workItemId);
    if (group) group.gates.push(gate);
    else groups.set(gate.workItemId, { itemId: gate.workItemId, gates: [gate] });
  }
  const rank = ({ status }: Gate) => STATUSES[status]?.rank ?? 1;
  for (const group of groups.values()) group.gates.sort((one, other) => rank(one) - rank(other));
  const first = ({ gates: [gate] }: Group) => (gate ? rank(gate) : 1);
  const since = ({ gates: [gate] }: Group) => gate?.evaluatedAt ?? '';
  return [...groups.values()].sort((one, other) => first(one) - first(other) || since(one).localeCompare(since(other)));
}
