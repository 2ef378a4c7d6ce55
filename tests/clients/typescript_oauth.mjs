// Signs in to a server with the OAuth code of the package `@modelcontextprotocol/client`, and lists its tools.
//
// Takes a visit as JSON. Prints the address that a browser would open, reads the one that the browser was sent to in the
// end, and prints what came of it.

import { createInterface } from 'node:readline/promises';
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

const visit = JSON.parse(process.argv[2]);
const kept = {};
const provider = {
  redirectUrl: visit.redirect,
  clientMetadataUrl: visit.document,
  clientMetadata: {
    client_name: 'Visitor',
    redirect_uris: [visit.redirect],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
  },
  state: () => 'a state',
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (discovery) => { kept.discovery = discovery; },
  redirectToAuthorization: (address) => console.log(JSON.stringify({ open: address.href })),
};

function transport() {
  return new StreamableHTTPClientTransport(new URL(visit.url), { authProvider: provider });
}

function client() {
  return new Client({ name: 'visitor', version: '1' }, { versionNegotiation: { mode: 'auto' } });
}

async function look() {
  const visitor = client();
  await visitor.connect(transport());
  const tools = (await visitor.listTools()).tools.map((tool) => tool.name);
  await visitor.close();
  return tools;
}

const first = transport();
try {
  await client().connect(first);
  throw new Error('nobody had to sign in');
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
const lines = createInterface({ input: process.stdin });
const answer = new URL((await lines[Symbol.asyncIterator]().next()).value).searchParams;
lines.close();
if (answer.get('state') !== 'a state') throw new Error('another state came back');
await first.finishAuth(answer);
const tools = await look();
// Once more, as if the access token had run out: the refresh token has to do.
const { access_token: before, scope } = kept.tokens;
kept.tokens = { ...kept.tokens, access_token: 'stale' };
const again = await look();
if (['stale', before].includes(kept.tokens.access_token)) throw new Error('the token was not refreshed');
console.log(JSON.stringify({ tools, again, scope }));
process.exit(0);
