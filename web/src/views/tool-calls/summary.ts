/** What the service sums up of the latest calls. */
import { api, need, type Schema } from '../../api/client';

export type ToolFigures = Pick<Schema<'ToolNumbers'>, 'tool' | 'calls' | 'failures' | 'rateLimited' | 'p50Us' | 'p95Us' | 'p99Us'>;
/** Calls that took up to so long, and longer than the bin before; without a bound, all that took longer. */
export type Bin = Schema<'ToolCallBar'>;
export type Bucket = Schema<'BucketLevel'>;
export type Summary = Schema<'ToolCallSummary'>;

export const readSummary = (project_id: string, signal: AbortSignal): Promise<Summary> =>
  need(api.GET('/api/v1/projects/{project_id}/tool-calls/summary', { params: { path: { project_id } }, signal }));
