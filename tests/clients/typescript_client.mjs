// Visits a server with the package `@modelcontextprotocol/client`. Takes a visit as JSON, prints what came of it.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const visit = JSON.parse(process.argv[2]);

function transport() {
  if (visit.command) {
    const [command, ...args] = visit.command;
    return new StdioClientTransport({ command, args, env: visit.env, cwd: visit.folder });
  }
  const headers = { Authorization: `Bearer ${visit.key}` };
  return new StreamableHTTPClientTransport(new URL(visit.url), { requestInit: { headers } });
}

const mode = visit.era === 'legacy' ? 'legacy' : 'auto';
const client = new Client({ name: 'visitor', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport());
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const results = [];
for (const [name, args] of visit.calls) {
  results.push(await client.callTool({ name, arguments: args }));
}
console.log(JSON.stringify({ revision: client.getNegotiatedProtocolVersion(), tools, results }));
await client.close();
