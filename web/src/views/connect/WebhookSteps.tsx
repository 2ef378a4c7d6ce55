/** What is done at one Git host, step by step, with what is pasted there. */
import { useState } from 'preact/hooks';
import { ExternalLink, KeyRound } from 'lucide-preact';
import type { Project } from '../../api/projects';
import { may } from '../../api/scopes';
import { CopyBox } from '../../parts';
import { RotateSecret } from './RotateSecret';
import { hookPage, isAtHome, type HostGuide } from './hosts';

interface Props {
  project: Project;
  guide: HostGuide;
  /** Known only where it was just made. */
  secret: string | undefined;
  onSecret: (secret: string) => void;
}

export function WebhookSteps({ project, guide, secret, onSecret }: Props) {
  const url = (project.webhookUrls as Record<string, string>)[guide.id] ?? '';
  const page = hookPage(project.repoUrl, guide);
  return (
    <>
      {isAtHome(url) && !isAtHome(project.repoUrl) && (
        <p class="connect-warn">
          <strong>{guide.title} may not reach this address.</strong> It is one of this machine or network. Give the service
          the address that others reach it by (<code>TRACKSIDE_PUBLIC_URL</code>), and start it again.
        </p>
      )}
      <ol class="connect-steps" aria-label={`Steps at ${guide.title}`}>
        {guide.steps.map(({ text, shows }, at) => (
          <li key={at}>
            <p>{text}</p>
            {shows === 'page' && page && (
              <a class="button" href={page} target="_blank" rel="noreferrer">
                Open that page at {guide.title}
                <ExternalLink size={14} aria-hidden="true" />
              </a>
            )}
            {shows === 'url' && <CopyBox text={url} label="Address" />}
            {shows === 'secret' && <Secret project={project} secret={secret} onSecret={onSecret} />}
          </li>
        ))}
      </ol>
      <p><strong>See it work.</strong> {guide.test}</p>
      <details class="connect-more">
        <summary>Should nothing arrive</summary>
        <p class="small">{guide.trail} A 401 is nearly always the secret, a 404 the address.</p>
        <p class="small">
          Without the host, on the service’s machine: <code>trackside trigger {guide.id} push --project {project.id}</code> sends
          a delivery as {guide.title} would.
        </p>
      </details>
    </>
  );
}

function Secret({ project, secret, onSecret }: Pick<Props, 'project' | 'secret' | 'onSecret'>) {
  const [isAsking, setAsking] = useState(false);
  if (secret) {
    return (
      <div class="connect-secret">
        <CopyBox text={secret} label="Secret" />
        <p class="faint small">All of it, with <code>whsec_</code>. It is shown this once; should it be lost, a new one can be made.</p>
      </div>
    );
  }
  return (
    <>
      <p class="faint small">The project’s secret, which was shown when it was made. If nobody kept it, make a new one.</p>
      {may('projects.write') && (
        <button type="button" class="button" onClick={() => setAsking(true)}>
          <KeyRound size={16} aria-hidden="true" />
          Make a new secret
        </button>
      )}
      {isAsking && <RotateSecret project={project} onClose={() => setAsking(false)} onMade={(text) => {
        onSecret(text);
        setAsking(false);
      }} />}
    </>
  );
}
