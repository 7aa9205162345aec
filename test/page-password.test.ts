import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { TestMailServer } from './support/mail-server.ts';
import { Reader } from './support/reader.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const NEW = 'another battery staple';

describe('a forgotten password on the page', function () {
  this.timeout(90_000);
  const server = new TestMailServer();
  let world: World;
  let browser: Browser;
  let ada: TestUser;
  before(async function () {
    this.timeout(180_000);
    await Promise.all([buildPage(), server.start()]);
    const env = { SMTP_URL: server.url, MAIL_FROM: 'news@feed.example', PUBLIC_URL: 'https://feed.example' };
    [world, browser] = await Promise.all([createWorld({ ...env, ALLOWED_HOSTS: '*' }), launchBrowser()]);
    ada = await world.user('ada');
  });
  after(async () => {
    await browser?.close();
    await world?.close();
    await server.stop();
  });

  it('is replaced with the link of a mail, which leaves the address at once', async () => {
    const reader = await Reader.open(browser, world.url, 'ada');
    const { page } = reader;
    await page.getByRole('button', { name: 'Returning' }).click();
    await page.getByRole('button', { name: 'Forgot your password?' }).click();
    await reader.expectKeepsNobodyOut();
    await page.getByLabel('E-mail').fill(ada.email);
    await page.getByRole('button', { name: 'Send me a link' }).click();
    await page.getByText('a mail with a link is on its way').waitFor();
    const [, fragment = ''] = /\/(#reset=[\w-]{43})\n/.exec((await server.next(ada.email)).text) ?? [];

    // Only the fragment differs: by itself the browser would not load the page.
    await page.goto('about:blank');
    await page.goto(`${world.url}/${fragment}`);
    await page.getByRole('button', { name: 'Change the password' }).waitFor();
    expect(await page.evaluate('location.hash')).to.equal('');
    await reader.expectKeepsNobodyOut();
    await page.getByRole('textbox', { name: 'New password' }).fill('short');
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('At least 8 characters.', { exact: true }).waitFor();
    await page.getByRole('textbox', { name: 'New password' }).fill(NEW);
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('Your password has been changed.').waitFor();
    await page.getByLabel('E-mail').fill(ada.email);
    await page.getByLabel('Password', { exact: true }).fill(NEW);
    await page.getByRole('button', { name: 'Log in' }).click();
    await reader.live();
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused password
    await reader.leave();
  });
});
