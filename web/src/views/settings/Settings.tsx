/** The settings: what is managed here, page by page. The service's own settings are its environment, not these. */
import type { FunctionComponent } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { Compass, FolderGit2, KeyRound, MonitorSmartphone, Palette, Server, ShieldCheck, Users } from 'lucide-preact';
import { may, type Scope } from '../../api/scopes';
import { EmptyState, ViewHead } from '../../parts';
import { useTitle } from '../../shell/title';
import { Appearance } from './Appearance';
import { Keys } from './Keys';
import { People } from './People';
import { Repositories } from './Repositories';
import { Security } from './Security';
import { Service } from './Service';
import { Sessions } from './Sessions';
import './settings.css';

interface Page {
  path: string;
  title: string;
  icon: typeof Users;
  /** The scope that its reading asks for; without it the page is not offered. */
  needs?: Scope;
  component: FunctionComponent;
}

/** The pages, in their order; the first that one may see is where the settings open. */
const pages: Page[] = [
  { path: 'people', title: 'People and agents', icon: Users, needs: 'keys.read', component: People },
  { path: 'keys', title: 'Keys', icon: KeyRound, needs: 'keys.read', component: Keys },
  { path: 'repositories', title: 'Projects', icon: FolderGit2, needs: 'projects.write', component: Repositories },
  { path: 'security', title: 'Security events', icon: ShieldCheck, needs: 'audit.read', component: Security },
  { path: 'sessions', title: 'Your sessions', icon: MonitorSmartphone, component: Sessions },
  { path: 'appearance', title: 'Appearance', icon: Palette, component: Appearance },
  { path: 'service', title: 'Service', icon: Server, component: Service },
];

export default function Settings() {
  const { params } = useRoute();
  const offered = pages.filter(({ needs }) => !needs || may(needs));
  const path = params['page'] ?? offered[0]?.path ?? '';
  const page = pages.find((each) => each.path === path);
  useTitle(page?.title, 'Settings');
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    const current = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (current && list.current) list.current.scrollLeft = current.offsetLeft - (list.current.clientWidth - current.offsetWidth) / 2;
  }, [path]);
  return (
    <div class="settings">
      <nav class="settings-nav" aria-label="Settings">
        <ul ref={list}>
          {offered.map(({ path: at, title, icon: Icon }) => (
            <li key={at}>
              <a href={`/settings/${at}`} aria-current={at === path ? 'page' : undefined}>
                <Icon size={16} aria-hidden="true" />
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="settings-page">
        {page ? (
          <page.component key={page.path} />
        ) : (
          <>
            <ViewHead title="Nothing here" />
            <EmptyState icon={Compass} title="There is no such page of settings" deed={<a class="button main" href="/settings">Settings</a>} />
          </>
        )}
      </div>
    </div>
  );
}
