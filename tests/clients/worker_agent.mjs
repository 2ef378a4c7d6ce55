// A worker on the package `@modelcontextprotocol/client`: claims the next item, says what it is doing, finishes it,
// until nothing is ready.
//
// Its environment says where it works: TRACKSIDE_MCP_URL, TRACKSIDE_API_KEY, TRACKSIDE_PROJECT_ID. It prints each claim
// as a line of JSON.
//
// With IS_LED it does what somebody tells it to: each line that it reads is a tool and its arguments, as in
// `["list_work", {}]`, and it prints whether that was done, and what was answered, as a line of JSON.

import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const { TRACKSIDE_MCP_URL: url, TRACKSIDE_API_KEY: key, TRACKSIDE_PROJECT_ID: projectId } = process.env;
const headers = { Authorization: `Bearer ${key}` };
const client = new Client({ name: 'worker', version: '1' }, { versionNegotiation: { mode: 'auto' } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

async function call(name, args) {
  const { isError, structuredContent } = await client.callTool({ name, arguments: { projectId, ...args } });
  return { isDone: !isError, answer: structuredContent };
}

async function get(name, args) {
  const { isDone, answer } = await call(name, args);
  if (!isDone) throw new Error(`${name}: ${JSON.stringify(answer)}`);
  return answer;
}

async function work() {
  for (;;) {
    const { isDone, answer: claim } = await call('claim_work', { leaseSeconds: 30 });
    if (!isDone) {
      if (claim.code === 'nothing_ready') break;
      throw new Error(`claim_work: ${JSON.stringify(claim)}`);
    }
    console.log(JSON.stringify(claim));
    const { workItemId, leaseId, fencingToken, item } = claim;
    const held = { workItemId, leaseId, fencingToken };
    await get('update_work', { ...held, task: 'writing it and its tests' });
    const commit = createHash('sha1').update(item.title).digest('hex').slice(0, 7);
    await get('finish_work', { ...held, commit });
  }
}

async function follow() {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await call(...JSON.parse(line))));
  }
}

await ('IS_LED' in process.env ? follow() : work());
await client.close();
