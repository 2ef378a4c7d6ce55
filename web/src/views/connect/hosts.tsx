/**
 * The Git hosts, and where on each a webhook is made, with the words of its own pages. The same in substance as
 * "Point a Git host at it" in the README.
 */
import type { ComponentChildren } from 'preact';
import type { Schema } from '../../api/client';

export type Host = Schema<'Source'>;

/** What a step shows beside its words. */
export type Shows = 'page' | 'url' | 'secret';

export interface HostStep {
  text: ComponentChildren;
  shows?: Shows;
}

export interface HostGuide {
  id: Host;
  title: string;
  /** Behind the repository's address: the page where a webhook is made. */
  page: string;
  steps: HostStep[];
  /** How to see it work at once. */
  test: ComponentChildren;
  /** Where the host shows what it was answered. */
  trail: ComponentChildren;
}

const B = ({ children }: { children: string }) => <strong>{children}</strong>;

/** Gitea and Forgejo, which come from one house and differ in their letters. */
function forge(id: 'gitea' | 'forgejo', title: string, say: { add: string; target: string; method: string; type: string; on: string; all: string; test: string }): HostGuide {
  return {
    id,
    title,
    page: `/settings/hooks/${id}/new`,
    steps: [
      { text: <>In the repository, open <B>Settings</B> → <B>Webhooks</B> → <B>{say.add}</B> → <B>{title}</B>.</>, shows: 'page' },
      { text: <><B>{say.target}</B></>, shows: 'url' },
      { text: <><B>{say.method}</B>: <B>POST</B>, and <B>{say.type}</B>: <B>application/json</B>.</> },
      { text: <><B>Secret</B></>, shows: 'secret' },
      { text: <><B>{say.on}</B>: <B>{say.all}</B> is fine.</> },
      { text: <>Leave <B>Active</B> ticked, and press <B>{say.add}</B> below.</> },
    ],
    test: <>Open the webhook again and press <B>{say.test}</B>.</>,
    trail: <>The webhook’s own page lists its <B>{id === 'gitea' ? 'Recent Deliveries' : 'Recent deliveries'}</B> with what they were answered. {title} does not send again by itself.</>,
  };
}

export const hosts: HostGuide[] = [
  {
    id: 'github',
    title: 'GitHub',
    page: '/settings/hooks/new',
    steps: [
      { text: <>In the repository, open <B>Settings</B> → <B>Webhooks</B> → <B>Add webhook</B>.</>, shows: 'page' },
      { text: <><B>Payload URL</B></>, shows: 'url' },
      { text: <><B>Content type</B>: choose <B>application/json</B>.</> },
      { text: <><B>Secret</B></>, shows: 'secret' },
      {
        text: (
          <>
            <B>Which events would you like to trigger this webhook?</B> <B>Send me everything.</B> is fine. Or select
            Pushes, Pull requests, Issues, Releases, Workflow runs, Check runs and Statuses.
          </>
        ),
      },
      { text: <>Leave <B>Active</B> ticked, and press <B>Add webhook</B>.</> },
    ],
    test: <>GitHub sends a <code>ping</code> at once. To have it sent again, use <B>Redeliver</B> under <B>Recent Deliveries</B>.</>,
    trail: <>The webhook’s <B>Recent Deliveries</B> say what each was answered. GitHub does not send again by itself.</>,
  },
  {
    id: 'gitlab',
    title: 'GitLab',
    page: '/-/hooks',
    steps: [
      { text: <>In the project or group, open <B>Settings</B> → <B>Webhooks</B> → <B>Add new webhook</B>.</>, shows: 'page' },
      { text: <><B>URL</B></>, shows: 'url' },
      { text: <><B>Signing token</B> from GitLab 19 on; before that <B>Secret token</B>.</>, shows: 'secret' },
      {
        text: (
          <>
            <B>Trigger</B>: tick push events, tag push events, issues events, merge request events, job events, pipeline
            events and releases events; confidential issues if you like.
          </>
        ),
      },
      { text: <>Press <B>Add webhook</B>. Its content is JSON in any case.</> },
    ],
    test: <>Beside the webhook, press <B>Test</B> → <B>Push events</B>.</>,
    trail: <><B>Edit</B> shows the webhook’s recent events with what they were answered. GitLab pauses a webhook after several failures in a row.</>,
  },
  {
    id: 'bitbucket',
    title: 'Bitbucket Cloud',
    page: '/admin/webhooks',
    steps: [
      { text: <>In the repository, open <B>Repository settings</B> → <B>Webhooks</B> → <B>Add webhook</B>.</>, shows: 'page' },
      { text: <><B>Title</B>: Trackside. <B>URL</B>:</>, shows: 'url' },
      { text: <><B>Secret</B>. Deliveries without one are refused.</>, shows: 'secret' },
      {
        text: (
          <>
            <B>Triggers</B>: <B>Choose from a full list of triggers</B>, then tick repository push, build status created and
            updated, and those of pull requests and issues, without the comments.
          </>
        ),
      },
      { text: <>Leave <B>Active</B> ticked, and press <B>Save</B>. Its content is JSON in any case.</> },
    ],
    test: <>Push a commit: Bitbucket has no test of its own.</>,
    trail: <><B>View requests</B> beside the webhook shows what was answered. Bitbucket tries twice more after a failure of the service.</>,
  },
  forge('gitea', 'Gitea', { add: 'Add Webhook', target: 'Target URL', method: 'HTTP Method', type: 'POST Content Type', on: 'Trigger On', all: 'All Events', test: 'Test Delivery' }),
  forge('forgejo', 'Forgejo', { add: 'Add webhook', target: 'Target URL', method: 'HTTP method', type: 'POST content type', on: 'Trigger on', all: 'All events', test: 'Test delivery' }),
];

export const titleOf = (host: string): string => hosts.find(({ id }) => id === host)?.title ?? host;

/** The host of a repository, as far as its address tells. */
export function likelyHost(repoUrl: string): Host | undefined {
  const address = repoUrl.toLowerCase();
  if (/codeberg\.org/.test(address)) return 'forgejo';
  return hosts.find(({ id }) => address.includes(id))?.id;
}

/** The page on which the host has a webhook made, of a repository that is on the web. */
export function hookPage(repoUrl: string, guide: HostGuide): string | undefined {
  const found = /^(https?:\/\/)(?:[^@/]*@)?([^?#]+?)(?:\.git)?\/*$/i.exec(repoUrl);
  return found ? `${found[1]}${found[2]}${guide.page}` : undefined;
}

const AT_HOME = /^($|localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|\[?::1|\[?f[cd]|[^.]+$|.*\.(local|internal|lan|test)$)/i;

/** Whether an address leads nowhere from the internet: one of this machine, of a network at home, or a folder. */
export const isAtHome = (url: string): boolean => {
  try {
    return AT_HOME.test(new URL(url).hostname);
  } catch {
    return false;
  }
};
