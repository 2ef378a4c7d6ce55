// The timeline while its service dies and comes back: nothing is loaded again, and nothing is missing.
//
// It says `ready` on a line once it follows the project, and ends when the page shows what TITLE names, which happened
// after the restart.

import { open, run, submit } from './browser.mjs';

const { PROJECT_ID: projectId, EMAIL: email, PASSWORD: password, TITLE: title } = process.env;

await run(async () => {
  const page = await open();
  await page.goto(`/projects/${projectId}/timeline`);
  await submit(page, { 'E-mail address': email, Password: password }, 'Sign in');
  await page.getByText('Live', { exact: true }).waitFor();
  await page.evaluate(() => { window.isTheSame = true; });
  console.log('ready');
  await page.getByText(title).first().waitFor({ timeout: 60_000 });
  await page.getByText('Live', { exact: true }).waitFor();
  if (!(await page.evaluate(() => window.isTheSame))) throw new Error('the page was loaded anew');
});
