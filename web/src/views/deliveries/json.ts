/** A body as it can be looked at: parsed where it is JSON, also inside of a form, with whole numbers as they came. */

/** A number that JavaScript would round, such as a large id. */
export class Exact {
  constructor(readonly digits: string) {}
}

export type Json = null | boolean | number | string | Exact | Json[] | { [name: string]: Json };

/** Beyond this a reviver costs too much; large numbers are then rounded, and right in the text as it came. */
const EXACT_UP_TO = 1_000_000;

/** What the body says; nothing where it is no JSON. */
export function parse(text: string, isForm: boolean): Json | undefined {
  const json = isForm ? new URLSearchParams(text).get('payload') : text;
  if (json === null) return undefined;
  try {
    return JSON.parse(json, json.length <= EXACT_UP_TO ? exact : undefined) as Json;
  } catch {
    return undefined;
  }
}

/** Newer browsers tell a reviver the digits. */
function exact(this: unknown, _: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
  return context?.source ? new Exact(context.source) : value;
}

export const isBranch = (value: Json): value is Json[] | { [name: string]: Json } =>
  typeof value === 'object' && value !== null && !(value instanceof Exact);

export const entriesOf = (value: Json[] | { [name: string]: Json }): [string, Json][] =>
  Array.isArray(value) ? value.map((one, index) => [String(index), one]) : Object.entries(value);

/** A branch that is closed, in a word: `{ 12 }`, `[ 3 ]`. */
export const shape = (value: Json[] | { [name: string]: Json }): string => {
  const length = Array.isArray(value) ? value.length : Object.keys(value).length;
  const [begin, end] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return length === 0 ? `${begin} ${end}` : `${begin} ${length} ${end}`;
};
