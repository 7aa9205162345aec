import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import type { Browser, Locator } from 'playwright-core';
import { decodeQR } from 'qr/decode.js';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { TestMailServer } from './support/mail-server.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const NEW = 'another battery staple';

describe('a link of a mail on the page', () => {
  const server = new TestMailServer();
  let world: World;
  let browser: Browser;
  let ada: TestUser;
  before(async () => {
    await Promise.all([buildPage(), server.start()]);
    const env = { SMTP_URL: server.url, MAIL_FROM: 'news@feed.example', PUBLIC_URL: 'https://feed.example' };
    [world, browser] = await Promise.all([createWorld({ ...env, ALLOWED_HOSTS: '*' }), launchBrowser()]);
    ada = await world.user('ada');
    await server.next(ada.email); // of the sign-up
  });
  after(async () => {
    await browser?.close();
    await world?.close();
    await server.stop();
  });

  it('replaces a forgotten password, and leaves the address at once', async () => {
    const reader = await Reader.open(browser, world.url, 'ada');
    const { page } = reader;
    // The address is typed once, wherever it was begun, and the focus is where it goes on.
    const email = page.getByLabel('E-mail');
    const focused = () => page.evaluate('document.activeElement.name ?? document.activeElement.className');
    await email.fill(ada.email);
    await page.getByRole('button', { name: 'Returning' }).click();
    await comesToBe(focused, 'password');
    await page.getByRole('button', { name: 'Forgot your password?' }).click();
    await comesToBe(focused, 'email');
    expect(await email.inputValue()).to.equal(ada.email);
    await reader.expectKeepsNobodyOut();
    await page.getByRole('button', { name: 'Send me a link' }).click();
    await page.getByText('a mail with a link is on its way').waitFor();
    await comesToBe(focused, 'done');
    const [, fragment = ''] = /\/(#reset=[\w-]{43})\n/.exec((await server.next(ada.email)).text) ?? [];

    // Only the fragment differs: the browser does not load the page again.
    await page.goto(`${world.url}/${fragment}`);
    await page.getByRole('button', { name: 'Change the password' }).waitFor();
    expect(await page.evaluate('location.hash')).to.equal('');
    await comesToBe(() => page.evaluate('location.hash'), '');
    await reader.expectKeepsNobodyOut();
    await page.getByRole('textbox', { name: 'New password' }).fill('short');
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('At least 8 characters.', { exact: true }).waitFor();
    await page.getByRole('textbox', { name: 'New password' }).fill(NEW);
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('Your password has been changed.').waitFor();
    await page.goto('about:blank');
    await page.goto(`${world.url}/${fragment}`);
    await page.getByRole('textbox', { name: 'New password' }).fill(NEW);
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('Ask for another one where you log in.').waitFor();
    await page.getByRole('button', { name: 'Not now' }).click();
    await page.getByRole('button', { name: 'Returning' }).click();
    await email.fill(ada.email);
    await page.getByLabel('Password', { exact: true }).fill(NEW);
    await page.getByRole('button', { name: 'Log in' }).click();
    await reader.live();
    await comesToBe(() => page.evaluate('document.activeElement.id'), 'main');
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused password
    await reader.leave();
  });

  it('that is mailed verifies an address, lets a new one count, and puts the old one back', async () => {
    const reader = await Reader.open(browser, world.url, 'eve');
    const { page, email } = reader;
    const open = async (link: 'verify' | 'undo', to: string) => {
      const [, fragment = ''] =
        new RegExp(`/(#${link}=[\\w-]{43})\n`).exec((await server.next(to)).text) ?? [];
      await page.goto('about:blank');
      await page.goto(`${world.url}/account${fragment}`);
    };
    const account = async () => {
      await page.goto('about:blank');
      await page.goto(`${world.url}/account`);
      await page.getByRole('heading', { name: 'E-mail' }).waitFor();
    };
    await reader.signUp();
    await account();
    await page.getByText('Your address is not verified yet').waitFor();
    await reader.expectKeepsNobodyOut();
    await server.next(email);
    await page.getByRole('button', { name: 'Send it again' }).click();
    await page.getByText(`A mail with a link is on its way to ${email}.`).waitFor();
    await open('verify', email);
    await page.getByText('Your e-mail address is verified.').waitFor();
    await comesToBe(() => page.evaluate('location.hash'), '');
    await page.getByText('Your address is not verified yet').waitFor({ state: 'detached' });

    const fresh = 'new-eve@example.org';
    const form = page.getByRole('form', { name: 'E-mail' });
    await form.getByLabel('E-mail').fill(fresh);
    await form.getByLabel('Current password').fill(PASSWORD);
    await form.getByRole('button', { name: 'Change the address' }).click();
    await page.getByText(`${fresh} takes the place of your address`).waitFor();
    await reader.expectKeepsNobodyOut();
    await open('verify', fresh);
    await page.getByText('Your e-mail address is verified.').waitFor();
    await page.getByText(`${fresh} takes the place of your address`).waitFor({ state: 'detached' });

    await open('undo', email);
    await page.getByRole('button', { name: 'Keep the old address' }).waitFor();
    await comesToBe(() => page.evaluate('location.hash'), '');
    await reader.expectKeepsNobodyOut();
    await page.getByRole('button', { name: 'Keep the old address' }).click();
    await page.getByText('Your account has the address that it had.').waitFor();
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('button', { name: 'Log in' }).waitFor();
    const restored = await server.next(email);
    expect(restored.headers.subject).to.equal('Your e-mail address is as it was');
    reader.expectClean({ networkMayFail: true }); // the browser notes the ended session
    await reader.leave();
  });

  it('is not enough where a second factor is set up', async () => {
    const reader = await Reader.open(browser, world.url, 'bob');
    await reader.signUp();
    const { page } = reader;
    await page.goto(`${world.url}/account`);
    const form = page.getByRole('form', { name: 'Second factor' });
    await form.getByLabel('Your password').fill('correct horse battery');
    await form.getByRole('button', { name: 'Set it up' }).click();
    const readSecret = async () => {
      const link = await page.getByRole('link', { name: 'this link' }).getAttribute('href');
      return Secret.fromBase32(new URL(link!).searchParams.get('secret')!);
    };
    let secret = await readSecret();
    const link = await page.getByRole('link', { name: 'this link' }).getAttribute('href');
    expect(await scanned(page.getByRole('img', { name: 'QR code of this link' }))).to.equal(link);
    const code = () => TOTP.generate({ secret });
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'code');
    await form.getByLabel('Code').fill('wrong');
    await form.getByRole('button', { name: 'Turn it on' }).click();
    await page.getByText('This code is wrong or has been used.').waitFor();
    // It is turned on, and the answer with the recovery codes is lost.
    await page.route('**/users/me/totp/confirm', async (route) => {
      await route.fetch();
      await route.abort();
    });
    await form.getByLabel('Code').fill(code());
    await form.getByRole('button', { name: 'Turn it on' }).click();
    await page.getByText('the answer with the recovery codes did not arrive').waitFor();
    await page.unroute('**/users/me/totp/confirm');
    await form.getByLabel('Your password').fill('correct horse battery');
    await form.getByRole('button', { name: 'Turn it off' }).click();
    await form.getByRole('button', { name: 'Set it up' }).waitFor();
    await form.getByLabel('Your password').fill('correct horse battery');
    await form.getByRole('button', { name: 'Set it up' }).click();
    secret = await readSecret();
    await form.getByLabel('Code').fill(code());
    await form.getByRole('button', { name: 'Turn it on' }).click();
    const codes = page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem');
    await codes.first().waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.className'), 'recovery');
    const [recovery = '', ...others] = await codes.allInnerTexts();
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy the codes' }).click();
    await page.getByText('The codes are copied.').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).to.equal([recovery, ...others].join('\n'));
    expect(others).to.have.lengthOf(9);
    await reader.expectKeepsNobodyOut();

    const elsewhere = await Reader.open(browser, world.url, 'bob');
    await elsewhere.page.getByRole('button', { name: 'Returning' }).click();
    await elsewhere.page.getByLabel('E-mail').fill('bob@example.org');
    await elsewhere.page.getByLabel('Password', { exact: true }).fill('correct horse battery');
    await elsewhere.page.getByRole('button', { name: 'Log in' }).click();
    await elsewhere.page.getByText('Type a code of your authenticator app').waitFor();
    await elsewhere.page.getByLabel('Code').fill(recovery);
    await elsewhere.page.getByRole('button', { name: 'Log in' }).click();
    await elsewhere.live();
    await elsewhere.leave();
    await reader.leave();
  });
});

/** What a camera reads. */
async function scanned(code: Locator): Promise<string> {
  const picture = (await code.screenshot()).toString('base64');
  const { data, ...size } = await code.page().evaluate<{ width: number; height: number; data: number[] }>(
    `(async () => {
      const bytes = Uint8Array.from(atob('${picture}'), (letter) => letter.charCodeAt(0));
      const { width, height } = await createImageBitmap(new Blob([bytes]));
      const canvas = new OffscreenCanvas(width, height).getContext('2d');
      canvas.drawImage(await createImageBitmap(new Blob([bytes])), 0, 0);
      return { width, height, data: [...canvas.getImageData(0, 0, width, height).data] };
    })()`,
  );
  return decodeQR({ ...size, data: Uint8ClampedArray.from(data) });
}
