/** The frame: header, tabs, and the view that the address names, with what is shown when there is none. */
import { Component, type ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { LocationProvider, Route, Router, useLocation, useRoute } from 'preact-iso';
import { Compass } from 'lucide-preact';
import { api, need } from '../api/client';
import { readMe } from '../api/me';
import { Problem } from '../api/problem';
import { projects, readProjects, readTenant, type Project } from '../api/projects';
import { useResource } from '../api/resource';
import { useLive } from '../live/useLive';
import { EmptyState, Loading, ProblemNote, Toasts, ViewHead } from '../parts';
import { SCOPE, projectHome, projectViews, siteViews } from '../views';
import { Header } from './Header';
import { Tabs } from './Tabs';
import { arrive } from './arrival';
import { useTitle } from './title';

export function Shell() {
  useEffect(() => {
    void readProjects();
    void readTenant();
    void readMe();
  }, []);
  return (
    <LocationProvider scope={SCOPE}>
      <a class="skip" href="#content" onClick={skip}>Skip to the content</a>
      <Fault>
        <Router onRouteChange={arrive}>
          {SITE.map(({ path, Framed }) => (
            <Route key={path} path={path} component={Framed} />
          ))}
          <Route path="/projects/:projectId/:view?" component={OfProject} />
          <Route path="/projects/:projectId/:view/:rest+" component={OfProject} />
          <Route default component={Nowhere} />
        </Router>
      </Fault>
      <Toasts />
    </LocationProvider>
  );
}

/** Made once: a component that is another one at each drawing would lose its state. */
const SITE = siteViews.map(({ path, component: Content }) => ({ path, Framed: () => <Site><Content /></Site> }));

const Nowhere = () => <Site><NotFound /></Site>;

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Site({ children }: { children: ComponentChildren }) {
  return (
    <>
      <Header />
      <Main>{children}</Main>
    </>
  );
}

function Main({ children }: { children: ComponentChildren }) {
  return <main class="view" id="content" tabIndex={-1}>{children}</main>;
}

/** One project: it is read once for all of its views, and stays fresh. */
function OfProject() {
  const { params } = useRoute();
  const { route } = useLocation();
  const projectId = params['projectId'] ?? '';
  const view = projectViews.find(({ path }) => path === params['view']);
  const project = useResource(projectId, (signal) =>
    need(api.GET('/api/v1/projects/{project_id}', { params: { path: { project_id: projectId } }, signal })),
  );
  const known = project.value ?? projects.value?.find(({ id }) => id === projectId);
  useLive(known && projectId, ['project_changed'], async () => {
    await Promise.all([project.refresh(), readProjects()]);
  });
  const isHome = !params['view'];
  useEffect(() => {
    if (isHome && projectViews[0]) route(`${projectHome(projectId)}/${projectViews[0].path}`, true);
  }, [isHome, projectId]);

  if (project.problem && !project.value) {
    // An id that is no id is a project that is not there.
    const isMissing = project.problem.isMissing || project.problem.status === 400;
    return <Site>{isMissing ? <NotFound /> : <ProblemNote problem={project.problem} retry={() => void project.refresh()} />}</Site>;
  }
  if (!known) return <Site><Loading /></Site>;
  return (
    <>
      <Header project={known}>
        <Tabs projectId={projectId} current={view?.path ?? ''} />
      </Header>
      <Main>
        {view ? <View key={projectId + view.path} view={view} project={known} /> : !isHome && <NotFound />}
      </Main>
    </>
  );
}

function View({ view, project }: { view: (typeof projectViews)[number]; project: Project }) {
  useTitle(view.title, project.name);
  const { component: Content } = view;
  return <Fault><Content project={project} /></Fault>;
}

function NotFound() {
  useTitle('Nothing here');
  return (
    <>
      <ViewHead title="Nothing here" />
      <EmptyState icon={Compass} title="This address leads nowhere" deed={<a class="button main" href="/">All projects</a>}>
        What was here may be gone, or it is not shown to you.
      </EmptyState>
    </>
  );
}

const RELOADED = 'trackside-reloaded';

/** What a fault in a view leaves standing. A file that is gone means a newer version of the page: it is loaded, once. */
class Fault extends Component<{ children: ComponentChildren }, { problem?: Problem }> {
  override state: { problem?: Problem } = {};

  override componentDidCatch(thrown: unknown): void {
    const isOld = thrown instanceof TypeError && /import|module/i.test(thrown.message);
    if (isOld && sessionStorage.getItem(RELOADED) !== location.href) {
      sessionStorage.setItem(RELOADED, location.href);
      location.reload();
      return;
    }
    this.setState({ problem: Problem.from(thrown) });
  }

  override render() {
    const { problem } = this.state;
    if (!problem) return this.props.children;
    return <ProblemNote problem={problem} retry={() => location.reload()} />;
  }
}
