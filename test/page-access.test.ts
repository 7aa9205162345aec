import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import axe, { type AxeResults } from 'axe-core';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { grantRole } from '../server/moderation/roles.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { Reader } from './support/reader.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const ARTEFACTS = join(packageRoot, 'test/artefacts');

describe('every view of the page', () => {
  let world: World;
  let browser: Browser;
  let carol: TestUser;
  let post: PostAnswer;
  /** Has an account, and moderates. */
  let alice: Reader;
  let page: Page;

  before(async function () {
    this.timeout(240_000);
    await buildPage();
    await mkdir(ARTEFACTS, { recursive: true });
    [world, browser] = await Promise.all([createWorld({ PUBLIC_READ: 'on' }), launchBrowser()]);
    carol = await world.user('carol');
    const content = 'Some *words*, `code` and #birds.\n\n> A quote\n\n- one\n- two\n\n```\na b\n```';
    post = (await carol.post<PostAnswer>('/posts', { title: 'Herons', content })).body;
    const { body } = await carol.post<PostAnswer>(`/posts/${post.id}/replies`, { content: 'A reply' });
    await carol.post(`/posts/${body.id}/replies`, { content: 'Below a deleted one' });
    await carol.delete(`/posts/${body.id}`);
    alice = await Reader.open(browser, world.url, 'alice');
    ({ page } = alice);
    await page.getByRole('button', { name: 'Sign up' }).click();
    await alice.signUp();
    await world.ctx.db.transaction((tx) => grantRole(tx, 'alice', 'moderator', ''));
    await page.getByRole('link', { name: 'Moderation' }).waitFor();
    await carol.post('/posts', { title: 'For @alice', content: 'Look' });
    const dave = await world.user('dave');
    await dave.put(`/posts/${post.id}/report`, { reason: 'spam', note: 'Hm' });
    await alice.write('Mine', 'to be looked at');
    await alice.write('Kept', 'for later', 'Keep as draft');
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });
  afterEach(() => alice.expectClean({ networkMayFail: true }));

  /** What axe finds. */
  async function faults(at: Page, rules: string): Promise<string[]> {
    const { violations, passes } = await at.evaluate<AxeResults>(`axe.run(${rules})`);
    expect(passes).not.to.be.empty;
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
  }
  /** In the dark, only what colours can be wrong in is looked at. */
  async function keepsNobodyOut(what: string, { dark = false, at = page } = {}): Promise<void> {
    await at.evaluate(axe.source);
    await at.evaluate('Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))');
    expect(await faults(at, "{ resultTypes: ['violations'] }"), what).to.deep.equal([]);
    if (!dark) return;
    await at.emulateMedia({ colorScheme: 'dark' });
    await at.evaluate('Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))');
    const inTheDark = await faults(at, "{ runOnly: ['color-contrast'] }");
    await at.screenshot({ path: join(ARTEFACTS, `access-${what.replaceAll(' ', '-')}.png`) });
    await at.emulateMedia({ colorScheme: 'light' });
    expect(inTheDark, `${what} in the dark`).to.deep.equal([]);
  }
  const go = async (path: string, shown: string, at = page) => {
    await at.goto(world.url + path);
    await at.locator(shown).first().waitFor();
  };
  const click = (name: string) => page.getByRole('button', { name, exact: true }).first().click();

  const places: [path: () => string, shown: string, dark?: boolean][] = [
    [() => '/home', '.suggestions'],
    [() => '/search?q=herons', 'mark', true],
    [() => '/tags/none', '.nothing'],
    [() => `/p/${post.id}`, '.tombstone', true],
    [() => '/p/999999', 'h1'],
    [() => '/@carol', '.relations', true],
    [() => '/@carol/followers', '.nothing'],
    [() => '/notifications', '.notifications li', true],
    [() => '/drafts', '.draft'],
    [() => '/account', '.sessions li', true],
    [() => '/account/blocks', '.nothing'],
    [() => '/moderation', '.cases article', true],
    [() => '/moderation/audit', '.audit'],
  ];
  for (const [path, shown, dark = false] of places) {
    it(`keeps nobody out: ${path.toString().replace(/^.*?=>\s*/, '')}`, async () => {
      await go(path(), shown);
      await keepsNobodyOut(path().slice(1).replaceAll(/\W+/g, ' '), { dark });
    });
  }

  it('keeps nobody out: the feed, where one writes and edits', async () => {
    await go('/', '.post');
    await page.getByLabel('Title').fill('A title');
    await alice.post('Mine').getByRole('button', { name: 'Edit' }).click();
    await keepsNobodyOut('writing and editing', { dark: true });
    await click('Cancel');
    await click('Discard');
  });

  for (const [path, name, role] of [
    ['/', 'Delete', 'alertdialog'],
    ['/', 'Keyboard shortcuts', 'dialog'],
    ['/', 'Report', 'dialog'],
    ['/@carol', 'Block', 'alertdialog'],
    ['/account', 'Log out everywhere', 'alertdialog'],
  ] as const) {
    it(`keeps nobody out: the dialog of "${name}"`, async () => {
      await go(path, `button:text-is("${name}"), button[aria-label="${name}"]`);
      await click(name);
      await page.getByRole(role).waitFor();
      await keepsNobodyOut(`dialog ${name}`, { dark: name === 'Delete' });
      await page.keyboard.press('Escape');
      await page.getByRole(role).waitFor({ state: 'hidden' });
    });
  }

  it('keeps nobody out: faults of a form', async () => {
    await go('/account', '.ending');
    await page.getByRole('form', { name: 'Password' }).getByRole('button').click();
    await alice.shows(page.locator('.at-fault'), 2);
    await keepsNobodyOut('faults of a form', { dark: true });
    // A planted fault is found: without this the lines above might look at nothing.
    await page.evaluate('document.querySelector("h2").after(document.createElement("button"))');
    expect((await faults(page, '{}')).join()).to.include('button-name');
  });

  it('keeps nobody out who has no account', async () => {
    const visitor = await Reader.open(browser, world.url, 'vera', { viewport: { width: 360, height: 740 } });
    const at = visitor.page;
    await at.locator('.post').first().waitFor();
    await keepsNobodyOut('visitor', { at, dark: true });
    await go(`/p/${post.id}`, '.tombstone', at);
    await keepsNobodyOut('visitor thread', { at });
    await go('/account', '.welcome-door', at);
    await at.getByRole('button', { name: 'Returning' }).click();
    await at.getByRole('button', { name: 'Forgot your password?' }).click();
    await keepsNobodyOut('forgotten password', { at, dark: true });
    visitor.expectClean({ networkMayFail: true });
    await visitor.leave();
  });
});
