/** A difference between two revisions, by the sections it is in. */
import type { Section } from './blocks';

export interface Line {
  sign: '+' | '-' | ' ' | '…';
  text: string;
  /** Where it stands now, or stood before for one that went. */
  number?: number;
}

export interface Change {
  /** Nothing for what stands above the first heading. */
  title?: string;
  anchor?: string;
  lines: Line[];
  added: number;
  removed: number;
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;

/** From the unified format, and the headings on both sides. */
export function bySection(diff: string, before: readonly Section[], after: readonly Section[]): Change[] {
  const changes: Change[] = [];
  let [oldLine, newLine, isInHunk] = [0, 0, false];
  const add = (section: Section | undefined, line: Line) => {
    let change = changes.at(-1);
    if (!change || change.anchor !== section?.anchor) {
      change = { title: section?.title, anchor: section?.anchor, lines: [], added: 0, removed: 0 };
      changes.push(change);
    }
    if (line.sign === '+') change.added++;
    if (line.sign === '-') change.removed++;
    change.lines.push(line);
  };
  for (const row of diff.split('\n')) {
    const hunk = HUNK.exec(row);
    if (hunk) {
      [oldLine, newLine] = [Number(hunk[1]), Number(hunk[2])];
      const last = changes.at(-1);
      if (isInHunk && last && at(after, newLine)?.anchor === last.anchor) last.lines.push({ sign: '…', text: '' });
      isInHunk = true;
    } else if (!isInHunk) continue;
    else if (row.startsWith('-')) add(at(before, oldLine), { sign: '-', text: row.slice(1), number: oldLine++ });
    else if (row.startsWith('+')) add(at(after, newLine), { sign: '+', text: row.slice(1), number: newLine++ });
    else if (row.startsWith(' ')) {
      add(at(after, newLine), { sign: ' ', text: row.slice(1), number: newLine++ });
      oldLine++;
    }
  }
  // Sections that only lend their lines as context have not changed.
  return changes.filter(({ added, removed }) => added + removed > 0);
}

/** The section that a line is in. */
function at(sections: readonly Section[], line: number): Section | undefined {
  let found: Section | undefined;
  for (const section of sections) if (section.line <= line && section.line >= (found?.line ?? 0)) found = section;
  return found;
}
