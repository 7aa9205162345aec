import { expect } from 'chai';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { TestProvider } from './support/oidc-provider.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

const ARTEFACTS = join(packageRoot, 'test/artefacts');
const BUTTON = 'Log in with Example Accounts';

describe('the page of a service with an OpenID provider', function () {
  this.timeout(180_000);
  let provider: TestProvider;
  let world: World;
  let browser: Browser;
  before(async () => {
    // The provider sends browsers back to where the service is.
    const port = await freePort();
    const publicUrl = `http://127.0.0.1:${port}`;
    provider = new TestProvider({ publicUrl });
    await Promise.all([buildPage(), provider.start(), mkdir(ARTEFACTS, { recursive: true })]);
    [world, browser] = await Promise.all([
      createWorld({ ...provider.settings, PORT: String(port) }),
      launchBrowser(),
    ]);
    expect(world.url).to.equal(publicUrl);
  });
  after(async () => {
    await browser?.close();
    await world?.close();
    await provider?.stop();
  });

  /** A reader who may go to the provider, and is this user there; undefined: one who refuses. */
  const open = async (name: string, sub: string | undefined) => {
    const reader = await Reader.open(browser, world.url, name);
    await reader.page.context().route(`${provider.issuer}/**`, (route) => route.continue());
    await reader.page.context().setExtraHTTPHeaders(provider.asUser(sub));
    return reader;
  };

  it('says that the provider does not answer, beside the other ways in', async () => {
    provider.goDown();
    try {
      const reader = await open('early', 'early');
      const { page } = reader;
      await page.getByRole('button', { name: BUTTON }).click();
      await page.getByRole('alert').filter({ hasText: 'The service cannot do this just now.' }).waitFor();
      await reader.expectKeepsNobodyOut();
      await reader.signUp();
      reader.expectClean({ networkMayFail: true }); // the browser notes the 503
      await reader.leave();
    } finally {
      provider.comeUp();
    }
  });

  it('makes an account with a name, and lets in again without a question', async () => {
    provider.users.set('zoe', {
      email: 'zoe@example.org',
      email_verified: true,
      preferred_username: 'Zoe.K',
    });
    const reader = await open('zoe', 'zoe');
    const { page } = reader;
    await page.getByRole('button', { name: BUTTON }).waitFor();
    await reader.expectKeepsNobodyOut();
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).to.equal(true);
      await page.screenshot({ path: join(ARTEFACTS, `oidc-door-${width}.png`) });
    }
    await page.setViewportSize({ width: 1280, height: 900 });

    await page.getByRole('button', { name: BUTTON }).click();
    await page.getByRole('button', { name: 'Go on' }).waitFor();
    expect(await page.getByLabel('Name').inputValue()).to.equal('Zoe.K');
    await comesToBe(() => page.evaluate('location.hash'), '');
    await reader.expectKeepsNobodyOut();
    await page.screenshot({ path: join(ARTEFACTS, 'oidc-name.png') });
    await page.getByRole('button', { name: 'Go on' }).click();
    await reader.live();

    await page.goto(`${world.url}/account`);
    await page.getByText(`You can log in as zoe@example.org, at ${provider.issuer}.`).waitFor();
    await reader.expectKeepsNobodyOut();
    await page.screenshot({ path: join(ARTEFACTS, 'oidc-account.png'), fullPage: true });
    await page.getByRole('button', { name: 'Log out', exact: true }).click();
    await page.getByRole('button', { name: BUTTON }).click();
    await reader.live();
    reader.expectClean({ networkMayFail: true }); // the browser notes that a name was asked for
    await reader.leave();
  });

  it('keeps what was typed when more is asked for, and the invitation on the way to the provider', async () => {
    provider.users.set('ines', { email: 'ines@example.org', email_verified: true });
    const reader = await open('ines', 'ines');
    const { page } = reader;
    const asked = ['username_required', 'invitation_required', 'otp_required'];
    await page.route('**/login/oidc/finish', (route) =>
      route.fulfill({
        status: 403,
        contentType: 'application/problem+json',
        json: { type: `urn:tidings:problem:${asked.shift()}`, title: 'Asked', status: 403, detail: 'Asked' },
      }),
    );
    await page.goto(`${world.url}/#invitation=abc`);
    await page.getByRole('button', { name: BUTTON }).click();
    await page.getByRole('button', { name: 'Go on' }).waitFor();
    await page.getByLabel('Name').fill('ines');
    await page.getByRole('button', { name: 'Go on' }).click();
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'invitation');
    expect(await page.getByLabel('Invitation').inputValue()).to.equal('abc');
    expect(await page.getByLabel('Name').inputValue()).to.equal('ines');
    await page.getByLabel('Invitation').fill('def');
    await page.getByRole('button', { name: 'Go on' }).click();
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'otp');
    expect(await page.getByLabel('Invitation').inputValue()).to.equal('def');
    await page.getByRole('button', { name: 'Not now' }).click();

    // What the browser keeps of the page for Back is a button that was pressed.
    await page.route('**/login/oidc', () => undefined);
    const button = page.getByRole('button', { name: BUTTON });
    await button.click();
    await page.locator('[aria-disabled="true"]', { hasText: BUTTON }).waitFor();
    await page.evaluate('dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))');
    await page.locator('[aria-disabled="false"]', { hasText: BUTTON }).waitFor();
    reader.expectClean({ networkMayFail: true }); // the browser notes what was asked for
    await reader.leave();
  });

  it('asks for the password of an account with the address, and says when the provider refuses', async () => {
    const { email } = await world.user('carol');
    provider.users.set('carol', { email });
    const reader = await open('carol', undefined);
    const { page } = reader;
    await page.getByRole('button', { name: BUTTON }).click();
    await page.getByRole('alert').filter({ hasText: 'The provider did not log you in.' }).waitFor();
    await reader.expectKeepsNobodyOut();
    await page.getByRole('button', { name: 'Not now' }).click();

    await page.context().setExtraHTTPHeaders(provider.asUser('carol'));
    await page.getByRole('button', { name: BUTTON }).click();
    await page.getByText('An account has your address.').waitFor();
    await reader.expectKeepsNobodyOut();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Go on' }).click();
    await reader.live();

    await page.goto(`${world.url}/account`);
    const form = page.getByRole('form', { name: BUTTON });
    await form.getByLabel('Your password').fill(PASSWORD);
    await form.getByRole('button', { name: 'Unlink it' }).click();
    // The notice of it is gone again after some seconds.
    await form.getByRole('button', { name: 'Link Example Accounts' }).waitFor();
    await page.screenshot({ path: join(ARTEFACTS, 'oidc-unlinked.png'), fullPage: true });
    await form.getByLabel('Your password').fill(PASSWORD);
    await form.getByRole('button', { name: 'Link Example Accounts' }).click();
    const linked = 'select count(*) from identities where email = $1';
    await until('the link', async () => (await numberOf(world, linked, [email])) === 1);
    await page.goto(`${world.url}/account`);
    await page.getByText(`You can log in as ${email}, at ${provider.issuer}.`).waitFor();
    reader.expectClean({ networkMayFail: true }); // the browser notes what was refused
    await reader.leave();
  });
});
