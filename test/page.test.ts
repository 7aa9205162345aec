import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import axe, { type AxeResults } from 'axe-core';
import { expect } from 'chai';
import pg from 'pg';
import type { Browser } from 'playwright-core';
import type { PostView } from '../server/contract.ts';
import { packageRoot } from '../server/paths.ts';
import { version } from '../server/version.ts';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { createDatabase } from './support/postgres.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { startTwoNodes, type TwoNodes } from './support/two-nodes.ts';
import { until } from './support/waiting.ts';
import { PASSWORD, signUp, type TestUser } from './support/world.ts';

const ARTEFACTS = join(packageRoot, 'test/artefacts');

describe('the page', () => {
  let nodes: TwoNodes;
  let browser: Browser;
  /** Looks at the first node, bob at the second. */
  let alice: Reader;
  let bob: Reader;
  /** Writes without a page. */
  let carol: TestUser;

  before(async () => {
    await buildPage();
    await mkdir(ARTEFACTS, { recursive: true });
    [nodes, browser] = await Promise.all([startTwoNodes(), launchBrowser()]);
    carol = await signUp(nodes.first.url, 'carol');
    alice = await Reader.open(browser, await nodes.addressBefore(nodes.first), 'alice', {
      reducedMotion: 'no-preference',
    });
    bob = await Reader.open(browser, await nodes.addressBefore(nodes.second), 'bob');
    await alice.signUp();
    await bob.signUp();
  });
  after(async () => {
    await browser?.close();
    await nodes?.stop();
  });

  beforeEach(async () => {
    for (const reader of [alice, bob]) await reader.goToTop();
  });
  // What the readers saw when something failed.
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    for (const reader of [alice, bob]) {
      await reader.page.screenshot({ path: join(ARTEFACTS, `failed-${reader.name}.png`) });
    }
  });

  const postByCarol = async (title: string, content = ''): Promise<PostView> => {
    const answer = await carol.post<PostView>('/posts', { title, content });
    expect(answer.status).to.equal(201);
    return answer.body;
  };

  it('is a small thing: hashed names kept for good, compressed, under 95 kB of script', async () => {
    const home = await fetch(nodes.first.url, { headers: { accept: 'text/html,*/*;q=0.8' } });
    expect(home.headers.get('content-type')).to.match(/^text\/html/);
    expect(home.headers.get('cache-control')).to.equal('no-cache');
    const html = await home.text();
    expect(html).not.to.match(/<script(?![^>]* src=)|<style| style=| on[a-z]+=|https?:/);
    const addresses = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? '');
    expect(addresses.some((address) => address.endsWith('.js'))).to.equal(true);
    const scripts = addresses.filter((address) => address.endsWith('.js'));
    const texts = new Map<string, string>();
    for (const address of addresses) {
      expect(address).to.match(/-[\w-]{8}\.\w+$/);
      const asset = await fetch(nodes.first.url + address, { headers: { 'accept-encoding': 'gzip' } });
      expect(asset.status, address).to.equal(200);
      expect(asset.headers.get('cache-control')).to.equal('public, max-age=31536000, immutable');
      expect(asset.headers.get('accept-ranges')).to.be.null;
      if (!address.endsWith('.js')) continue;
      expect(asset.headers.get('content-encoding')).to.equal('gzip');
      const part = await fetch(nodes.first.url + address, { headers: { range: 'bytes=0-5000' } });
      expect(part.status, 'a part of it').to.equal(200);
      texts.set(address, await asset.text());
    }
    // Another language may be loaded beside it, and what draws a code for cameras, and nothing else.
    const loaded = [...texts.values()].flatMap((text) =>
      [...text.matchAll(/\bimport\s*\(\s*[`'"]\.\/([^`'"]*)[`'"]\s*\)/g)].map(
        ([, name = '']) => `/assets/${name}`,
      ),
    );
    const [language = '', code = '', ...others] = loaded.toSorted();
    expect(language).to.match(/^\/assets\/de-[\w-]{8}\.js$/);
    expect(code).to.match(/^\/assets\/qr-code-[\w-]{8}\.js$/);
    expect(others).to.deep.equal([]);
    for (const text of texts.values()) expect(text.match(/\bimport\s*\(/g) ?? []).to.have.length(2);
    const sizeOf = (text: string) => gzipSync(text).length;
    const script = scripts.reduce((sum, address) => sum + sizeOf(texts.get(address) ?? ''), 0);
    const sizeAt = async (address: string) => sizeOf(await (await fetch(nodes.first.url + address)).text());
    expect(await sizeAt(language)).to.be.within(1000, 12_000);
    expect(await sizeAt(code)).to.be.within(1000, 7000);
    expect(script).to.be.within(10_000, 95_000);
  });

  it('says who is here to anyone who is no browser', async () => {
    const answer = await fetch(nodes.first.url);
    expect(await answer.json()).to.deep.equal({
      name: 'tidings',
      version,
      docs: '/docs',
      sign_up: 'open',
      sends_mail: false,
      public_read: false,
      oidc: null,
    });
    expect((await fetch(`${nodes.first.url}/assets/none.js`)).status).to.equal(404);
    const [script] = /\/assets\/[\w-]+\.js/.exec(
      await (await fetch(nodes.first.url, { headers: { accept: 'text/html' } })).text(),
    ) ?? [''];
    for (const path of [script, '/service-worker.js'])
      expect((await fetch(`${nodes.first.url}${path}`, { headers: { 'if-match': '"x"' } })).status).to.equal(
        412,
      );
  });

  it('tells what is wrong beside the field that it is about', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'alice');
    const { page } = reader;
    await page.getByLabel('Name').fill('al');
    await page.getByLabel('E-mail').fill('nobody');
    await page.getByRole('button', { name: 'Sign up' }).click();
    const fault = async (label: string) => {
      const field = page.getByLabel(label, { exact: true });
      await reader.shows(page.locator('.at-fault'), 3);
      const note = (await field.getAttribute('aria-describedby')) ?? '';
      return page.locator(`[id="${note}"]`).textContent();
    };
    expect(await fault('E-mail')).to.equal('This does not look like an e-mail address.');
    expect(await fault('Password')).to.equal('Please fill this in.');
    expect(await fault('Name')).to.match(/^Must be 3 to 30/);
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'username');

    await page.getByLabel('Name').fill('ALICE');
    await page.getByLabel('E-mail').fill('another@example.org');
    await page.getByLabel('Password', { exact: true }).fill('correct horse battery');
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.getByText('This name is taken.').waitFor();
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });

  it('shows on one node what is written, edited, voted for and deleted on the other', async () => {
    await alice.write('Good morning', 'from the first node');
    await alice.shows(alice.post('Good morning'));
    await bob.shows(bob.post('Good morning'));

    await bob.votes('Good morning').click();
    await alice.page
      .locator('.post', { hasText: 'Good morning' })
      .locator('.count', { hasText: /^1$/ })
      .waitFor();
    await comesToBe(() => bob.votes('Good morning').getAttribute('aria-pressed'), 'true');
    await comesToBe(() => alice.votes('Good morning').getAttribute('aria-pressed'), 'false');
    await alice.votes('Good morning').click();
    await bob.votes('Good morning').locator('.count', { hasText: /^2$/ }).waitFor();
    await bob.votes('Good morning').click();
    await alice.votes('Good morning').locator('.count', { hasText: /^1$/ }).waitFor();

    await alice.post('Good morning').getByRole('button', { name: 'Edit' }).click();
    const form = alice.page.getByRole('form', { name: 'Edit the post' });
    await form.getByLabel('Title').fill('');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('Please fill this in.').waitFor();
    await form.getByLabel('Title').fill('Good evening');
    await form.getByRole('button', { name: 'Save' }).click();
    await bob.shows(bob.post('Good evening'));
    await bob.shows(bob.post('Good morning'), 0);
    expect(await bob.post('Good evening').locator('.when').textContent()).to.contain('edited');
    expect(await bob.post('Good evening').getByRole('button', { name: 'Edit' }).count()).to.equal(0);

    await alice.delete('Good evening');
    await alice.shows(alice.post('Good evening'), 0);
    await bob.shows(bob.post('Good evening'), 0);
    alice.expectClean({ networkMayFail: true }); // the browser notes the refused empty title
    bob.expectClean();
  });

  it('keeps a draft from everyone until it is published, and takes a post back', async () => {
    await bob.write('Not yet', 'a thought', 'Keep as draft');
    await postByCarol('After the draft');
    await alice.comesIn('After the draft');
    expect(await alice.post('Not yet').count()).to.equal(0);
    expect(await bob.post('Not yet').count()).to.equal(0);

    await bob.page.getByRole('link', { name: 'Drafts' }).click();
    await bob.shows(bob.post('Not yet'));
    await bob.page.reload();
    await bob.live();
    await bob.page.getByRole('link', { name: 'Drafts' }).click();
    await bob.post('Not yet').getByRole('button', { name: 'Publish' }).click();
    await alice.shows(alice.post('Not yet'));
    await bob.shows(bob.post('Not yet'));

    await bob.post('Not yet').getByRole('button', { name: 'Edit' }).click();
    await bob.page.getByRole('button', { name: 'Withdraw' }).click();
    await bob.page.getByRole('alertdialog').getByRole('button', { name: 'Withdraw' }).click();
    await alice.shows(alice.post('Not yet'), 0);
    await bob.shows(bob.post('Not yet'), 0);
    await bob.page.getByRole('link', { name: 'Drafts' }).click();
    await bob.shows(bob.post('Not yet'));
    await bob.delete('Not yet');
    await bob.shows(bob.post('Not yet'), 0);
    await bob.page.getByRole('link', { name: 'Everyone' }).click();
    alice.expectClean();
    bob.expectClean();
  });

  it('counts a vote at once, says when it cannot be sent, and sends it when the connection is back', async () => {
    const { id } = await postByCarol('Vote for this');
    await alice.comesIn('Vote for this');
    const button = alice.votes('Vote for this');
    await alice.page.context().setOffline(true);
    await button.click();
    await comesToBe(() => button.getAttribute('aria-pressed'), 'true');
    await alice.page
      .getByText('Your vote is not counted yet. The server cannot be reached. It is sent again by itself.')
      .waitFor();
    expect(await button.getAttribute('aria-pressed')).to.equal('true');
    expect(await button.getAttribute('aria-label')).to.equal('Vote, 1 vote, yours is not sent yet');
    await alice.page.screenshot({ path: join(ARTEFACTS, 'vote-offline.png') });
    await alice.page.context().setOffline(false);
    await alice.page.getByText('Your vote is counted.').waitFor();
    await bob.votes('Vote for this').locator('.count', { hasText: /^1$/ }).waitFor();
    await comesToBe(() => button.getAttribute('aria-label'), 'Vote, 1 vote');

    // Four clicks in a row: the last wish stands, here and on the server.
    for (let clicks = 0; clicks < 4; clicks += 1) await button.click();
    await bob.votes('Vote for this').locator('.count', { hasText: /^1$/ }).waitFor();
    await comesToBe(() => button.getAttribute('aria-pressed'), 'true');
    await until(
      'one vote',
      async () =>
        (await carol.get<PostView>(`/posts/${id}`)).body.votes === 1 && (await button.textContent()) === '1',
    );
    alice.expectClean({ networkMayFail: true });
  });

  it('shows a vote as one’s own in one’s other windows too', async () => {
    await postByCarol('Seen in two windows');
    await alice.comesIn('Seen in two windows');
    const other = await alice.page.context().newPage();
    await other.goto(alice.page.url());
    const button = other.locator('.post', { hasText: 'Seen in two windows' }).locator('.vote');
    await alice.votes('Seen in two windows').click();
    await button.and(other.locator('[aria-pressed="true"]')).waitFor();
    await button.click();
    await alice.votes('Seen in two windows').and(alice.page.locator('[aria-pressed="false"]')).waitFor();
    await other.close();
  });

  it('shows a vote as one’s own in a window that is only now reading its list', async () => {
    await postByCarol('Seen while reading');
    await alice.comesIn('Seen while reading');
    const other = await alice.page.context().newPage();
    const voted = alice.page.waitForResponse((response) => response.url().endsWith('/vote'));
    const fetched = new Promise<void>((resolve) => {
      void other.route(/\/posts\?/, async (route) => {
        // The answer is of before the vote, and comes after it.
        const response = await route.fetch();
        resolve();
        await voted;
        await other.waitForTimeout(200);
        await route.fulfill({ response });
      });
    });
    await other.goto(alice.page.url());
    await fetched;
    await alice.votes('Seen while reading').click();
    const button = other.locator('.post', { hasText: 'Seen while reading' }).locator('.vote');
    await button.and(other.locator('[aria-pressed="true"]')).waitFor();
    await other.close();
  });

  const listIsStill = () =>
    alice.page.evaluate<boolean>('document.querySelector(".entries").getAnimations().length === 0');

  it('moves the list down for a post that comes in, from where it was, and lays it out once', async () => {
    await postByCarol('Above which it comes');
    // A page that has just been opened lets the next one in at once.
    await alice.page.reload();
    await alice.shows(alice.post('Above which it comes'));
    await alice.live();
    await until('the list to stand still', listIsStill);
    await alice.page.evaluate(`(() => {
      const list = document.querySelector('.entries');
      const known = document.querySelector('.post');
      const { top } = known.getBoundingClientRect();
      globalThis.slide = undefined;
      const observer = new MutationObserver(() => {
        if (document.querySelector('.post') === known) return;
        observer.disconnect();
        requestAnimationFrame(() => {
          const [animation] = list.getAnimations().filter((one) => !(one instanceof CSSTransition));
          slide = {
            from: animation?.effect.getKeyframes()[0].transform ?? '',
            moved: known.getBoundingClientRect().top - top,
            height: list.querySelector('.post').getBoundingClientRect().height,
          };
        });
      });
      observer.observe(list, { childList: true, subtree: true });
    })()`);
    await postByCarol('That comes in');
    await alice.shows(alice.post('That comes in'));
    await until('the slide', () => alice.page.evaluate<boolean>('slide !== undefined'));
    const slide = await alice.page.evaluate<{ from: string; moved: number; height: number }>('slide');
    expect(slide.from).to.match(/^translateY\(-\d/);
    expect(-Number.parseFloat(slide.from.replace('translateY(', ''))).to.be.closeTo(slide.height, 1);
    expect(slide.moved, 'it begins where it was').to.be.closeTo(0, 1);
    await until('its end', listIsStill);
    alice.expectClean();
  });

  it('does not move the list under somebody who reads: new posts wait behind a pill', async () => {
    const began = Date.now();
    for (let number = 1; number <= 30; number += 1)
      await postByCarol(`Filling ${number}`, 'Some text. '.repeat(20));
    // They come faster than anyone could read: three come in at once, and then one in two seconds.
    const waiting = alice.page.getByRole('button', { name: /^\d+ new posts$/ });
    await until('all of them', async () => {
      const shown = (await alice.titles()).filter((title) => title.startsWith('Filling ')).length;
      expect(shown).to.be.at.most(3 + (Date.now() - began) / 2000);
      return (await alice.page.getByRole('button', { name: `${30 - shown} new posts` }).count()) === 1;
    });
    await waiting.click();
    await alice.shows(alice.post('Filling 30'));
    const anchor = alice.post('Filling 22');
    await anchor.scrollIntoViewIfNeeded();
    await until('scrolled down', () => alice.page.evaluate<boolean>('scrollY > 400'));
    await until('the slide to be over', listIsStill);
    const before = await anchor.boundingBox();
    for (let number = 1; number <= 12; number += 1) await postByCarol(`Waiting ${number}`);
    const pill = alice.page.getByRole('button', { name: '12 new posts' });
    await pill.waitFor();
    await comesToBe(() => alice.page.title(), '(12) Tidings');
    expect((await anchor.boundingBox())?.y).to.equal(before?.y);
    expect(await alice.post('Waiting 12').count()).to.equal(0);
    await pill.click();
    await until('the top', () => alice.page.evaluate<boolean>('scrollY === 0'));
    await comesToBe(
      async () => (await alice.titles()).slice(0, 13),
      [...Array.from({ length: 12 }, (_, index) => `Waiting ${12 - index}`), 'Filling 30'],
    );
    await comesToBe(() => alice.page.title(), 'Tidings');
    alice.expectClean();
  });

  it('continues as far as one scrolls, each post once', async () => {
    await bob.page.reload();
    await bob.live();
    const seen = new Map<string, number>();
    await until('the end of the list', async () => {
      await bob.page.mouse.wheel(0, 1500);
      // Asked first: what comes behind this question is looked at in any case.
      const isOver = (await bob.page.getByText('You have seen it all.').count()) === 1;
      await until('what is near to be drawn', () =>
        bob.page.evaluate<boolean>(
          `[...document.querySelectorAll('.entries > div')].every((chunk) => {
            const { top, bottom } = chunk.getBoundingClientRect();
            return chunk.firstChild || bottom < -1500 || top > innerHeight + 1500;
          })`,
        ),
      );
      const shown = await bob.page.evaluate<[title: string, place: number][]>(
        `[...document.querySelectorAll('.post')].map((post) =>
            [post.querySelector('h2').textContent, Number(post.getAttribute('aria-posinset'))])`,
      );
      for (const [title, place] of shown) seen.set(title, place);
      return isOver;
    });
    expect([...seen.keys()].filter((title) => /^(Filling|Waiting) \d+$/.test(title))).to.have.length(42);
    const places = [...seen.values()].sort((a, b) => a - b);
    expect(places, 'each once').to.deep.equal(places.map((_, at) => at + 1));
    expect(await bob.page.locator('.post').count(), 'only what is near is drawn').to.be.lessThan(
      places.length,
    );
    await bob.page.evaluate('scrollTo(0, 0)');
    bob.expectClean();
  });

  it('sorts, searches, and comes back to both by its address', async () => {
    const { id } = await postByCarol('A heron at 100 %', 'on the third bench');
    await carol.put(`/posts/${id}/vote`);
    await bob.votes('A heron at 100 %').click();
    await bob.page.getByRole('link', { name: 'Top' }).click();
    await bob.page.waitForURL('**/?sort=top');
    await until('the top', async () => (await bob.titles())[0] === 'A heron at 100 %');
    await bob.page.keyboard.press('/');
    await bob.page.keyboard.type('0 %');
    await bob.page.waitForURL('**/search?q=0+%25&sort=top');
    await until('one match', async () => (await bob.titles()).join() === 'A heron at 100 %');
    await bob.page.reload();
    await until('one match again', async () => (await bob.titles()).join() === 'A heron at 100 %');
    await comesToBe(() => bob.page.getByRole('searchbox').inputValue(), '0 %');
    await bob.page.getByRole('searchbox').fill('no such thing');
    await bob.page.getByText('Nothing has all of “no”, “such” and “thing”.').waitFor();
    await bob.page.getByRole('link', { name: 'Tidings' }).click();
    await bob.shows(bob.post('Waiting 12'));
    bob.expectClean();
  });

  it('hands over whatever was missed while offline, once and in order', async () => {
    await alice.write('Before the tunnel');
    await bob.comesIn('Before the tunnel');
    await bob.page.context().setOffline(true);
    await bob.page.locator('.connection.offline').waitFor();
    await alice.write('In the tunnel, one');
    const { id } = await postByCarol('In the tunnel, two');
    await postByCarol('In the tunnel, three');
    await carol.delete(`/posts/${id}`);
    // Then nothing moves any more under the mouse.
    await alice.comesIn('In the tunnel, three');
    await alice.shows(alice.post('In the tunnel, two'), 0);
    await alice.delete('Before the tunnel');
    expect(await bob.post('Before the tunnel').count()).to.equal(1);
    await bob.page.context().setOffline(false);
    await bob.live();
    await bob.comesIn('In the tunnel, three');
    await bob.shows(bob.post('Before the tunnel'), 0);
    await comesToBe(
      async () => (await bob.titles()).slice(0, 2),
      ['In the tunnel, three', 'In the tunnel, one'],
    );
    await bob.shows(bob.post('In the tunnel, two'), 0);
    bob.expectClean({ networkMayFail: true });
  });

  it('looks on through the other node when its own is killed', async () => {
    await nodes.second.kill();
    await postByCarol('While the node is dead');
    await bob.comesIn('While the node is dead');
    await alice.comesIn('While the node is dead');
    await bob.live();
    await bob.write('From the other node');
    await alice.comesIn('From the other node');
    await nodes.second.start();
    await nodes.first.kill();
    await bob.write('And back again');
    await alice.comesIn('And back again');
    await alice.live();
    await nodes.first.start();
    expect((await alice.titles()).slice(0, 3)).to.deep.equal([
      'And back again',
      'From the other node',
      'While the node is dead',
    ]);
    alice.expectClean({ networkMayFail: true });
    bob.expectClean({ networkMayFail: true });
  });

  it('renews a token that lives three seconds without a word, also across a reload and in four tabs', async () => {
    const node = await nodes.another('brief', { ACCESS_TOKEN_TTL: '3s' });
    const reader = await Reader.open(browser, node.url, 'dora');
    const renewals: number[] = [];
    reader.page.context().on('response', (response) => {
      if (response.url().endsWith('/refresh')) renewals.push(response.status());
    });
    await reader.signUp();
    // Tabs that renew at the same moment must not spend one token twice: that would end the session of them all.
    const tabs = await Promise.all([1, 2, 3].map(() => reader.page.context().newPage()));
    for (const tab of tabs) {
      await tab.goto(node.url);
      await tab.locator('.connection.live').waitFor();
    }
    await until('ten renewals', () => renewals.length >= 10, 60_000);
    expect(new Set(renewals)).to.deep.equal(new Set([200]));
    await reader.write('Written with the tenth token');
    for (const tab of tabs)
      await tab.getByRole('heading', { name: 'Written with the tenth token' }).waitFor();
    await reader.page.reload();
    await reader.live();
    await reader.shows(reader.post('Written with the tenth token'));

    // And who leaves in one tab has left in the others.
    await reader.page.getByRole('button', { name: 'Log out' }).click();
    for (const tab of tabs) await tab.getByRole('button', { name: 'Log in' }).waitFor();
    await reader.page.reload();
    await reader.page.getByRole('button', { name: 'Log in' }).waitFor();
    // A token may end on its way on a slow machine: the browser notes the 401, and the client renews and asks again.
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });

  it('shows what an older database says that was put in the place of its own', async () => {
    const database = await createDatabase();
    const rows = new pg.Client({ connectionString: database.url });
    await rows.connect();
    const node = await nodes.another('restored', { DATABASE_URL: database.url, REDIS_URL: '' });
    const reader = await Reader.open(browser, node.url, 'fay');
    try {
      await reader.signUp();
      const gus = await signUp(node.url, 'gus');
      const { id } = (await gus.post<PostView>('/posts', { title: 'Then', content: '' })).body;
      await reader.shows(reader.post('Then'));
      await gus.patch(`/posts/${id}`, { title: 'Now' });
      await reader.shows(reader.post('Now'));
      await reader.votes('Now').click();
      await reader.votes('Now').locator('.count', { hasText: /^1$/ }).waitFor();
      await reader.write('Written since');
      await reader.shows(reader.post('Written since'));
      await rows.query(`
        with head as (update feed_head set epoch = gen_random_uuid()),
          post as (update posts set title = 'Then', version = 1 where id = ${id}),
          later as (delete from posts where title = 'Written since'),
          vote as (delete from votes where post_id = ${id})
        update post_tallies set votes = 0, rev = 0 where post_id = ${id}`);
      await reader.shows(reader.post('Then'));
      await comesToBe(() => reader.votes('Then').locator('.count').textContent(), '0');
      await comesToBe(() => reader.votes('Then').getAttribute('aria-pressed'), 'false');
      await comesToBe(() => reader.titles(), ['Then']);
      await reader.votes('Then').click();
      await reader.votes('Then').locator('.count', { hasText: /^1$/ }).waitFor();
      reader.expectClean();
    } finally {
      await reader.leave();
      await node.stop();
      await rows.end();
      await database.drop();
    }
    expect(node.misconduct).to.deep.equal([]);
  });

  it('says so when the session was ended elsewhere', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'erin');
    await reader.signUp();
    const { access_token: token } = (
      await carol.post<{ access_token: string }>('/login', { email: reader.email, password: carol.password })
    ).body;
    const ended = await fetch(`${nodes.second.url}/logout/all`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    expect(ended.status).to.equal(204);
    await reader.page.getByText('Your session has ended. Log in to go on.').waitFor();
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });

  it('changes the account, with each fault beside its field, and deletes it when asked twice', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'henry');
    const { page } = reader;
    await reader.signUp();
    await reader.write('By Henry');
    await alice.shows(alice.post('By Henry'));
    await page.getByRole('link', { name: 'Your account, henry' }).click();
    await until('the title to have the focus', () =>
      page.evaluate<boolean>('document.activeElement.id === "account-title"'),
    );
    const form = (name: string) => page.getByRole('form', { name, exact: true });
    const faultIn = (name: string, text: string) =>
      form(name).locator('.at-fault .fault').getByText(text).waitFor();

    await form('Name').getByLabel('Name').fill('ALICE');
    await form('Name').getByRole('button').click();
    await faultIn('Name', 'This name is taken.');
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'username');
    await form('Name').getByLabel('Name').fill('hal');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Your account, hal' }).waitFor();
    await alice.post('By Henry').locator('.who', { hasText: 'hal' }).waitFor();

    await form('E-mail').getByLabel('E-mail').fill('hal@example.org');
    await form('E-mail').getByLabel('Current password').fill('not this one');
    await form('E-mail').getByRole('button').click();
    await faultIn('E-mail', 'The password is wrong.');
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'current_password');
    await form('E-mail').getByLabel('Current password').fill(PASSWORD);
    await form('E-mail').getByRole('button').click();
    await page.getByText('Your e-mail address is changed.').waitFor();

    const elsewhere = await Reader.open(browser, nodes.second.url, 'hal');
    await elsewhere.logIn('hal@example.org');
    await form('Password').getByLabel('Current password').fill(PASSWORD);
    await form('Password').getByLabel('New password').fill('short');
    await form('Password').getByRole('button').click();
    await form('Password').locator('.at-fault').waitFor();
    const password = 'another horse battery';
    await form('Password').getByLabel('New password').fill(password);
    await form('Password').getByRole('button').click();
    await page.getByText('Your password is changed.').waitFor();
    await elsewhere.page.getByText('Your session has ended.').waitFor();
    expect(await form('Password').getByLabel('New password').inputValue(), 'nothing is left').to.equal('');
    await elsewhere.leave();

    const dialog = page.getByRole('alertdialog');
    const ending = form('Delete the account');
    await ending.getByLabel('Your password').fill(PASSWORD);
    await ending.getByRole('button').click();
    await dialog.getByRole('button', { name: 'Delete everything' }).click();
    await faultIn('Delete the account', 'The password is wrong.');
    await ending.getByLabel('Your password').fill(password);
    await ending.getByRole('button').click();
    await dialog.getByRole('button', { name: 'Keep it' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await alice.post('By Henry').count()).to.equal(1);
    await ending.getByLabel('Your password').fill(password);
    await ending.getByRole('button').click();
    await dialog.getByRole('button', { name: 'Delete everything' }).click();
    await page.getByText('Your account is deleted, with everything in it.').waitFor();
    await page.getByRole('button', { name: 'Sign up' }).waitFor();
    await alice.shows(alice.post('By Henry'), 0);
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });

  it('logs one out everywhere when asked twice', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'ivy');
    await reader.signUp();
    const elsewhere = await Reader.open(browser, nodes.second.url, 'ivy');
    await elsewhere.logIn();
    await reader.page.getByRole('link', { name: 'Your account, ivy' }).click();
    await reader.page.getByRole('button', { name: 'Log out everywhere' }).click();
    await reader.page.getByRole('alertdialog').getByRole('button', { name: 'Log out' }).click();
    await reader.page.getByRole('button', { name: 'Log in' }).waitFor();
    await elsewhere.page.getByText('Your session has ended.').waitFor();
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
    await elsewhere.leave();
  });

  it('downloads all that one has written and set', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'exporter');
    await reader.signUp();
    await reader.page.goto(`${nodes.first.url}/account`);
    const [download] = await Promise.all([
      reader.page.waitForEvent('download'),
      reader.page.getByRole('button', { name: 'Download my data' }).click(),
    ]);
    expect(download.suggestedFilename()).to.match(/^tidings-exporter-\d{4}-\d{2}-\d{2}\.ndjson$/);
    const text = await readFile(await download.path(), 'utf8');
    expect(text).to.include('"username":"exporter"').and.include('{"kind":"end"');
    await reader.page.getByText('Your data is downloaded.').waitFor();
    reader.expectClean();
    await reader.leave();
  });

  it('lists where one is logged in, and ends one of these sessions when asked twice', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'jon');
    await reader.signUp();
    const elsewhere = await Reader.open(browser, nodes.second.url, 'jon');
    await elsewhere.logIn();
    await reader.page.getByRole('link', { name: 'Your account, jon' }).click();
    const sessions = reader.page.getByRole('list', { name: 'Sessions' }).getByRole('listitem');
    await sessions.filter({ hasText: 'This session' }).waitFor();
    expect(await sessions.allInnerTexts()).to.have.lengthOf(2);
    await sessions.getByRole('button', { name: 'End the session of Chrome on Linux' }).click();
    await reader.page.getByRole('alertdialog').getByRole('button', { name: 'End it' }).click();
    await elsewhere.page.getByText('Your session has ended.').waitFor();
    await sessions.filter({ hasNotText: 'This session' }).waitFor({ state: 'detached' });
    expect(await sessions.count()).to.equal(1);
    expect(await reader.page.getByRole('link', { name: 'Your account, jon' }).count()).to.equal(1);
    reader.expectClean();
    await reader.leave();
    await elsewhere.leave();
  });

  it('shows a hostile post as the text that it is', async () => {
    const title = '<img src=x onerror=alert(1)> \u202egnp.exe 👩‍👩‍👧‍👦';
    const content = `<script>document.title = 'taken'</script>${'🦩é\u0301'.repeat(200)}${'w'.repeat(2000)}`;
    const long = content.padEnd(10_000, 'Zeichen ohne Ende. ');
    await postByCarol(title, long.slice(0, 10_000));
    await postByCarol('\u200f\u202e\u2066.', '\n'.repeat(9000));
    const post = bob.page.locator('.post', { hasText: 'gnp.exe' });
    await bob.shows(post);
    await alice.shows(alice.page.locator('.post', { hasText: 'gnp.exe' }));
    expect(await post.locator('h2').textContent()).to.equal(title);
    expect(await post.locator('h2').getAttribute('dir')).to.equal('auto');
    expect(await post.locator('.text').textContent()).to.equal(long.slice(0, 10_000));
    await comesToBe(() => bob.page.title(), 'Tidings');
    expect(await bob.page.locator('.post img, .post script').count()).to.equal(0);
    const more = post.getByRole('button', { name: 'More' });
    await more.waitFor();
    const folded = (await post.boundingBox())?.height ?? 0;
    expect(folded).to.be.lessThan(500);
    await more.click();
    await post.getByRole('button', { name: 'Less' }).waitFor();
    expect((await post.boundingBox())?.height).to.be.greaterThan(2 * folded);
    await post.getByRole('button', { name: 'Less' }).click();
    for (const width of [1280, 360]) {
      await bob.page.setViewportSize({ width, height: 900 });
      expect(
        await bob.page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
        `${width}`,
      ).to.equal(true);
    }
    await bob.page.setViewportSize({ width: 1280, height: 900 });
    alice.expectClean({ networkMayFail: true });
    bob.expectClean({ networkMayFail: true });
  });

  it('can be used by keys alone', async () => {
    const { page } = alice;
    // Of posts that come faster than one in two seconds, after some at once, the next wait to be asked for.
    await page.waitForTimeout(4500);
    await postByCarol('Second by keys');
    await postByCarol('First by keys');
    await alice.comesIn('First by keys');
    await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('v');
    await bob.votes('Second by keys').locator('.count', { hasText: /^1$/ }).waitFor();
    await page.keyboard.press('k');
    await comesToBe(
      () => page.evaluate('document.activeElement.querySelector("h2")?.textContent'),
      'First by keys',
    );
    await page.keyboard.press('n');
    await until('the title', () => page.evaluate<boolean>('document.activeElement.name === "title"'));
    await page.keyboard.type('Typed: jkv?/');
    await page.keyboard.press('Control+Enter');
    await bob.shows(bob.post('Typed: jkv?/'));
    // The others may hear of it before its writer has the answer and the form is closed.
    await until('the form to be left', () =>
      page.evaluate<boolean>('!document.activeElement.closest("form")'),
    );
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('next post').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('Tab');
    alice.expectClean();
  });

  it('puts the focus on the next post when the one that has it goes', async () => {
    const { id } = await postByCarol('Going');
    await alice.comesIn('Going');
    await alice.page.keyboard.press('Escape');
    await alice.page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
    await alice.page.keyboard.press('j');
    await carol.delete(`/posts/${id}`);
    await alice.shows(alice.post('Going'), 0);
    await comesToBe(
      () => alice.page.evaluate('document.activeElement.querySelector("h2")?.textContent'),
      'Typed: jkv?/',
    );
    // Also while something is asked about it.
    const asked = await postByCarol('Asked about');
    await alice.comesIn('Asked about');
    await alice.post('Asked about').getByRole('button', { name: 'Report' }).click();
    await alice.page.getByRole('dialog').getByLabel('Note').fill('This');
    await carol.delete(`/posts/${asked.id}`);
    await alice.shows(alice.post('Asked about'), 0);
    await comesToBe(
      () => alice.page.evaluate('document.activeElement.querySelector("h2")?.textContent'),
      'Typed: jkv?/',
    );
    alice.expectClean();
  });

  it('has nothing at all that keeps anybody out, in light and in dark', async function () {
    this.timeout(240_000);
    const reader = await Reader.open(browser, nodes.first.url, 'frank');
    const { page } = reader;
    await page.evaluate(axe.source);
    const serious = async (rules: string): Promise<string[]> => {
      const { violations, passes } = await page.evaluate<AxeResults>(`axe.run(${rules})`);
      expect(passes).not.to.be.empty;
      return violations.map(({ id, nodes: found }) => `${id}: ${found.map(({ html }) => html).join(' ')}`);
    };
    const found = async (): Promise<Record<string, string[]>> => {
      const inColours: Record<string, string[]> = {};
      for (const [colorScheme, rules] of [
        ['light', '{}'],
        // The same page but for its colours.
        ['dark', `{ runOnly: ['color-contrast', 'button-name'] }`],
      ] as const) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(
          'Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))',
        );
        inColours[colorScheme] = await serious(rules);
      }
      return inColours;
    };
    const keepsNobodyOut = async (what: string) =>
      expect(await found(), what).to.deep.equal({ light: [], dark: [] });

    await keepsNobodyOut('welcome');
    await reader.signUp();
    const mine = 'Mine';
    await reader.write(mine, 'to be looked at');
    await reader.votes(mine).click();
    await keepsNobodyOut('feed');
    await page.getByLabel('Title').fill('x');
    await reader.post(mine).getByRole('button', { name: 'Edit' }).click();
    await keepsNobodyOut('editing');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    await keepsNobodyOut('keys');
    await page.keyboard.press('Escape');
    await reader.write('Kept', '', 'Keep as draft');
    await page.getByRole('link', { name: 'Drafts' }).click();
    await reader.shows(reader.post('Kept'));
    await keepsNobodyOut('drafts');
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.locator('.ending').waitFor();
    await keepsNobodyOut('account');
    await page.getByRole('form', { name: 'Password' }).getByRole('button').click();
    await reader.shows(page.locator('.at-fault'), 2);
    await keepsNobodyOut('faults of the account');
    await page.getByRole('link', { name: 'Everyone' }).click();
    await reader.shows(reader.post(mine));
    // A planted fault is found: without this the lines above might look at nothing.
    await page.evaluate('document.querySelector(".post h2").after(document.createElement("button"))');
    const { light = [], dark = [] } = await found();
    for (const violations of [light, dark]) expect(violations.join()).to.contain('button-name');
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused password
    await reader.leave();
  });

  it('remembers the colours that one has chosen', async () => {
    const reader = await Reader.open(browser, nodes.first.url, 'grace', { colorScheme: 'light' });
    const background = () => reader.page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await reader.page.getByRole('button', { name: 'Colours: as the system' }).click();
    await reader.page.getByRole('button', { name: 'Colours: light' }).click();
    await until('other colours', async () => (await background()) !== light);
    await reader.page.reload();
    await reader.page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    await until('other colours', async () => (await background()) !== light);
    reader.expectClean();
    await reader.leave();
  });

  it('leaves pictures of itself to be looked at', async function () {
    this.timeout(240_000);
    await postByCarol('Night train report: Vienna to Rome', 'Slept five hours, woke to the sea. '.repeat(30));
    await postByCarol('من يطعم مالك الحزين؟', 'ينتظر عند المقعد الثالث كل صباح.');
    await alice.write(
      'Swifts sleep on the wing',
      'Months without landing.\n\nMeanwhile I need a particular pillow.',
    );
    await postByCarol(
      'Who feeds the heron?',
      'It now waits at the third bench and looks offended if nobody comes.',
    );
    await alice.shows(alice.post('Who feeds the heron?'));
    await alice.votes('Who feeds the heron?').click();
    const reader = await Reader.open(browser, nodes.first.url, 'alice');
    const { page } = reader;
    const shoot = async (what: string) => {
      for (const [colorScheme, widths] of [
        ['light', [360, 1440]],
        ['dark', [360, 768, 1440]],
      ] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of widths) {
          await page.setViewportSize({ width, height: 900 });
          await page.screenshot({ path: join(ARTEFACTS, `${what}-${colorScheme}-${width}.png`) });
          const fits = await page.evaluate('document.documentElement.scrollWidth <= innerWidth');
          expect(fits, `${what} at ${width}`).to.equal(true);
        }
      }
    };
    await shoot('welcome');
    await reader.logIn(alice.email);
    await page.locator('.post').first().waitFor();
    await shoot('feed');
    await reader.post('Swifts sleep on the wing').getByRole('button', { name: 'Edit' }).click();
    await shoot('editing');
    await page.keyboard.press('Escape');
    await page.getByLabel('Title').fill('A thought on its way');
    await shoot('writing');
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.locator('.ending').waitFor();
    await shoot('account');
    await page.getByRole('link', { name: 'Tidings' }).click();
    await page.context().setOffline(true);
    await page.locator('.connection.offline').waitFor();
    await shoot('offline');
    await page.context().setOffline(false);
    await reader.live();
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });

  it('was served by nodes that behaved', () => {
    expect([...nodes.first.misconduct, ...nodes.second.misconduct]).to.deep.equal([]);
  });
});
