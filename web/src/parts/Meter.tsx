/** How much of something there is, of how much: a bar with its number in words for those who do not see it. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Tone } from './Badge';

export function Meter({ value, max = 100, label, tone }: { value: number; max?: number; label: string; tone?: Tone }) {
  const fill = useRef<HTMLDivElement>(null);
  const share = max > 0 ? Math.min(Math.max(value / max, 0), 1) : 0;
  useLayoutEffect(() => {
    if (fill.current) fill.current.style.width = `${share * 100}%`;
  }, [share]);
  return (
    <div class="meter" data-tone={tone} role="meter" aria-label={label} aria-valuenow={value} aria-valuemin={0} aria-valuemax={max}>
      <div class="meter-fill" ref={fill} />
    </div>
  );
}
