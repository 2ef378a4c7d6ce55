// A browser for the scripts about the dashboard: Debian's Chromium, led by playwright-core.
//
// Whatever goes wrong on a page fails the script: an exception nobody caught, something that the page's policy refuses.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

/** Long enough for a busy machine. */
const PATIENCE_MS = 20_000;

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export const { TRACKSIDE_URL: url } = process.env;

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const troubles = [];

/** A window of a person's browser; those of one `person` share what that has signed in to. */
export async function open({ person, ...options } = {}) {
  const context = person?.context() ?? (await browser.newContext({ baseURL: url, ...options }));
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on('pageerror', (error) => troubles.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) troubles.push(message.text());
  });
  return page;
}

/** Fills in the fields of a form by their labels, and sends it. */
export async function submit(page, fields, button) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole('button', { name: button, exact: true }).click();
}

/** What somebody who cannot see the page as others do would stumble over, in words. */
export async function barriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules }), RULES);
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html).join(' ')}`);
}

/** Does what a script is there for, and ends; where it goes wrong, what the windows show then is told too. */
export async function run(script) {
  try {
    await script();
    if (troubles.length > 0) throw new Error(troubles.join('\n'));
  } catch (wrong) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) {
      console.error(`${page.url()} shows:\n${(await page.innerText('body')).slice(0, 2000)}`);
    }
    throw wrong;
  } finally {
    await browser.close();
  }
}
