/**
 * Path patterns in the syntax of gitignore, as reservations are written: whether one covers a path.
 *
 * It walks both texts without going back further than the last wildcard, so that no pattern makes the page slow. A pattern
 * may be asked for, too: what covers it as if it were a path covers about all that it means, which is enough for a map.
 */

/** Whether a pattern covers a path, or a folder above it. */
export function covers(pattern: string, path: string): boolean {
  const body = pattern.replace(/\/$/, '');
  const isAnchored = body.includes('/');
  const wanted = body.replace(/^\//, '').split('/');
  const parts = path.replace(/^\//, '').split('/');
  if (!isAnchored) return parts.some((part) => nameFits(wanted[0] ?? '', part));
  return fits(wanted, parts);
}

/** Parts one by one; `**` stands for any number of them, and what is below a folder that fits is covered. */
function fits(wanted: string[], parts: string[]): boolean {
  let [at, part] = [0, 0];
  let [star, from] = [-1, 0];
  while (part < parts.length) {
    const want = wanted[at];
    if (at === wanted.length) return true;
    if (want === '**') {
      [star, from] = [at, part];
      at += 1;
      if (at === wanted.length) return true;
    } else if (nameFits(want ?? '', parts[part] ?? '')) {
      at += 1;
      part += 1;
    } else if (star >= 0) {
      from += 1;
      [at, part] = [star + 1, from];
    } else return false;
  }
  return at === wanted.length;
}

/** One name; `*`, `?`, sets and escaped characters. */
function nameFits(pattern: string, name: string): boolean {
  let [at, letter] = [0, 0];
  let [star, from] = [-1, 0];
  while (letter < name.length) {
    const step = pattern[at] === '*' ? undefined : stepOf(pattern, at);
    if (pattern[at] === '*') {
      [star, from] = [at, letter];
      at += 1;
    } else if (step?.fits(name[letter] ?? '')) {
      at = step.next;
      letter += 1;
    } else if (star >= 0) {
      from += 1;
      [at, letter] = [star + 1, from];
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at >= pattern.length;
}

interface Step {
  fits: (letter: string) => boolean;
  next: number;
}

function stepOf(pattern: string, at: number): Step | undefined {
  const letter = pattern[at];
  if (letter === undefined) return undefined;
  if (letter === '?') return { fits: () => true, next: at + 1 };
  if (letter === '\\') return { fits: (it) => it === pattern[at + 1], next: at + 2 };
  const end = letter === '[' ? pattern.indexOf(']', at + 2) : -1;
  if (end < 0) return { fits: (it) => it === letter, next: at + 1 };
  const inner = pattern.slice(at + 1, end);
  const isNot = inner.startsWith('!') || inner.startsWith('^');
  const set = isNot ? inner.slice(1) : inner;
  return { fits: (it) => inSet(set, it) !== isNot, next: end + 1 };
}

function inSet(set: string, letter: string): boolean {
  for (let at = 0; at < set.length; at++) {
    const [first = '', dash, last] = [set[at], set[at + 1], set[at + 2]];
    if (dash === '-' && last !== undefined) {
      if (first <= letter && letter <= last) return true;
      at += 2;
    } else if (first === letter) return true;
  }
  return false;
}

/** The folder that a pattern is about, up to `depth` parts; empty for the whole repository. */
export function folderOf(pattern: string, depth: number): string {
  const parts = pattern.replace(/^\//, '').replace(/\/$/, '/*').split('/');
  const folders = parts.slice(0, -1);
  const wild = folders.findIndex((part) => /[*?[]/.test(part));
  return (wild < 0 ? folders : folders.slice(0, wild)).slice(0, depth).join('/');
}
