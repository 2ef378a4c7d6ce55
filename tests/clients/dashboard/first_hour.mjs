// Somebody's first hour with the dashboard, from the link that a new service prints: a project, its first delivery, an
// agent, and a board that two windows see. Each thing shows up by itself: no page is loaded twice.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { open, run, submit, url } from './browser.mjs';

const { SETUP_LINK: link } = process.env;

/** Posts a push as GitHub would. */
async function push(webhook, secret) {
  const body = JSON.stringify({
    ref: 'refs/heads/main', before: '0'.repeat(40), after: '4b825dc642cb6eb9a060e54bf8d69288fbee4904', created: false,
    deleted: false, forced: false, compare: 'https://github.com/acme/rocket/compare/main', commits: [], head_commit: null,
    pusher: { name: 'octavia' }, sender: { login: 'octavia', id: 1 },
    repository: { id: 1, name: 'rocket', full_name: 'acme/rocket', default_branch: 'main', html_url: 'https://github.com/acme/rocket' },
  });
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
  const headers = {
    'content-type': 'application/json', 'x-github-event': 'push', 'x-github-delivery': 'first', 'x-hub-signature-256': signature,
  };
  const answer = await fetch(webhook, { method: 'POST', headers, body });
  assert.equal(answer.status, 202, await answer.text());
}

await run(async () => {
  const page = await open();
  await page.goto(link);
  const password = 'correct horse battery staple';
  const person = { 'E-mail address': 'ada@example.org', Name: 'Ada', Password: password, 'Repeat the password': password };
  await submit(page, person, 'Set up');
  await page.waitForURL(`${url}/`);

  // A repository: the address and the secret go to the host, and the first delivery turns it green.
  await page.getByRole('link', { name: 'Connect a repository' }).first().click();
  await submit(page, { Name: 'Rocket', Repository: 'https://github.com/acme/rocket' }, 'Create the project');
  await page.getByText('Waiting for the first delivery').waitFor();
  const steps = page.getByRole('list', { name: 'Steps at GitHub' });
  const [webhook, secret] = await Promise.all([/\/webhooks\/github\//, /^whsec_/].map((known) => steps.getByText(known).first().innerText()));
  await push(webhook, secret);
  await page.getByText('GitHub is connected').waitFor();

  // What was delivered stands there, and can be processed again.
  const [{ id: projectId }] = (await (await page.request.get('/api/v1/projects')).json()).items;
  await page.goto(`/projects/${projectId}/deliveries`);
  await page.getByRole('link', { name: /push/i }).first().click();
  await page.getByText('x-github-event').first().waitFor();
  await page.getByRole('button', { name: /^Replay/ }).first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Replay', exact: true }).click();
  await page.getByText('It will be processed again.').waitFor();

  // An agent: a key of its own, and its first call turns it green.
  await page.goto('/connect/agent');
  await submit(page, { Name: 'reviewer' }, 'Make its key');
  await page.getByText('Waiting for the first call').waitFor();
  const key = await page.getByText(/^tsk_\w+$/).first().innerText();
  const client = new Client({ name: 'reviewer', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
  const { isError } = await client.callTool({ name: 'get_project_status', arguments: { projectId } });
  assert.ok(!isError);
  await page.getByText('reviewer is connected').waitFor();
  await client.close();

  // A card that is dragged in one window moves in the other.
  await page.goto(`/projects/${projectId}/board`);
  await page.getByRole('button', { name: 'New item' }).first().click();
  await submit(page, { Title: 'Sign in' }, 'Create');
  const other = await open({ person: page });
  await other.goto(`/projects/${projectId}/board`);
  const inLane = (window, lane) => window.locator(`[data-lane=${lane}] .board-card`, { hasText: 'Sign in' });
  const lane = await page.locator('.board-card', { hasText: 'Sign in' }).evaluate((card) => card.closest('[data-lane]').dataset.lane);
  await inLane(other, lane).waitFor();
  await inLane(page, lane).dragTo(page.locator('[data-lane=doing]'));
  await inLane(page, 'doing').waitFor();
  await inLane(other, 'doing').waitFor();

  // And by keyboard alone.
  await inLane(other, 'doing').getByRole('button', { name: /^Move/ }).focus();
  await other.keyboard.press('Enter');
  await other.getByRole('menuitem', { name: 'Move to Review' }).press('Enter');
  await inLane(page, 'review').waitFor();
});
