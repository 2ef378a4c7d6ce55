/** What an agent may do: the three profiles of the tools, each with the scopes that its tools ask for and no other. */
import type { Schema } from '../../api/client';

type Scope = Schema<'Scope'>;
export type Profile = 'read' | 'core' | 'all';

const LOOKS: Scope[] = ['projects.read', 'status.read', 'events.read', 'artifacts.read', 'work.read', 'conflicts.read', 'gates.read', 'runs.read', 'agents.read'];
const CORE: Scope[] = ['projects.read', 'status.read', 'events.read', 'artifacts.read', 'work.read', 'work.write'];
const WORKS: Scope[] = ['artifacts.write', 'work.write', 'conflicts.write', 'gates.write', 'runs.write', 'agents.write'];

interface About {
  title: string;
  about: string;
  /** What it can do, as a person would say it. */
  can: string[];
  cannot: string[];
  role: Schema<'Role'>;
  scopes: Scope[];
}

export const profiles: Record<Profile, About> = {
  read: {
    title: 'Read only',
    about: 'Sees everything about the projects and changes nothing. For an assistant that answers questions.',
    can: ['see projects and how they stand', 'read documents, work, gates, runs and conflicts', 'follow what changes'],
    cannot: ['claim work or reserve files', 'manage projects, people or keys'],
    role: 'viewer',
    scopes: LOOKS,
  },
  core: {
    title: 'Core',
    about: 'The eight tools that agents use most: find work, claim it, say how it goes, finish it. A short list costs few tokens.',
    can: ['see projects, changes and documents', 'claim work, say how it goes, and finish it'],
    cannot: ['reserve files, settle conflicts or pass reviews', 'manage projects, people or keys'],
    role: 'member',
    scopes: CORE,
  },
  all: {
    title: 'All tools',
    about: 'Everything that an agent has a tool for. For agents that work beside others on the same repository.',
    can: ['do all that Core can', 'reserve files before it edits them, and see who else does', 'settle conflicts, review gates, tell of runs'],
    cannot: ['manage projects, people or keys'],
    role: 'member',
    scopes: [...LOOKS, ...WORKS],
  },
};

/** The address at which a client finds the tools of a profile. */
export const mcpUrl = (origin: string, profile: Profile): string => `${origin}/mcp${profile === 'all' ? '' : `?profile=${profile}`}`;

/** Roles that projects of the BMAD method know, and work may be meant for. */
export const AGENT_ROLES = ['analyst', 'pm', 'architect', 'scrum_master', 'developer', 'qa'];
