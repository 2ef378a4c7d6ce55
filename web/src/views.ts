/**
 * The views of the page: its table of contents. A view is one line here, and a folder under `views/`.
 *
 * Each is loaded when it is first opened. A view of a project is given its project; tabs stand in this order, and the
 * first one is where a project opens.
 */
import type { FunctionComponent } from 'preact';
import { lazy } from 'preact-iso';
import { Bot, FileText, History, ShieldCheck, SquareKanban, SquareTerminal, TriangleAlert, Webhook } from 'lucide-preact';
import type { Project } from './api/projects';
import type { Scope } from './api/scopes';

export interface ViewProps {
  project: Project;
}

export interface ProjectView {
  /** Behind `/projects/{projectId}/`. */
  path: string;
  title: string;
  icon: typeof History;
  /** The scope that its main reading asks for; tabs without it are not offered. */
  needs: Scope;
  component: FunctionComponent<ViewProps>;
}

export interface SiteView {
  path: string;
  component: FunctionComponent;
}

export const projectViews: ProjectView[] = [
  { path: 'board', title: 'Board', icon: SquareKanban, needs: 'work.read', component: lazy(() => import('./views/board/Board')) },
  { path: 'agents', title: 'Agents', icon: Bot, needs: 'agents.read', component: lazy(() => import('./views/agents/Agents')) },
  { path: 'documents', title: 'Documents', icon: FileText, needs: 'artifacts.read', component: lazy(() => import('./views/documents/Documents')) },
  { path: 'conflicts', title: 'Conflicts', icon: TriangleAlert, needs: 'conflicts.read', component: lazy(() => import('./views/conflicts/Conflicts')) },
  { path: 'gates', title: 'Gates', icon: ShieldCheck, needs: 'gates.read', component: lazy(() => import('./views/gates/Gates')) },
  { path: 'deliveries', title: 'Deliveries', icon: Webhook, needs: 'deliveries.read', component: lazy(() => import('./views/deliveries/Deliveries')) },
  { path: 'tool-calls', title: 'Tool calls', icon: SquareTerminal, needs: 'audit.read', component: lazy(() => import('./views/tool-calls/ToolCalls')) },
  { path: 'timeline', title: 'Timeline', icon: History, needs: 'events.read', component: lazy(() => import('./views/timeline/Timeline')) },
];

const Projects = lazy(() => import('./views/projects/Projects'));

/** What is not about one project. A new first segment has to be known to the service too (`src/http.rs`), and to `SCOPE`. */
export const siteViews: SiteView[] = [
  { path: '/', component: Projects },
  { path: '/projects', component: Projects },
  { path: '/connect/agent', component: lazy(() => import('./views/connect/Agent')) },
  { path: '/connect/repository', component: lazy(() => import('./views/connect/Repository')) },
  { path: '/settings/:page?', component: lazy(() => import('./views/settings/Settings')) },
];

export const pathOf = (projectId: string, view: ProjectView): string => `/projects/${projectId}/${view.path}`;

/** Where a project opens. */
export const projectHome = (projectId: string): string => `/projects/${projectId}`;

/** Addresses that this page answers itself; all others are pages of the service. */
export const SCOPE = /^\/($|\?|projects(\/|$)|connect(\/|$)|settings(\/|$))/;
