/** What events are about: the filters of the timeline, and the mark of each row. */
import { Bot, FileText, FolderLock, GitBranch, Inbox, ListTodo, Play, Settings, ShieldCheck, TriangleAlert } from 'lucide-preact';

export interface Topic {
  key: string;
  title: string;
  icon: typeof Bot;
  has: (event: string) => boolean;
}

const begins = (...starts: string[]) => (event: string) => starts.some((start) => event.startsWith(start));

export const topics: Topic[] = [
  { key: 'code', title: 'Code', icon: GitBranch, has: begins('push', 'pull_request_', 'issue_', 'release_') },
  { key: 'documents', title: 'Documents', icon: FileText, has: begins('artifact_') },
  { key: 'work', title: 'Work', icon: ListTodo, has: begins('work_') },
  { key: 'agents', title: 'Agents', icon: Bot, has: begins('agent_') },
  { key: 'paths', title: 'Reservations', icon: FolderLock, has: begins('paths_') },
  { key: 'conflicts', title: 'Conflicts', icon: TriangleAlert, has: begins('conflict_') },
  { key: 'gates', title: 'Gates', icon: ShieldCheck, has: begins('gate_', 'phase_') },
  { key: 'runs', title: 'Runs', icon: Play, has: begins('run_') },
  { key: 'deliveries', title: 'Deliveries', icon: Inbox, has: begins('delivery_') },
];

const OTHER: Topic = { key: 'other', title: 'Project', icon: Settings, has: () => true };

export const topicOf = (event: string): Topic => topics.find((topic) => topic.has(event)) ?? OTHER;
