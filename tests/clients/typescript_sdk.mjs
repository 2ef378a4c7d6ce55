// Visits a server with the package `@modelcontextprotocol/sdk`, which speaks the older revisions. Takes a visit as
// JSON, prints what came of it.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const visit = JSON.parse(process.argv[2]);
const client = new Client({ name: 'visitor', version: '1' });
const headers = { Authorization: `Bearer ${visit.key}` };
const transport = new StreamableHTTPClientTransport(new URL(visit.url), { requestInit: { headers } });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const results = [];
for (const [name, args] of visit.calls) {
  results.push(await client.callTool({ name, arguments: args }));
}
console.log(JSON.stringify({ revision: transport.protocolVersion, tools, results }));
await client.close();
