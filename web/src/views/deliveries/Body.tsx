/**
 * A body, for reading: as a tree whose branches open, or as it came. Everything in it is from outside and shown as text;
 * what is large is shown piece by piece, so that the page stays quick.
 */
import { useMemo, useState } from 'preact/hooks';
import { CopyButton, count } from '../../parts';
import { Exact, entriesOf, isBranch, parse, shape, type Json } from './json';
import { size } from './hosts';
import './body.css';

/** Entries of a branch, and characters of a text, that are shown before one asks for more. */
const ENTRIES = 100;
const CHARACTERS = 400;
const RAW_CHARACTERS = 50_000;
/** Below this everything is open at once. */
const SMALL_BYTES = 1_500;

interface BodyProps {
  text: string;
  isForm: boolean;
  bytes: number;
}

export function Body({ text, isForm, bytes }: BodyProps) {
  const json = useMemo(() => parse(text, isForm), [text, isForm]);
  const [wantsRaw, setRaw] = useState(false);
  const isRaw = wantsRaw || json === undefined;
  return (
    <div class="deliveries-part">
      <div class="deliveries-bar">
        <h3>Body</h3>
        <span class="faint small number">{size(bytes)}</span>
        <span class="deliveries-bar-end">
          {json !== undefined && (
            <span class="chips" role="group" aria-label="Show the body">
              <button type="button" class="chip" aria-pressed={!isRaw} onClick={() => setRaw(false)}>Formatted</button>
              <button type="button" class="chip" aria-pressed={isRaw} onClick={() => setRaw(true)}>As it came</button>
            </span>
          )}
          <CopyButton text={text} label="Copy the body" />
        </span>
      </div>
      {text === '' ? <p class="faint">It came with an empty body.</p> : isRaw ? <Raw text={text} /> : (
        <div class="deliveries-json" role="region" aria-label="Body, formatted" tabIndex={0}>
          <Value value={json} depth={0} isSmall={bytes <= SMALL_BYTES} />
        </div>
      )}
    </div>
  );
}

function Raw({ text }: { text: string }) {
  const [shown, setShown] = useState(RAW_CHARACTERS);
  return (
    <>
      <pre class="deliveries-json deliveries-raw" role="region" aria-label="Body, as it came" tabIndex={0}>{text.slice(0, shown)}</pre>
      {text.length > shown && (
        <button type="button" class="button" onClick={() => setShown(shown + 4 * RAW_CHARACTERS)}>
          Show more of it ({count(text.length - shown, 'character')} left)
        </button>
      )}
    </>
  );
}

interface ValueProps {
  name?: string;
  value: Json;
  depth: number;
  isSmall: boolean;
}

/** A value with its name; a branch opens and closes. Only what is open is in the document, however deep it nests. */
function Value({ name, value, depth, isSmall }: ValueProps) {
  const [isOpen, setOpen] = useState(depth === 0 || isSmall);
  const key = name !== undefined && <span class="json-key">{name}</span>;
  if (!isBranch(value)) return <div class="json-leaf">{key}<Leaf value={value} /></div>;
  if (depth === 0) return <Entries value={value} depth={depth} isSmall={isSmall} />;
  return (
    <details class="json-branch" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{key}<span class="json-shape">{shape(value)}</span>{!isOpen && <Hint value={value} />}</summary>
      {isOpen && <Entries value={value} depth={depth} isSmall={isSmall} />}
    </details>
  );
}

function Entries({ value, depth, isSmall }: { value: Json[] | { [name: string]: Json }; depth: number; isSmall: boolean }) {
  const [shown, setShown] = useState(ENTRIES);
  const entries = useMemo(() => entriesOf(value), [value]);
  return (
    <div class="json-entries">
      {entries.length === 0 && <span class="json-shape">{shape(value)}</span>}
      {entries.slice(0, shown).map(([name, one]) => <Value key={name} name={name} value={one} depth={depth + 1} isSmall={isSmall} />)}
      {entries.length > shown && (
        <button type="button" class="button" onClick={() => setShown(shown + 10 * ENTRIES)}>
          Show more ({(entries.length - shown).toLocaleString('en')} left)
        </button>
      )}
    </div>
  );
}

/** What a closed branch is about, where it has a name for it. */
const NAMES = ['full_name', 'path_with_namespace', 'name', 'login', 'username', 'title', 'message', 'ref', 'id'];

function Hint({ value }: { value: Json[] | { [name: string]: Json } }) {
  if (Array.isArray(value)) return null;
  const known = NAMES.map((name) => value[name]).find((one) => typeof one === 'string' || typeof one === 'number');
  return known === undefined ? null : <span class="json-hint">{String(known).slice(0, 80)}</span>;
}

function Leaf({ value }: { value: null | boolean | number | string | Exact }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== 'string') {
    return <span class={value === null ? 'json-null' : 'json-number'}>{value instanceof Exact ? value.digits : String(value)}</span>;
  }
  const isCut = value.length > CHARACTERS && !isWhole;
  return (
    <span class="json-text">
      "{isCut ? value.slice(0, CHARACTERS) : value}{!isCut && '"'}
      {isCut && (
        <button type="button" class="json-more" onClick={() => setWhole(true)}>… {count(value.length - CHARACTERS, 'more character')}</button>
      )}
    </span>
  );
}
