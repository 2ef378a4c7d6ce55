/** How far back a list goes: a choice of spans up to now. */
const SPANS: Record<string, { label: string; ms: number }> = {
  '15m': { label: 'Last 15 minutes', ms: 900_000 },
  '1h': { label: 'Last hour', ms: 3_600_000 },
  '24h': { label: 'Last 24 hours', ms: 86_400_000 },
  '7d': { label: 'Last 7 days', ms: 604_800_000 },
};

/** The moment at which a span begins; nothing for any time. */
export function beginOf(span: string | undefined, now = Date.now()): string | undefined {
  const known = span ? SPANS[span] : undefined;
  return known && new Date(now - known.ms).toISOString();
}

export function Since({ value, onChange }: { value: string | undefined; onChange: (span: string) => void }) {
  return (
    <select class="select" aria-label="Since when" value={value ?? ''} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">Any time</option>
      {Object.entries(SPANS).map(([key, { label }]) => <option key={key} value={key}>{label}</option>)}
    </select>
  );
}
