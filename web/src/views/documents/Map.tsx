/**
 * The map: documents as boxes, with lines to what they build on.
 *
 * Boxes are links in their own order, so that it works by keyboard alone: one tab stop, arrows go from box to box.
 * What is wrong with a line stands on it in words, besides its colour and its dashes.
 */
import type { ComponentChildren } from 'preact';
import { useId, useMemo, useRef, useState } from 'preact/hooks';
import { Maximize, Minus, Plus } from 'lucide-preact';
import { count } from '../../parts';
import { Marker, Place } from './Marker';
import { Members } from './Members';
import { BOX_HEIGHT, BOX_WIDTH, beside, place as arrange, type Point } from './layout';
import { draw, type Box, type Conflict, type Graph, type Link } from './graph';
import { fileName, kindOf, versionWords } from './kinds';
import { usePlace } from './place';
import { useViewport } from './viewport';

interface MapProps {
  of: Graph;
  conflicts: readonly Conflict[] | undefined;
  label: string;
  /** The path of the document it is about. */
  focus?: string;
  head?: ComponentChildren;
}

/** Lines beyond which only what is wrong is written on them. */
const WORDY = 30;

export function Map({ of, conflicts, label, focus, head }: MapProps) {
  const picture = useMemo(() => draw(of, conflicts, focus), [of, conflicts, focus]);
  const isWordy = picture.links.length <= WORDY;
  const said = (link: Link) => words(link, isWordy);
  const placed = useMemo(() => arrange(picture, said), [picture]);
  const first = focus ?? leftmost(placed.boxes);
  const view = useViewport(placed.width, placed.height, placed.boxes.get(first), `${focus ?? ''} ${label}`);
  const [stop, setStop] = useState(first);
  const [near, setNear] = useState<string>();
  const [opened, setOpened] = useState<Box>();
  const current = placed.boxes.has(stop) ? stop : first;
  const hint = useId();
  const ways = useMemo(() => troubles(picture.links), [picture]);
  const elements = useRef(new globalThis.Map<string, HTMLElement>()).current;

  const keys = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === '+' || event.key === '=') view.zoom(1.25);
    else if (event.key === '-') view.zoom(0.8);
    else if (event.key === '0') view.fit();
    else {
      const next = event.key === 'Home' ? first : beside(placed.boxes, current, event.key);
      if (!next) return;
      setStop(next);
      elements.get(next)?.focus({ preventScroll: true });
    }
    event.preventDefault();
  };
  const focused = (key: string) => {
    const at = placed.boxes.get(key);
    setStop(key);
    setNear(key);
    if (at) view.reveal(at.x - BOX_WIDTH / 2, at.y - BOX_HEIGHT / 2, BOX_WIDTH, BOX_HEIGHT);
  };
  const isNear = ({ from, to }: Link) => near === from || near === to;

  return (
    <div class="docmap">
      <div class="docmap-head">
        <div>{head}</div>
        <div class="docmap-deeds" role="group" aria-label="Size of the map">
          <button type="button" class="button square" aria-label="Smaller" onClick={() => view.zoom(0.8)}><Minus size={16} aria-hidden="true" /></button>
          <span class="small number faint docmap-scale">{view.scale} %</span>
          <button type="button" class="button square" aria-label="Larger" onClick={() => view.zoom(1.25)}><Plus size={16} aria-hidden="true" /></button>
          <button type="button" class="button square" aria-label="Show all of it" title="Show all of it" onClick={view.fit}><Maximize size={16} aria-hidden="true" /></button>
        </div>
      </div>
      <div class="docmap-frame" ref={view.frame} role="group" aria-label={label} aria-describedby={hint} onKeyDown={keys}
        onClickCapture={(event) => { if (event.detail > 0 && view.wasDragged()) { event.preventDefault(); event.stopPropagation(); } }}
        onDragStart={(event) => event.preventDefault()}>
        <div class="docmap-layer" ref={view.layer} data-near={near !== undefined}>
          <svg class="docmap-lines" width={placed.width} height={placed.height} aria-hidden="true">
            <defs>
              {(['fine', 'settled', 'stale', 'broken'] as const).map((mark) => (
                <marker key={mark} id={`${hint}-${mark}`} class="docmap-arrow" data-mark={mark} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
                  <path d="M0 0.5L7.5 4L0 7.5Z" />
                </marker>
              ))}
            </defs>
            {picture.links.map((link) => (
              <path key={link.key} class="docmap-line" data-mark={link.mark} data-near={isNear(link)} d={placed.links.get(link.key)?.path ?? ''} marker-start={`url(#${hint}-${link.mark})`} />
            ))}
          </svg>
          {picture.links.map((link) => {
            const text = said(link);
            return text && (
              <Place key={link.key} class="docmap-label" at={placed.links.get(link.key)?.label} data-mark={link.mark} data-near={isNear(link)} title={link.why} aria-hidden="true">
                {text}
              </Place>
            );
          })}
          {picture.boxes.map((box) => (
            <Place key={box.key} class="docmap-place" at={placed.boxes.get(box.key)} data-near={near === undefined || near === box.key || picture.links.some((link) => isNear(link) && (link.from === box.key || link.to === box.key))}>
              <Node of={box} isFocus={box.key === focus} isStop={box.key === current} trouble={ways.get(box.key)} open={setOpened} on={focused}
                over={setNear} hold={(element) => { if (element) elements.set(box.key, element); else elements.delete(box.key); }} />
            </Place>
          ))}
        </div>
      </div>
      <div class="docmap-foot small faint">
        <ul class="docmap-legend" aria-label="Legend">
          <li><Marker mark="fine" /> builds on, in this version</li>
          <li><Marker mark="stale" /> other version there</li>
          <li><Marker mark="broken" /> not there</li>
        </ul>
        <p id={hint}>Drag to move. By keyboard: arrows go from box to box, + and − change the size.</p>
      </div>
      {opened && <Members of={opened} onClose={() => setOpened(undefined)} />}
    </div>
  );
}

/** Where the map begins: what builds on nothing else. */
function leftmost(boxes: ReadonlyMap<string, Point>): string {
  let found = '';
  for (const [key, { x, y }] of boxes) {
    const best = boxes.get(found);
    if (!best || x < best.x || (x === best.x && y < best.y)) found = key;
  }
  return found;
}

/** What stands on a line. */
function words({ mark, wanted, found, count: number }: Link, isWordy: boolean): string {
  const want = wanted ? versionWords(wanted) : '';
  if (mark === 'broken') return number > 1 ? `${number} not there` : 'not there';
  if (mark === 'stale') return number > 1 ? `${number}, some stale` : want && found ? `${want} ≠ ${versionWords(found)}` : 'stale';
  if (!isWordy) return '';
  if (mark === 'settled') return want && found ? `${want}, now ${versionWords(found)}` : want;
  return number > 1 ? `${number} × ${want}`.replace(/ × $/, '') : want;
}

/** What is wrong with what each builds on, in words. */
function troubles(links: readonly Link[]): globalThis.Map<string, string> {
  const said = new globalThis.Map<string, string[]>();
  for (const { from, to, mark, wanted, found } of links) {
    if (mark !== 'broken' && mark !== 'stale') continue;
    const what = mark === 'broken' ? `${fileName(to)} is not there` : `wants ${fileName(to)} ${wanted ?? ''}${found ? `, there is ${found}` : ''}`;
    said.set(from, [...(said.get(from) ?? []), what]);
  }
  return new globalThis.Map([...said].map(([key, all]) => [key, all.join('; ')]));
}

interface NodeProps {
  of: Box;
  isFocus: boolean;
  isStop: boolean;
  trouble?: string;
  open: (box: Box) => void;
  on: (key: string) => void;
  over: (key: string | undefined) => void;
  hold: (element: HTMLElement | null) => void;
}

function Node({ of: box, isFocus, isStop, trouble, open, on, over, hold }: NodeProps) {
  const { place, link } = usePlace();
  const { icon: Icon, one, counted } = kindOf(box.kind);
  const [only] = box.members;
  const isStack = box.members.length > 1;
  const mark = box.isMissing ? 'not there' : box.mark === 'broken' ? 'broken' : box.mark === 'stale' ? 'stale' : '';
  const name = isStack ? `${box.members.length.toLocaleString('en')} ${counted}` : fileName(only?.path ?? '');
  const version = !isStack && only?.version ? versionWords(only.version) : '';
  const shared = {
    class: 'docmap-box',
    'data-kind': box.kind,
    'data-mark': box.isMissing ? 'missing' : box.mark,
    'data-focus': isFocus,
    'data-stack': isStack,
    tabIndex: isStop ? 0 : -1,
    ref: hold,
    title: isStack ? `${count(box.members.length, 'document')} alike: open the list` : [only?.path, trouble].filter(Boolean).join('\n'),
    onFocus: () => on(box.key),
    onBlur: () => over(undefined),
    onPointerEnter: () => over(box.key),
    onPointerLeave: () => over(undefined),
  };
  const content = (
    <>
      <span class="docmap-name"><Icon size={15} aria-hidden="true" /><span class="cut">{name}</span></span>
      <span class="docmap-facts small">
        <span class="cut">{isStack ? 'open the list' : one}</span>
        {version && <span class="number">{version}</span>}
        {mark && <span class="docmap-mark" data-mark={mark === 'stale' ? 'stale' : 'broken'}>{mark}</span>}
      </span>
      {trouble && <span class="unseen">, {trouble}</span>}
    </>
  );
  if (!isStack && only?.id) {
    const href = link({ document: only.id, show: place.document ? 'map' : 'text', hops: place.hops });
    return <a {...shared} href={href} aria-current={isFocus ? 'page' : undefined}>{content}</a>;
  }
  return <button {...shared} type="button" aria-disabled={!isStack || undefined} onClick={() => { if (isStack) open(box); }}>{content}</button>;
}

