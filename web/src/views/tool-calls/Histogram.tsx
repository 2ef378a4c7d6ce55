/** How long calls took, as bars; the same as a table for those who do not see them. */
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { count } from '../../parts';
import { isDark } from '../../shell/theme';
import type { Span } from './figures';

const HEIGHT_PX = 190;

const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const dataOf = (bins: readonly Span[]): uPlot.AlignedData => [bins.map((_, index) => index), bins.map(({ calls }) => calls)];

export function Histogram({ of }: { of: readonly Span[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const bins = useRef(of);
  bins.current = of;
  const [pointed, setPointed] = useState<number>();
  const dark = isDark.value;
  const marks = of.map(({ mark }) => mark).join();

  // Another theme or other bins make another picture; other numbers move its bars.
  useEffect(() => {
    const place = frame.current;
    if (!place) return;
    const made = (plot.current = new uPlot(optionsOf(place.clientWidth, bins, setPointed), dataOf(bins.current), place));
    const watcher = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height: HEIGHT_PX }));
    watcher.observe(place);
    return () => {
      watcher.disconnect();
      made.destroy();
    };
  }, [dark, marks]);
  useEffect(() => plot.current?.setData(dataOf(of)), [of]);

  const at = pointed === undefined ? undefined : of[pointed];
  return (
    <>
      <p class="faint small tool-calls-read" aria-hidden="true">
        {at ? <><strong>{at.label}</strong>: {count(at.calls, 'call')}</> : 'Number of calls, by the time they took at most'}
      </p>
      <div class="tool-calls-plot" ref={frame} role="img" aria-label={told(of)} />
      <details class="tool-calls-alternative">
        <summary>As a table</summary>
        <table class="table tool-calls-table">
          <thead><tr><th scope="col">Time taken</th><th scope="col" class="end">Calls</th></tr></thead>
          <tbody>
            {of.map(({ label, calls }) => <tr key={label}><th scope="row">{label}</th><td class="end">{calls.toLocaleString('en')}</td></tr>)}
          </tbody>
        </table>
      </details>
    </>
  );
}

/** The picture in a sentence. */
function told(of: readonly Span[]): string {
  const most = of.reduce<Span | undefined>((one, other) => (one && one.calls >= other.calls ? one : other), undefined);
  const all = of.reduce((sum, { calls }) => sum + calls, 0);
  return most ? `Bars of how long ${count(all, 'call')} took; most of them, ${most.calls.toLocaleString('en')}, ${most.label}` : 'No calls';
}

function optionsOf(width: number, bins: { current: readonly Span[] }, point: (index: number | undefined) => void): uPlot.Options {
  const ink = token('--faint');
  const line = token('--line');
  const font = `12px ${token('--sans')}`;
  const length = bins.current.length;
  const labels = (_: uPlot, splits: number[]) => splits.map((at) => bins.current[Math.round(at)]?.mark ?? '');
  return {
    width,
    height: HEIGHT_PX,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { time: false, range: [-0.6, length - 0.4] }, y: { range: (_, __, max) => [0, Math.max(4, max * 1.08)] } },
    axes: [
      // As many marks as there is room for.
      { stroke: ink, font, size: 32, grid: { show: false }, ticks: { show: false }, values: labels,
        splits: (self) => {
          const step = Math.max(1, Math.ceil((length * 52) / Math.max(self.width, 1)));
          return bins.current.map((_, index) => index).filter((index) => index % step === 0);
        } },
      { stroke: ink, font, size: 46, grid: { stroke: line, width: 1 }, ticks: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000] },
    ],
    series: [{}, {
      fill: token('--series-1'), stroke: token('--series-1'), width: 0, points: { show: false },
      paths: uPlot.paths.bars?.({ size: [0.82, 64], radius: 0.08 }),
    }],
    hooks: { setCursor: [(self) => point(self.cursor.idx ?? undefined)] },
  };
}
