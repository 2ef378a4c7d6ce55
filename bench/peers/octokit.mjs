// A receiver by Octokit's own library: it answers 202 once the signature is verified and a handler, which does nothing, has
// run. Its argument is the port; the secret is in the environment.

import { createServer } from 'node:http';
import { Webhooks } from '@octokit/webhooks';

const webhooks = new Webhooks({ secret: process.env.WEBHOOK_SECRET });
webhooks.on('push', () => {});

async function receive(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    try {
        await webhooks.verifyAndReceive({
            id: request.headers['x-github-delivery'],
            name: request.headers['x-github-event'],
            signature: request.headers['x-hub-signature-256'],
            payload: Buffer.concat(pieces).toString(),
        });
        response.statusCode = 202;
    } catch {
        response.statusCode = 401;
    }
    response.end(response.statusCode === 202 ? 'accepted' : 'refused');
}

const listener = createServer((request, response) => {
    if (request.method === 'POST') return void receive(request, response);
    response.end('ready');
});
listener.listen(Number(process.argv[2]), '127.0.0.1');
