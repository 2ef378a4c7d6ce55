// A tool that answers what it is asked, by the TypeScript SDK: without sessions, in plain JSON. Its argument is the
// port.

import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

const input = z.object({ text: z.string() });
const handler = createMcpHandler(
    () => {
        const server = new McpServer({ name: 'echo', version: '1' });
        server.registerTool('echo', { description: 'Gives the text back.', inputSchema: input }, ({ text }) => ({
            content: [{ type: 'text', text }],
        }));
        return server;
    },
    { responseMode: 'json' },
);
const answer = toNodeHandler(handler);
const listener = createServer((request, response) => {
    if (request.url === '/mcp') return void answer(request, response);
    response.end('ready');
});
listener.listen(Number(process.argv[2]), '127.0.0.1');
