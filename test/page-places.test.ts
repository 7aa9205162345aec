import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import { PASSWORD, type TestUser, type World } from './support/world.ts';

const AS_BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

describe('the places of the page', () => {
  let opened: PageWorld | undefined;
  let world: World;
  let browser: Browser;
  let carol: TestUser;
  let reader: Reader;
  let page: Page;

  before(async function () {
    opened = await openPageWorld(this, async (made) => {
      carol = await made.user('carol');
      for (let number = 1; number <= 60; number += 1) {
        await carol.post('/posts', { title: `Post ${number}`, content: 'Some text. '.repeat(20) });
      }
    });
    ({ reader, page, world, browser } = opened);
  });
  after(() => opened?.close());

  const path = () => page.evaluate<string>('location.pathname + location.search');

  it('have an address each, where a browser gets the page and everyone else what the API says', async () => {
    for (const address of [
      '/home',
      '/drafts',
      '/account',
      '/account/mutes',
      '/search?q=x',
      '/tags/a',
      '/p/1',
      '/@carol',
      '/@carol/following',
    ]) {
      const html = await fetch(world.url + address, { headers: AS_BROWSER });
      expect(html.status, address).to.equal(200);
      expect(html.headers.get('content-type'), address).to.match(/^text\/html/);
      expect(html.headers.get('cache-control'), address).to.equal('no-cache');
      expect(html.headers.get('vary'), address).to.contain('Accept');
      expect(html.headers.get('content-security-policy'), address).to.contain("script-src 'self'");
      expect(await html.text(), 'nothing of it without an account').to.match(
        /<title>Tidings<\/title><meta name="robots" content="noindex">/,
      );
      expect((await fetch(world.url + address)).status, address).to.equal(404);
      expect((await fetch(world.url + address, { method: 'POST', headers: AS_BROWSER })).status).to.equal(
        404,
      );
    }
    expect(await (await fetch(`${world.url}/robots.txt`)).text()).to.match(/^Disallow: \/$/m);
    // One is a path of the API too.
    const shared = await fetch(`${world.url}/notifications`, { headers: AS_BROWSER });
    expect(shared.headers.get('content-type')).to.match(/^text\/html/);
    expect(shared.headers.get('vary')).to.contain('Accept');
    expect((await fetch(`${world.url}/notifications`)).status).to.equal(401);
    for (const address of [
      '/p/x',
      '/p/1/x',
      '/tags',
      '/@',
      '/@carol/x',
      '/account/x',
      '/nowhere',
      '/p/%E0',
    ]) {
      expect((await fetch(world.url + address, { headers: AS_BROWSER })).status, address).to.be.oneOf([
        400, 404,
      ]);
    }
    const post = await fetch(`${world.url}/posts/1`, { headers: AS_BROWSER });
    expect(post.headers.get('content-type')).to.match(/json/);
  });

  it('are reached by links, by Back and by a reload, each with its title', async () => {
    await page.getByRole('link', { name: 'Top' }).click();
    await comesToBe(() => path(), '/?sort=top');
    await comesToBe(() => page.title(), 'Top posts · Tidings');
    await page.getByRole('link', { name: 'Drafts' }).click();
    await comesToBe(() => path(), '/drafts');
    await comesToBe(() => page.title(), 'Drafts · Tidings');
    await until('the title to have the focus', () =>
      page.evaluate<boolean>('document.activeElement.textContent === "Drafts"'),
    );
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.reload();
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    await comesToBe(() => page.title(), 'Your account · Tidings');
    await page.goBack();
    await page.getByRole('heading', { name: 'Drafts' }).waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.textContent'), 'Drafts');
    await page.goBack();
    await page.locator('[aria-current="page"]', { hasText: 'Top' }).waitFor();
    await comesToBe(() => path(), '/?sort=top');
    await page.goBack();
    await page.locator('[aria-current="page"]', { hasText: 'New' }).waitFor();
    await comesToBe(() => page.title(), 'Tidings');
    reader.expectClean();
  });

  it('answer the click that leads to a list before they draw that, and then draw it piece by piece', async () => {
    await page.getByRole('link', { name: 'Drafts' }).click();
    await page.getByRole('heading', { name: 'Drafts' }).waitFor();
    // How many posts there are, in each frame since the list is there.
    await page.evaluate(`(() => {
      globalThis.drawn = [];
      const look = () => {
        if (document.querySelector('.entries')) drawn.push(document.querySelectorAll('.entries .post').length);
        if (drawn.at(-1) !== 20) requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    })()`);
    await page.getByRole('link', { name: 'Everyone' }).click();
    await reader.shows(page.locator('.post'), 20);
    const drawn = await page.evaluate<number[]>('drawn');
    expect(drawn[0], 'the place itself').to.equal(0);
    drawn.forEach((count, frame) => {
      expect(count - (drawn[frame - 1] ?? 0), `in frame ${frame} of ${drawn.join()}`).to.be.within(0, 5);
    });
    reader.expectClean();
  });

  it('lead from the drafts to the post that was published there, with the focus', async () => {
    await reader.write('Long thought about', '', 'Keep as draft');
    await page.getByRole('link', { name: 'Drafts' }).click();
    await reader.post('Long thought about').getByRole('button', { name: 'Publish' }).click();
    await comesToBe(() => path(), '/');
    await comesToBe(
      () => page.evaluate('document.activeElement.querySelector("h2")?.textContent'),
      'Long thought about',
    );
    await reader.delete('Long thought about');
    await reader.shows(reader.post('Long thought about'), 0);
    reader.expectClean();
  });

  it('are left at the post that was read, and found there by Back and by a reload', async () => {
    await page.goto(world.url);
    await reader.shows(reader.post('Post 60'));
    const target = reader.post('Post 22');
    await until('a post of the second page', async () => {
      await page.evaluate('scrollBy({ top: 1500, behavior: "instant" })');
      return (await target.count()) === 1;
    });
    const top = async () => Math.round((await target.boundingBox())?.y ?? -1);
    await reader.placeIsKept();
    const before = await top();
    await page.getByRole('link', { name: 'Drafts' }).click();
    await page.getByRole('heading', { name: 'Drafts' }).waitFor();
    await comesToBe(() => page.evaluate('scrollY'), 0);
    await page.goBack();
    await until('the post again', async () => (await target.count()) === 1 && (await top()) === before);
    await reader.placeIsKept();
    await page.reload();
    await until('the post again', async () => (await target.count()) === 1 && (await top()) === before);
    await page.evaluate('scrollTo(0, 0)');
    reader.expectClean();
  });

  it('are those of a search while one types, which takes nothing back of what is typed', async () => {
    const field = page.getByRole('searchbox');
    await field.pressSequentially('Post ');
    await page.waitForURL('**/search?q=Post');
    await page.getByRole('heading', { name: 'Posts with “Post”' }).waitFor();
    await field.pressSequentially('60');
    await page.waitForURL('**/search?q=Post+60');
    expect(await field.inputValue()).to.equal('Post 60');
    await page.getByRole('link', { name: 'Everyone' }).click();
    await comesToBe(() => field.inputValue(), '');
    await page.goBack();
    await comesToBe(() => field.inputValue(), 'Post 60');
    await page.getByRole('link', { name: 'Everyone' }).click();
    reader.expectClean();
  });

  it('end a search with Escape, which leads to where it began', async () => {
    await page.getByRole('link', { name: 'Hot' }).click();
    await page.keyboard.press('/');
    await page.keyboard.type('Post 6');
    await page.waitForURL('**/search?q=Post+6&sort=hot');
    await reader.shows(page.locator('.post'), 7);
    await comesToBe(() => page.title(), 'Post 6 · Search · Tidings');
    await page.keyboard.press('Escape');
    await page.waitForURL('**/?sort=hot');
    await comesToBe(() => page.getByRole('searchbox').inputValue(), '');
    await comesToBe(() => page.evaluate('document.activeElement === document.body'), true);
    // All of them are listed again; those far below may be an empty element of their height.
    await reader.shows(page.locator('.post[aria-posinset="10"]'));
    await page.goto(`${world.url}/?search=Post+60`);
    await reader.shows(page.locator('.post'), 1);
    reader.expectClean();
  });

  it('show the newest posts at the address of the newest when the pill is pressed', async () => {
    await page.goto(`${world.url}/?sort=top`);
    await reader.live();
    await reader.shows(page.locator('.post'), 20);
    await carol.post('/posts', { title: 'Came later', content: '' });
    await page.getByRole('button', { name: '1 new post' }).click();
    await reader.shows(reader.post('Came later'));
    await comesToBe(() => path(), '/');
    reader.expectClean();
  });

  it('wait for those who have to log in first, and are not those of the next user', async () => {
    const other = await Reader.open(browser, `${world.url}/drafts`, 'bob');
    await other.signUp();
    await other.page.getByRole('heading', { name: 'Drafts' }).waitFor();
    await other.page.getByRole('button', { name: 'Log out' }).click();
    await other.page.getByRole('button', { name: 'Log in' }).waitFor();
    await comesToBe(() => other.page.evaluate('location.pathname'), '/');
    other.expectClean();
    await other.leave();
  });

  it('begin with an account for who is new, and with the login for who has been here', async () => {
    const other = await Reader.open(browser, world.url, 'fay');
    await other.signUp();
    // Who follows nobody has something to read.
    await comesToBe(() => other.page.evaluate('location.pathname'), '/');
    await other.post('Came later').waitFor();
    await other.page.getByRole('button', { name: 'Log out' }).click();
    await other.page.reload();
    await other.page.getByRole('button', { name: 'Log in' }).waitFor();
    await other.page.goto(`${world.url}/#invitation=abc`);
    await other.page.reload();
    await other.page.getByRole('button', { name: 'Sign up' }).waitFor();
    await other.page.goto(`${world.url}/p/1`);
    await other.logIn();
    await comesToBe(() => other.page.evaluate('location.pathname'), '/p/1');
    await other.leave();
  });

  it('follow the browser: its passwords, its language, its colours, paper and a low window', async () => {
    const options = {
      locale: 'de-DE',
      forcedColors: 'active',
      viewport: { width: 1280, height: 300 },
    } as const;
    const other = await Reader.open(browser, world.url, 'dora', options);
    const kept = (label: string) =>
      other.page.getByLabel(label, { exact: true }).getAttribute('autocomplete');
    expect([await kept('Name'), await kept('E-Mail'), await kept('Passwort')]).to.deep.equal([
      'nickname',
      'username',
      'new-password',
    ]);
    await other.page.getByRole('button', { name: 'Registrieren' }).click();
    await other.shows(other.page.locator('.at-fault'), 2);
    await comesToBe(() => other.page.evaluate('document.activeElement.getAttribute("aria-invalid")'), 'true');
    const [outline, border] = await other.page.evaluate<string[]>(
      `(({ outlineColor, borderColor }) => [outlineColor, borderColor])(getComputedStyle(document.activeElement))`,
    );
    expect(outline, 'the focus does not hide the fault').to.equal(border);
    await other.page.getByLabel('Name').fill('dora');
    await other.page.getByLabel('E-Mail').fill(other.email);
    await other.page.getByLabel('Passwort', { exact: true }).fill(PASSWORD);
    await other.page.getByRole('button', { name: 'Registrieren' }).click();
    await other.live();
    await other.page
      .locator('.post time', { hasText: /^(vor |jetzt)/ })
      .first()
      .waitFor();
    expect(
      await other.page.evaluate('getComputedStyle(document.querySelector(".light")).backgroundColor'),
    ).to.equal(
      await other.page.evaluate(`(document.querySelector('.light').style.color = 'Highlight',
      getComputedStyle(document.querySelector('.light')).color)`),
    );
    await other.page.keyboard.press('j');
    await comesToBe(
      () => other.page.evaluate('getComputedStyle(document.activeElement).outlineStyle'),
      'solid',
    );
    // "Yesterday" is the day before, whatever the hour.
    await other.page.clock.setFixedTime(new Date(new Date().setHours(48, 30, 0, 0)));
    await other.turnAway(false);
    await other.page.locator('.post time', { hasText: 'vorgestern' }).first().waitFor();
    await other.page.getByRole('button', { name: 'Abmelden' }).click({ trial: true });
    await other.page.setViewportSize({ width: 320, height: 640 });
    const [mark, light] = [
      await other.page.locator('.masthead').boundingBox(),
      await other.page.locator('.light').boundingBox(),
    ];
    expect((mark?.x ?? 0) + (mark?.width ?? 0), 'no overlap').to.be.below(light?.x ?? 0);
    await other.page.emulateMedia({ media: 'print', forcedColors: 'none' });
    await other.page.evaluate('document.documentElement.dataset.theme = "dark"');
    expect(
      await other.page.evaluate('getComputedStyle(document.documentElement).colorScheme'),
      'dark letters, whatever colours were chosen',
    ).to.equal('light');
    expect(await other.page.getByRole('button', { name: 'Abmelden' }).isVisible()).to.equal(false);
    expect(await other.page.locator('.post').first().isVisible()).to.equal(true);
    other.expectClean({ networkMayFail: true });
    await other.leave();
  });

  it('have nothing that keeps anybody out', async () => {
    for (const address of ['/', '/search?q=Post', '/notifications', '/drafts', '/account']) {
      await page.goto(world.url + address);
      await page.locator('h1').waitFor();
      await reader.expectKeepsNobodyOut(address);
    }
    reader.expectClean();
  });
});
