/** The header: where one is, whether what is shown is live, how it looks, and who one is. */
import { useRef } from 'preact/hooks';
import { Bot, ChevronsUpDown, Monitor, Moon, Plug, Sun, User, Webhook } from 'lucide-preact';
import { me } from '../api/me';
import { projects, tenant, type Project } from '../api/projects';
import { lastHeard, liveState, type LiveState } from '../live/socket';
import { may } from '../api/scopes';
import { Menu, ago } from '../parts';
import { projectHome } from '../views';
import { signOut } from './signout';
import mark from '../mark.svg';
import { choose, theme, type Theme } from './theme';

export function Header({ project, children }: { project?: Project; children?: preact.ComponentChildren }) {
  return (
    <header class="header">
      <div class="header-row">
        <a class="brand" href="/" aria-label="Trackside, all projects">
          <img src={mark} alt="" width="24" height="24" />
          <span class="brand-name">Trackside</span>
        </a>
        {project && (
          <>
            <span class="header-slash" aria-hidden="true">/</span>
            <Switcher project={project} />
          </>
        )}
        <span class="header-space" />
        <Live />
        <ConnectMenu projectId={project?.id} />
        <ThemeMenu />
        <AccountMenu />
      </div>
      {children}
    </header>
  );
}

function Switcher({ project }: { project: Project }) {
  const items = (projects.value ?? []).map(({ id, name }) => ({
    key: id,
    label: name,
    href: projectHome(id),
    isCurrent: id === project.id,
  }));
  return (
    <Menu
      class="button bare switcher"
      label={`Project: ${project.name}. Switch`}
      button={
        <>
          <span class="cut">{project.name}</span>
          <ChevronsUpDown size={14} aria-hidden="true" />
        </>
      }
      items={[...items, { key: 'all', label: 'All projects', href: '/' }]}
    />
  );
}

const LIVE: Record<LiveState, { text: string; why: string }> = {
  idle: { text: 'Ready', why: 'Nothing on this page changes by itself.' },
  connecting: { text: 'Connecting', why: 'The live connection is being opened.' },
  live: { text: 'Live', why: 'Changes show up here as they happen.' },
  behind: { text: 'Catching up', why: 'The connection is back; what happened meanwhile is being read.' },
  offline: { text: 'Offline', why: 'The live connection is away. The page tries again by itself and misses nothing.' },
};

function Live() {
  const state = liveState.value;
  const { text, why } = LIVE[state];
  const since = state === 'offline' && lastHeard.value ? ` Last heard ${ago(lastHeard.value)}.` : '';
  const first = useRef(true);
  const isNews = !first.current;
  first.current = false;
  return (
    <span class="live" data-state={state} title={why + since} role={isNews ? 'status' : undefined}>
      <span class="live-dot" aria-hidden="true" />
      <span class="live-text">{text}</span>
    </span>
  );
}

const THEMES: { key: Theme; label: string; icon: typeof Sun }[] = [
  { key: 'auto', label: 'As the system', icon: Monitor },
  { key: 'light', label: 'Light', icon: Sun },
  { key: 'dark', label: 'Dark', icon: Moon },
];

function ThemeMenu() {
  const Icon = THEMES.find(({ key }) => key === theme.value)?.icon ?? Monitor;
  return (
    <Menu
      side="end"
      class="button bare square"
      label="Theme"
      button={<Icon size={18} aria-hidden="true" />}
      items={THEMES.map(({ key, label, icon: Each }) => ({
        key,
        isCurrent: key === theme.value,
        run: () => choose(key),
        label: (
          <>
            <Each size={16} aria-hidden="true" />
            {label}
          </>
        ),
      }))}
    />
  );
}

/** What is connected to a project: an agent or its repository. In a project it is that one. */
function ConnectMenu({ projectId }: { projectId: string | undefined }) {
  const of = projectId ? `?project=${projectId}` : '';
  const items = [
    may('projects.write') && { key: 'repository', icon: Webhook, label: 'A repository', href: `/connect/repository${of}` },
    may('keys.write') && { key: 'agent', icon: Bot, label: 'An agent', href: `/connect/agent${of}` },
  ].filter((item) => item !== false);
  if (items.length === 0) return null;
  return (
    <Menu
      side="end"
      class="button bare square"
      label="Connect"
      button={<Plug size={18} aria-hidden="true" />}
      head="Connect"
      items={items.map(({ key, icon: Icon, label, href }) => ({
        key,
        href,
        label: (
          <>
            <Icon size={16} aria-hidden="true" />
            {label}
          </>
        ),
      }))}
    />
  );
}

/** Who one is. */
function Self() {
  const name = me.value?.tenant.name ?? tenant.value?.name;
  if (!me.value) return name ? <>Signed in to <strong>{name}</strong></> : null;
  return (
    <>
      <strong>{me.value.principal.name}</strong>
      <br />
      {me.value.principal.role} of <strong>{name}</strong>
    </>
  );
}

function AccountMenu() {
  return (
    <Menu
      side="end"
      class="button bare square"
      label="Account"
      button={<User size={18} aria-hidden="true" />}
      head={(me.value || tenant.value) && <Self />}
      items={[
        { key: 'settings', label: 'Settings', href: '/settings' },
        { key: 'account', label: 'Your account', href: '/account' },
        { key: 'docs', label: 'API documentation', href: '/docs' },
        { key: 'out', label: 'Sign out', run: signOut },
      ]}
    />
  );
}
