/** What stands where something is not: it is coming, there is none, it went wrong, or it is not for this viewer. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { CircleAlert, Inbox, Lock } from 'lucide-preact';
import { sentence, type Problem } from '../api/problem';

/** How long nothing is shown: what takes less must not flicker. */
const PATIENCE_MS = 150;

export function Loading({ what = 'Loading' }: { what?: string }) {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="loading" role="status">
      {isLate && (
        <>
          <span class="spinner" aria-hidden="true" />
          <span>{what}…</span>
        </>
      )}
    </div>
  );
}

interface EmptyProps {
  title: string;
  /** Why there is nothing, and what brings something here. */
  children?: ComponentChildren;
  icon?: typeof Inbox;
  /** A button or link that does it. */
  deed?: ComponentChildren;
}

export function EmptyState({ title, children, icon: Icon = Inbox, deed }: EmptyProps) {
  return (
    <div class="note">
      <Icon size={32} strokeWidth={1.5} aria-hidden="true" />
      <h2>{title}</h2>
      {children && <div>{typeof children === 'string' ? <p>{children}</p> : children}</div>}
      {deed}
    </div>
  );
}

/** What went wrong, with a way to try again. A refusal for lack of rights becomes `NoPermission`. */
export function ProblemNote({ problem, retry }: { problem: Problem; retry?: () => void }) {
  if (problem.isForbidden) return <NoPermission problem={problem} />;
  return (
    <div class="problem" role="alert">
      <CircleAlert size={20} aria-hidden="true" />
      <div>
        <strong>{problem.title}.</strong> {sentence(problem.detail)}
        {problem.requestId && problem.status >= 500 && (
          <span class="faint small"> Request {problem.requestId}</span>
        )}
      </div>
      {retry && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function NoPermission({ problem }: { problem?: Problem }) {
  return (
    <div class="note">
      <Lock size={32} strokeWidth={1.5} aria-hidden="true" />
      <h2>You may not see this</h2>
      <p>{problem ? sentence(problem.detail) : 'Your role here does not include it.'} An owner or admin can change that.</p>
    </div>
  );
}

interface Known<T> {
  value: T | undefined;
  problem: Problem | undefined;
  refresh: () => Promise<void> | void;
}

/** A resource in all its states: what is known, with what went wrong since above it. */
export function Shown<T>({ of, children, what }: { of: Known<T>; children: (value: T) => ComponentChildren; what?: string }) {
  const { value, problem, refresh } = of;
  if (value === undefined && !problem) return <Loading what={what} />;
  return (
    <>
      {problem && <ProblemNote problem={problem} retry={() => void refresh()} />}
      {value !== undefined && children(value)}
    </>
  );
}
