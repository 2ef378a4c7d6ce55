/** What an event says, in a sentence. What comes from outside is shown as text, and links lead to the web alone. */
import type { ComponentChildren } from 'preact';
import type { Event } from '../../live/socket';
import { count, duration, type Tone } from '../../parts';

export interface Told {
  text: ComponentChildren;
  tone?: Tone;
  /** A second line. */
  more?: string;
  url?: string;
}

type Fields = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '');
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
const spaced = (value: unknown): string => text(value).replaceAll('_', ' ');
const short = (commit: unknown): string => text(commit).slice(0, 8);
const B = ({ children }: { children: ComponentChildren }) => <strong>{children}</strong>;
const C = ({ children }: { children: ComponentChildren }) => <code>{children}</code>;

/** An address of the web, or nothing: what else a payload may hold, such as `javascript:`, leads nowhere. */
function web(value: unknown): string | undefined {
  const url = text(value);
  return /^https?:\/\//i.test(url) ? url : undefined;
}

const HOSTS: Fields = { github: 'GitHub', gitlab: 'GitLab', bitbucket: 'Bitbucket', gitea: 'Gitea', forgejo: 'Forgejo' };

/** By the event's name. */
const SENTENCES: Record<string, (it: Fields) => Told> = {
  delivery_received: (it) => ({ text: <>{text(HOSTS[text(it['source'])]) || text(it['source'])} delivered <B>{spaced(it['eventType'])}</B></> }),
  delivery_failed: (it) => ({
    text: <>A delivery of <B>{spaced(it['eventType'])}</B> could not be processed</>, more: text(it['error']), tone: 'bad',
  }),
  push: (it) => {
    const what = it['tag'] ? <>the tag <C>{text(it['tag'])}</C></> : <>{count(number(it['commits']), 'commit')} to <C>{text(it['branch'])}</C></>;
    const verb = it['deleted'] ? 'deleted' : it['forced'] ? 'force-pushed' : 'pushed';
    return {
      text: <><B>{text(it['author']) || 'Somebody'}</B> {verb} {it['deleted'] && !it['tag'] ? <C>{text(it['branch'])}</C> : what}</>,
      more: text(it['message']), url: web(it['url']),
    };
  },
  pull_request_changed: (it) => ({
    text: <><B>{text(it['sender']) || text(it['author']) || 'Somebody'}</B> {deed(it)} pull request <B>#{text(it['number'])}</B></>,
    more: text(it['title']), url: web(it['url']), tone: it['state'] === 'merged' ? 'busy' : undefined,
  }),
  issue_changed: (it) => ({
    text: <><B>{text(it['sender']) || text(it['author']) || 'Somebody'}</B> {deed(it)} issue <B>#{text(it['number'])}</B></>,
    more: text(it['title']), url: web(it['url']),
  }),
  release_published: (it) => ({
    text: <><B>{text(it['author']) || 'Somebody'}</B> released <B>{text(it['name']) || text(it['tag'])}</B>{it['prerelease'] ? ', a pre-release' : ''}</>,
    url: web(it['url']), tone: 'good',
  }),
  artifact_scan_started: (it) => ({ text: <>Reading {count(number(it['documents']), 'document')} at <C>{short(it['commit'])}</C></> }),
  artifact_scan_progress: (it) => ({ text: <>Read {number(it['done'])} of {count(number(it['total']), 'document')}</> }),
  artifact_scan_completed: (it) => {
    const parts = ['added', 'changed', 'renamed', 'removed'].filter((name) => number(it[name]) > 0).map((name) => `${number(it[name])} ${name}`);
    return { text: <>The documents are read at <C>{short(it['commit'])}</C>{parts.length ? `: ${parts.join(', ')}` : ': nothing changed'}</> };
  },
  artifact_scan_failed: (it) => ({ text: <>The repository could not be read: {spaced(it['failure'])}</>, more: text(it['detail']), tone: 'bad' }),
  artifact_updated: (it) => ({
    text: <><B>{text(it['title']) || text(it['path'])}</B> was {text(it['change']) || 'changed'}{it['version'] ? <>, now <B>{text(it['version'])}</B></> : ''}</>,
    more: [text(it['path']), text(it['author'])].filter(Boolean).join(' · '),
  }),
  artifact_removed: (it) => ({ text: <><C>{text(it['path'])}</C> was removed</>, tone: 'warn' }),
  work_item_changed: (it) => ({
    text: <>{it['principalName'] ? <><B>{text(it['principalName'])}</B> {changeOf(it)} <B>{text(it['title'])}</B></> : <><B>{text(it['title'])}</B> was {changeOf(it)}</>}</>,
    more: `in ${text(it['lane'])}`,
  }),
  work_claimed: (it) => ({
    text: <><B>{text(it['holderName'])}</B> took <B>{text(it['title'])}</B></>, more: it['branch'] ? `on ${text(it['branch'])}` : undefined, tone: 'busy',
  }),
  work_released: (it) => ({
    text: it['reason'] === 'finished' ? <><B>{text(it['holderName'])}</B> finished <B>{text(it['title'])}</B></>
      : it['reason'] === 'expired' ? <>The claim of <B>{text(it['holderName'])}</B> on <B>{text(it['title'])}</B> ran out</>
      : it['reason'] === 'released' ? <><B>{text(it['holderName'])}</B> gave <B>{text(it['title'])}</B> back</>
      : <><B>{text(it['title'])}</B> is free again: {spaced(it['reason'])}</>,
    more: text(it['note']), tone: it['reason'] === 'finished' ? 'good' : it['reason'] === 'released' ? undefined : 'warn',
  }),
  paths_reserved: (it) => ({
    text: <><B>{text(it['holderName'])}</B> {it['mode'] === 'shared' ? 'shares' : 'reserved'} <C>{text(it['shown'])}</C></>, more: text(it['purpose']), tone: 'busy',
  }),
  paths_released: (it) => ({
    text: it['reason'] === 'released' ? <><B>{text(it['holderName'])}</B> released <C>{text(it['shown'])}</C></>
      : <>The reservation of <C>{text(it['shown'])}</C> by <B>{text(it['holderName'])}</B> ended: {spaced(it['reason'])}</>,
    more: text(it['note']), tone: it['reason'] === 'released' ? undefined : 'warn',
  }),
  agent_status_changed: (it) => ({
    text: <><B>{text(it['name'])}</B> is {STATES[text(it['to'])] ?? spaced(it['to'])}</>, more: text(it['task']),
    tone: it['to'] === 'error' ? 'bad' : it['to'] === 'blocked' ? 'warn' : it['to'] === 'running' ? 'busy' : undefined,
  }),
  run_started: (it) => ({ text: <><B>{text(it['name'])}</B> started{on(it)}</>, more: runner(it), url: web(it['url']), tone: 'busy' }),
  run_finished: (it) => {
    const ended = ENDS[text(it['status'])] ?? spaced(it['status']);
    const took = number(it['durationMs']);
    return {
      text: <><B>{text(it['name'])}</B> {ended}{on(it)}{took ? ` after ${duration(took)}` : ''}</>,
      more: text(it['summary']) || runner(it), url: web(it['url']),
      tone: it['status'] === 'success' ? 'good' : it['status'] === 'failed' ? 'bad' : 'warn',
    };
  },
  gate_evaluated: (it) => ({
    text: <>Gate <B>{text(it['name'])}</B> {GATES[text(it['to'])] ?? `is ${spaced(it['to'])}`}{it['phase'] ? ` in ${text(it['phase'])}` : ''}</>,
    more: text(it['message']), tone: it['to'] === 'passed' ? 'good' : it['to'] === 'failed' ? 'bad' : it['to'] === 'waived' ? 'warn' : undefined,
  }),
  phase_progress_changed: (it) => {
    const phases = Array.isArray(it['phases']) ? (it['phases'] as Fields[]) : [];
    const moved = phases.filter((phase) => phase['from'] !== phase['percentage']);
    const words = moved.map((phase) => `${text(phase['phase'])} ${number(phase['from'])} % → ${number(phase['percentage'])} %`);
    const isNew = it['currentPhase'] !== it['fromPhase'];
    return {
      text: isNew && it['currentPhase'] ? <>The project is in phase <B>{text(it['currentPhase'])}</B></> : <>Progress: {words.join(', ') || 'as before'}</>,
      more: isNew ? words.join(', ') : undefined, tone: 'deed',
    };
  },
  conflict_detected: (it) => ({
    text: <>Conflict: <B>{spaced(it['kind'])}</B> at <C>{text(it['artifactPath'])}</C></>, more: text(it['message']), tone: it['severity'] === 'critical' ? 'bad' : 'warn',
  }),
  conflict_resolved: (it) => ({
    text: <>{it['resolverName'] ? <><B>{text(it['resolverName'])}</B> resolved</> : 'Settled:'} {spaced(it['kind'])} at <C>{text(it['artifactPath'])}</C></>,
    more: text(it['resolution']), tone: 'good',
  }),
  project_changed: (it) => ({ text: it['deleted'] ? 'The project was deleted' : <>The project was changed{it['name'] ? <>: <B>{text(it['name'])}</B></> : ''}</> }),
};

const STATES: Record<string, string> = { idle: 'idle', running: 'at work', completed: 'done', blocked: 'blocked', error: 'in trouble' };
const ENDS: Record<string, string> = { success: 'succeeded', failed: 'failed', cancelled: 'was cancelled', lost: 'was lost' };
const GATES: Record<string, string> = { passed: 'passed', failed: 'failed', pending: 'waits', skipped: 'is skipped', waived: 'was waived' };
const DEEDS: Record<string, string> = { synchronize: 'pushed to', edited: 'edited', opened: 'opened', closed: 'closed', reopened: 'reopened', merged: 'merged', created: 'opened', updated: 'updated', update: 'updated', open: 'opened', close: 'closed', merge: 'merged' };

const deed = (it: Fields): string => (it['state'] === 'merged' ? 'merged' : (DEEDS[text(it['action'])] ?? `${spaced(it['action'])},`));
const changeOf = (it: Fields): string => spaced(it['change']) || 'changed';
const on = (it: Fields): ComponentChildren => (it['branch'] ? <> on <C>{text(it['branch'])}</C></> : '');
const runner = (it: Fields): string | undefined => (it['principal'] ? `by ${text((it['principal'] as Fields)['name'])}` : undefined);

/** An event in words; one of a newer service is told by its name. */
export function tell({ event, payload }: Event): Told {
  const fields = typeof payload === 'object' && payload ? (payload as Fields) : {};
  return SENTENCES[event]?.(fields) ?? { text: <B>{spaced(event)}</B> };
}
