/** The views of a project, as tabs. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import { pathOf, projectViews } from '../views';
import { may } from '../api/scopes';

export function Tabs({ projectId, current }: { projectId: string; current: string }) {
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [current]);
  return (
    <nav class="tabs" aria-label="Project">
      <ul ref={list}>
        {projectViews.filter(({ needs }) => may(needs)).map((view) => (
          <li key={view.path}>
            <a href={pathOf(projectId, view)} aria-current={view.path === current ? 'page' : undefined}>
              <view.icon size={16} aria-hidden="true" />
              {view.title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
