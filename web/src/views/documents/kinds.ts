/** What documents are called, by their kind, and how a path is said in short. */
import { BookOpen, Boxes, ClipboardList, FileText, ShieldCheck } from 'lucide-preact';
import type { Schema } from '../../api/client';

export type Artifact = Schema<'Artifact'>;
export type Kind = Schema<'ArtifactKind'>;

interface Words {
  key: Kind;
  one: string;
  many: string;
  /** After a number. */
  counted: string;
  icon: typeof FileText;
}

/** In the order in which they build on each other. */
export const KINDS: Words[] = [
  { key: 'prd', one: 'requirements', many: 'Requirements', counted: 'requirements', icon: ClipboardList },
  { key: 'architecture', one: 'architecture', many: 'Architecture', counted: 'architectures', icon: Boxes },
  { key: 'story', one: 'story', many: 'Stories', counted: 'stories', icon: BookOpen },
  { key: 'qa', one: 'QA', many: 'QA', counted: 'QA files', icon: ShieldCheck },
  { key: 'other', one: 'other', many: 'Other', counted: 'others', icon: FileText },
];

const OTHER: Words = { key: 'other', one: 'other', many: 'Other', counted: 'others', icon: FileText };

/** A kind of a newer service is one of the others. */
export const kindOf = (kind: string | null | undefined): Words => KINDS.find(({ key }) => key === kind) ?? OTHER;

/** The file's name without folder and ending. */
export function fileName(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return file.replace(/\.(md|markdown|mdx|ya?ml|txt|json)$/i, '') || file;
}

/** `2.0` as `v2.0`, and what says `v2.0` or `final` already as it is. */
export const versionWords = (version: string): string => (/^\d/.test(version) ? `v${version}` : version);
