/** What the service sums up of the latest calls, where it does so. */
import type { Client } from 'openapi-fetch';
import { api, need } from '../../api/client';
import { Problem } from '../../api/problem';

export interface ToolFigures {
  tool: string;
  calls: number;
  failures: number;
  rateLimited: number;
  p50Us: number;
  p95Us: number;
  p99Us: number;
}

/** Calls that took up to so long, and longer than the bin before; without a bound, all that took longer. */
export interface Bin {
  upToUs: number | null;
  calls: number;
}

export interface Bucket {
  principalId: string;
  name: string;
  tool: string;
  tokens: number;
  capacity: number;
}

export interface Summary {
  windowSeconds: number;
  calls: number;
  byTool: ToolFigures[];
  histogram: Bin[];
  buckets: Bucket[];
}

interface SummaryPaths {
  '/api/v1/projects/{project_id}/tool-calls/summary': {
    get: {
      parameters: { path: { project_id: string } };
      responses: { 200: { content: { 'application/json': Summary } } };
    };
  };
}

/** The same client, with a route that the specification may not have yet. */
const client = api as unknown as Client<SummaryPaths>;

/** Nothing where the service does not sum up: what is listed has to do. */
export async function readSummary(project_id: string, signal: AbortSignal): Promise<Summary | null> {
  try {
    const params = { path: { project_id } };
    return await need<Summary>(client.GET('/api/v1/projects/{project_id}/tool-calls/summary', { params, signal }));
  } catch (thrown) {
    if (thrown instanceof Problem && (thrown.isMissing || thrown.status === 400)) return null;
    throw thrown;
  }
}
