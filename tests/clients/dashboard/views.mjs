// Every view, with sample data, in both themes and on a telephone: none is in anybody's way, none is wider than the
// window, and each leaves a picture in the folder PICTURES.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { barriers, open, run, submit } from './browser.mjs';

const { PROJECT_ID: projectId, EMAIL: email, PASSWORD: password, PICTURES: pictures } = process.env;

const IN_A_PROJECT = ['board', 'agents', 'documents', 'conflicts', 'gates', 'deliveries', 'tool-calls', 'timeline'];
const SETTINGS = ['people', 'keys', 'repositories', 'security', 'sessions', 'appearance', 'service'];
const VIEWS = {
  projects: '/',
  ...Object.fromEntries(IN_A_PROJECT.map((view) => [view, `/projects/${projectId}/${view}`])),
  'connect-agent': '/connect/agent',
  'connect-repository': '/connect/repository',
  ...Object.fromEntries(SETTINGS.map((page) => [`settings-${page}`, `/settings/${page}`])),
};
const WINDOWS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

mkdirSync(pictures, { recursive: true });
await run(async () => {
  const found = [];
  let storageState;
  for (const [name, options] of Object.entries(WINDOWS)) {
    const page = await open({ ...options, storageState, reducedMotion: 'reduce' });
    await page.goto('/');
    if (!storageState) {
      await submit(page, { 'E-mail address': email, Password: password }, 'Sign in');
      await page.getByRole('heading', { level: 1 }).waitFor();
      storageState = await page.context().storageState();
    }
    for (const [view, path] of Object.entries(VIEWS)) {
      await page.goto(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.waitForFunction(() => !document.querySelector('[aria-busy=true], .loading'));
      await page.screenshot({ path: `${pictures}/${view}-${name}.png` });
      found.push(...(await barriers(page)).map((barrier) => `${view}, ${name}: ${barrier}`));
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (beyond > 0) found.push(`${view}, ${name}: ${beyond} px wider than the window`);
    }
    await page.context().close();
  }
  assert.deepEqual(found, []);
});
