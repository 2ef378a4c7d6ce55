/**
 * A document's text in blocks that a page can show: headings, paragraphs, lists, tables, quotes and code.
 *
 * It is no Markdown renderer. Whatever it does not know stays the text that it is, and nothing of it becomes markup.
 */
import type { Schema } from '../../api/client';

export type Section = Schema<'Section'>;

export type Block =
  | { kind: 'paragraph' | 'quote' | 'code' | 'front' | 'heading'; text: string }
  | { kind: 'list'; isOrdered: boolean; items: Item[] }
  | { kind: 'table'; rows: string[][] }
  | { kind: 'rule' };

export interface Item {
  text: string;
  depth: number;
  /** Of a task: whether it is done. */
  isDone?: boolean;
}

/** A heading and what stands below it, up to the next one; the first part may have no heading. */
export interface Part {
  section?: Section;
  blocks: Block[];
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const TASK = /^\[([ xX])\]\s+/;
/** Headings beyond those that the service lists. */
const HEADING = /^\s{0,3}#{1,6}\s+(.*)$/;
const FENCE = /^\s{0,3}(```+|~~~+)/;

export function parts(text: string, sections: readonly Section[], path: string): Part[] {
  if (/\.(ya?ml|json|toml)$/i.test(path)) return [{ blocks: [{ kind: 'code', text: text.trimEnd() }] }];
  const lines = text.split(/\r?\n/);
  const begin = [...sections].sort((one, other) => one.line - other.line);
  const found: Part[] = [];
  const before = lines.slice(0, (begin[0]?.line ?? lines.length + 1) - 1);
  const first = blocks(before, true);
  if (first.length > 0) found.push({ blocks: first });
  begin.forEach((section, at) => {
    const end = (begin[at + 1]?.line ?? lines.length + 1) - 1;
    const body = lines.slice(section.line, end);
    // A heading may be underlined instead of marked.
    if (/^\s{0,3}(=+|-+)\s*$/.test(body[0] ?? '') && !/^\s{0,3}#/.test(lines[section.line - 1] ?? '')) body.shift();
    found.push({ section, blocks: blocks(body, false) });
  });
  return found;
}

export function blocks(lines: readonly string[], mayHaveFront: boolean): Block[] {
  const found: Block[] = [];
  let at = 0;
  const take = (is: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && is(lines[at] ?? '')) at++;
    return lines.slice(from, at);
  };
  if (mayHaveFront && lines[0]?.trim() === '---') {
    const end = lines.findIndex((line, index) => index > 0 && /^(---|\.\.\.)\s*$/.test(line));
    if (end > 0) {
      found.push({ kind: 'front', text: lines.slice(1, end).join('\n') });
      at = end + 1;
    }
  }
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const fence = FENCE.exec(line)?.[1];
    if (line.trim() === '') at++;
    else if (fence) {
      at++;
      const body = take((line) => !line.trim().startsWith(fence));
      at++;
      found.push({ kind: 'code', text: body.join('\n') });
    } else if (HEADING.test(line)) {
      at++;
      found.push({ kind: 'heading', text: HEADING.exec(line)?.[1] ?? '' });
    } else if (/^\s{0,3}>/.test(line)) {
      const body = take((line) => /^\s{0,3}>/.test(line));
      found.push({ kind: 'quote', text: body.map((line) => line.replace(/^\s*>\s?/, '')).join('\n') });
    } else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(line)) {
      at++;
      found.push({ kind: 'rule' });
    } else if (ITEM.test(line)) found.push(list(take((line) => ITEM.test(line) || /^\s{2,}\S/.test(line))));
    else if (/^\s*\|.*\|\s*$/.test(line)) {
      const rows = take((line) => /^\s*\|.*\|\s*$/.test(line)).filter((line) => !/^[\s|:-]+$/.test(line));
      found.push({ kind: 'table', rows: rows.map(cells) });
    } else if (/^( {4}|\t)/.test(line)) {
      found.push({ kind: 'code', text: take((line) => /^( {4}|\t)/.test(line)).map((line) => line.replace(/^( {4}|\t)/, '')).join('\n') });
    } else {
      // Whatever the line is, it is taken: this ends.
      const begun = at++;
      take((line) => line.trim() !== '' && !FENCE.test(line) && !ITEM.test(line) && !HEADING.test(line) && !/^\s{0,3}>/.test(line));
      found.push({ kind: 'paragraph', text: lines.slice(begun, at).map((line) => line.trim()).join('\n') });
    }
  }
  return found;
}

function list(lines: string[]): Block {
  const items: Item[] = [];
  for (const line of lines) {
    const [, indent = '', , rest = ''] = ITEM.exec(line) ?? [];
    const last = items.at(-1);
    if (!ITEM.test(line) && last) {
      last.text += ` ${line.trim()}`;
      continue;
    }
    const done = TASK.exec(rest)?.[1];
    const depth = Math.min(Math.floor(indent.replaceAll('\t', '    ').length / 2), 4);
    items.push({ text: rest.replace(TASK, ''), depth, isDone: done === undefined ? undefined : done !== ' ' });
  }
  return { kind: 'list', isOrdered: /^\s*\d/.test(lines[0] ?? ''), items };
}

const cells = (line: string): string[] =>
  line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));

export type Span = { kind: 'text' | 'code' | 'strong'; text: string } | { kind: 'link'; text: string; url: string };

const SPANS = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\[([^\]\n]+)\]\(([^()\s]+)\)/g;

/** What stands within a line. Links lead to the web alone; others are the words they show. */
export function spans(text: string): Span[] {
  const found: Span[] = [];
  let last = 0;
  for (const match of text.matchAll(SPANS)) {
    if (match.index > last) found.push({ kind: 'text', text: text.slice(last, match.index) });
    const [, code, strong, label, url] = match;
    if (code !== undefined) found.push({ kind: 'code', text: code });
    else if (strong !== undefined) found.push({ kind: 'strong', text: strong });
    else if (label !== undefined && url !== undefined && /^https?:\/\//i.test(url)) found.push({ kind: 'link', text: label, url });
    else found.push({ kind: 'text', text: label ?? match[0] });
    last = match.index + match[0].length;
  }
  if (last < text.length) found.push({ kind: 'text', text: text.slice(last) });
  return found;
}
