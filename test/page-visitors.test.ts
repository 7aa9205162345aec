import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const ARTEFACTS = join(packageRoot, 'test/artefacts');

describe('the page of a visitor without an account', () => {
  let world: World;
  let browser: Browser;
  let carol: TestUser;
  let visitor: Reader;
  let thread: number;
  let answered: number;

  before(async function () {
    this.timeout(240_000);
    await buildPage();
    await mkdir(ARTEFACTS, { recursive: true });
    [world, browser] = await Promise.all([createWorld({ PUBLIC_READ: 'on' }), launchBrowser()]);
    carol = await world.user('carol');
    for (let number = 1; number <= 45; number += 1)
      await carol.post('/posts', { title: `Post ${number}`, content: 'Some text. '.repeat(20) });
    await carol.post('/posts', { title: 'A draft', content: '', published: false });
    const created = async (path: string, body: object) =>
      (await carol.post<{ id: number }>(path, body)).body.id;
    thread = await created('/posts', { title: 'Who feeds the heron?', content: 'Ask #birds, or @carol.' });
    answered = await created(`/posts/${thread}/replies`, { content: 'Not me.' });
    await created(`/posts/${thread}/replies`, { content: 'Nor me.' });
    await created(`/posts/${answered}/replies`, { content: 'Then who?' });
    visitor = await Reader.open(browser, world.url, 'vera');
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await visitor.page.screenshot({ path: join(ARTEFACTS, 'failed-visitor.png') });
  });

  const path = () => visitor.page.evaluate<string>('location.pathname + location.search');

  it('has the newest posts and more of them, and no private place', async () => {
    const { page } = visitor;
    await visitor.shows(page.locator('.post'), 20);
    expect((await visitor.titles())[0]).to.equal('Who feeds the heron?');
    expect(await page.getByText('A draft').count()).to.equal(0);
    for (const name of ['Home', 'Drafts', 'Notifications', 'Your account'])
      expect(await page.getByRole('link', { name }).count(), name).to.equal(0);
    await page.getByRole('button', { name: 'Show more' }).click();
    await visitor.shows(page.locator('.post'), 40);
    await visitor.expectKeepsNobodyOut('the list');
    await page.screenshot({ path: join(ARTEFACTS, 'visitor.png') });
    visitor.expectClean();
  });

  it('is there where the browser refuses storage, and lets one log in for as long as it is open', async () => {
    const refusing = await Reader.open(browser, world.url, 'rita');
    const { page } = refusing;
    await page.addInitScript(`for (const name of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, name, { get() { throw new DOMException('refused', 'SecurityError'); } });`);
    await page.reload();
    await refusing.shows(page.locator('.post'), 20);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByRole('button', { name: 'New here' }).click();
    await refusing.signUp();
    await refusing.write('Without storage');
    await refusing.shows(refusing.post('Without storage'));
    refusing.expectClean();
    await refusing.leave();
  });

  it('leads to orders, searches, tags, users and threads, each with its title', async () => {
    const { page } = visitor;
    await page.getByRole('link', { name: 'Top', exact: true }).click();
    await comesToBe(path, '/?sort=top');
    await page.getByRole('searchbox').fill('heron');
    await visitor.shows(page.locator('.post'), 1);
    await page.getByRole('heading', { name: 'Posts with “heron”' }).waitFor();
    await page.getByRole('link', { name: '#birds' }).click();
    await page.getByRole('heading', { name: '#birds' }).waitFor();
    await visitor.shows(page.locator('.post'), 1);
    await page.getByRole('link', { name: '@carol' }).click();
    await page.getByRole('heading', { name: 'carol', exact: true }).waitFor();
    await comesToBe(path, '/@carol');
    await visitor.shows(page.locator('.post'), 20);
    await visitor.expectKeepsNobodyOut('a user');
    await visitor.post('Who feeds the heron?').getByRole('link', { name: '3 replies' }).click();
    await visitor.shows(page.locator('.reply'), 3);
    expect(await page.locator('.reply .text').allTextContents()).to.deep.equal([
      'Not me.',
      'Then who?',
      'Nor me.',
    ]);
    await comesToBe(() => page.title(), '“Who feeds the heron?” · Tidings');
    await visitor.expectKeepsNobodyOut('a thread');
    await page.screenshot({ path: join(ARTEFACTS, 'visitor-thread.png') });
    visitor.expectClean();
  });

  it('says what is not there, and that private places need an account', async () => {
    const { page } = visitor;
    await page.goto(`${world.url}/p/999999`);
    await page.getByRole('heading', { name: 'There is no such post' }).waitFor();
    await page.goto(`${world.url}/@nobody-here`);
    await page.getByRole('heading', { name: 'There is no @nobody-here' }).waitFor();
    await page.goto(`${world.url}/drafts`);
    await page.getByRole('button', { name: 'Sign up' }).waitFor();
    expect(await page.getByRole('searchbox').count()).to.equal(0);
    visitor.expectClean({ networkMayFail: true });
  });

  it('asks who wants more to log in, and leads back to the place and to what was read', async () => {
    const { page } = visitor;
    await world.anonymous.post('/users', { email: visitor.email, password: PASSWORD, username: 'vera' });
    await page.goto(`${world.url}/?sort=top`);
    await visitor.shows(page.locator('.post'), 20);
    const target = page.locator('.post').nth(14);
    const title = (await target.locator('h2').textContent()) ?? '';
    await until('it to be on the screen', async () => {
      await page.evaluate('scrollBy({ top: 400, behavior: "instant" })');
      return ((await target.boundingBox())?.y ?? 900) < 300;
    });
    await visitor.placeIsKept();
    await visitor.post(title).getByRole('button', { name: 'log in to vote' }).click();
    await page.getByRole('button', { name: 'Go on reading without an account' }).click();
    await until('the post again', async () => {
      const box = await visitor.post(title).boundingBox();
      return box !== null && box.y > -400 && box.y < 900;
    });
    await visitor.post(title).getByRole('button', { name: 'log in to vote' }).click();
    await page.getByLabel('E-mail').fill(visitor.email);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await visitor.live();
    await comesToBe(path, '/?sort=top');
    await until('the post again', async () => {
      if ((await visitor.post(title).count()) === 0) return false;
      const box = await visitor.post(title).boundingBox();
      return box !== null && box.y > -400 && box.y < 900;
    });
    await visitor.votes(title).and(page.locator('[aria-pressed="false"]')).waitFor();
    visitor.expectClean();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByText('You are reading without an account.').waitFor();
    await comesToBe(path, '/');
    expect(await page.evaluate('Object.keys(localStorage).filter((key) => /unsent/.test(key))')).to.be.empty;
    expect(await page.evaluate('JSON.stringify(localStorage)')).not.to.match(/token/i);
    visitor.expectClean();
  });

  it('shows the door to who comes with an invitation, until they want to read or go back', async () => {
    const guest = await Reader.open(browser, world.url, 'guest');
    const { page } = guest;
    await guest.shows(page.locator('.post'), 20);
    // Where the service has not said yet that one needs an invitation, it says so when one signs up.
    await page.route('**/users', (route) =>
      route.fulfill({
        status: 403,
        contentType: 'application/problem+json',
        json: {
          type: 'urn:tidings:problem:invitation_required',
          title: 'Refused',
          status: 403,
          detail: 'No',
          errors: [{ loc: ['body', 'invitation'], msg: 'No', type: 'any.invitation' }],
        },
      }),
    );
    await page.goto(`${world.url}/#invitation=abc`);
    await page.getByLabel('E-mail').fill('guest@example.org');
    expect(await page.evaluate('location.hash')).to.equal('');
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.getByText('This invitation is not valid.').waitFor();
    expect(await page.getByLabel('Invitation').inputValue()).to.equal('abc');
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'invitation');
    await page.getByRole('button', { name: 'Go on reading without an account' }).click();
    await guest.shows(page.locator('.post'), 20);

    await page.getByRole('link', { name: 'Top', exact: true }).click();
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.getByLabel('E-mail').waitFor();
    await page.goBack();
    await guest.shows(page.locator('.post'), 20);
    expect(await page.getByLabel('E-mail').count()).to.equal(0);
    guest.expectClean({ networkMayFail: true }); // the browser notes the refusal
    await guest.leave();
  });

  it('fits a telephone, in dark colours too', async () => {
    const other = await Reader.open(browser, world.url, 'wilma', {
      viewport: { width: 360, height: 740 },
      colorScheme: 'dark',
    });
    await other.shows(other.page.locator('.post'), 20);
    expect(await other.page.evaluate('document.documentElement.scrollWidth')).to.equal(360);
    const name = await other.page.locator('.masthead').boundingBox();
    const ways = await other.page.locator('.visitor .account').boundingBox();
    expect((name?.x ?? 0) + (name?.width ?? 0), 'no overlap').to.be.at.most(ways?.x ?? 0);
    await other.expectKeepsNobodyOut('a telephone');
    await other.page.screenshot({ path: join(ARTEFACTS, 'visitor-narrow.png') });
    other.expectClean();
    await other.leave();
  });
});
