import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, type Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import type { TestUser, World } from './support/world.ts';

describe('home and tags on the page', () => {
  let opened: PageWorld | undefined;
  let world: World;
  let carol: TestUser;
  let dave: TestUser;
  let reader: Reader;
  let page: Page;

  before(async function () {
    opened = await openPageWorld(this, async (made) => {
      [carol, dave] = [await made.user('carol'), await made.user('dave')];
      await carol.post('/posts', { title: 'Heron news', content: 'It is back. #Birds' });
      await dave.post('/posts', { title: 'Night train', content: 'Late again. #trains' });
      const long = await made.user('a-name-of-as-many-as-30.letter');
      await long.post('/posts', { title: 'By a long name', content: '' });
    });
    ({ reader, page, world } = opened);
  });
  after(() => opened?.close());

  it('offers those who wrote lately to who follows nobody, and shows their posts once followed', async () => {
    await page.getByRole('link', { name: 'Home', exact: true }).click();
    await page.getByRole('heading', { name: 'You follow nobody yet' }).waitFor();
    await comesToBe(() => page.title(), 'Home · Tidings');
    await page.getByText('Nothing yet from those whom you follow.').waitFor();
    await reader.expectKeepsNobodyOut();
    await page.setViewportSize({ width: 320, height: 640 });
    expect(
      await page.evaluate(
        'Math.max(...[...document.querySelectorAll(".suggestions button")].map((one) => one.getBoundingClientRect().right))',
      ),
      'of the buttons beside the names',
    ).to.be.below(320);
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole('button', { name: 'Follow carol' }).click();
    await reader.shows(reader.post('Heron news'));
    expect(await reader.post('Night train').count()).to.equal(0);
    await page.getByRole('button', { name: 'Unfollow carol' }).click();
    await page.getByRole('button', { name: 'Follow carol', exact: true }).click();
    await page.getByRole('button', { name: 'Unfollow carol' }).waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.textContent'), 'Unfollow');
    reader.expectClean();
  });

  it('brings home what is written by those who are followed and by oneself, and nothing else', async () => {
    await dave.post('/posts', { title: 'Not at home', content: '' });
    await carol.post('/posts', { title: 'At home', content: '' });
    await reader.shows(reader.post('At home'));
    await reader.write('By myself');
    await reader.shows(reader.post('By myself'));
    await comesToBe(() => page.evaluate('location.pathname'), '/home');
    await comesToBe(() => reader.titles(), ['By myself', 'At home', 'Heron news']);
    await page.reload();
    await reader.shows(page.locator('.post'), 3);
    await reader.post('At home').getByRole('link', { name: 'carol' }).click();
    await page.getByRole('button', { name: 'Unfollow' }).click();
    await page.getByRole('button', { name: 'Follow', exact: true }).waitFor();
    await page.getByRole('link', { name: 'Home', exact: true }).click();
    await reader.shows(page.locator('.post'), 1);
    reader.expectClean();
  });

  it('lists the posts with a tag, as they come, and lets go of one that loses it', async () => {
    await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Everyone' }).click();
    await reader.post('Heron news').getByRole('link', { name: '#Birds' }).click();
    await page.getByRole('heading', { name: '#birds' }).waitFor();
    await comesToBe(() => page.evaluate('location.pathname'), '/tags/birds');
    await reader.shows(page.locator('.post'), 1);
    const { id } = (await dave.post<{ id: number }>('/posts', { title: 'An owl', content: '#BIRDS' })).body;
    await dave.post('/posts', { title: 'No bird', content: '#birdsong' });
    await reader.shows(reader.post('An owl'));
    await dave.patch(`/posts/${id}`, { content: 'none' });
    await reader.shows(reader.post('An owl'), 0);
    await comesToBe(() => reader.titles(), ['Heron news']);
    await reader.expectKeepsNobodyOut();
    await page.goto(`${world.url}/tags/${encodeURIComponent('東京')}`);
    await page.getByText('No post has the tag #東京.').waitFor();
    reader.expectClean();
  });

  it('do not move under the pointer: what came meanwhile comes in when that has gone', async () => {
    await page.goto(world.url);
    await reader.live();
    await page.locator('.vote').first().hover();
    await dave.post('/posts', { title: 'Under the pointer', content: '' });
    await page.getByRole('button', { name: '1 new post' }).waitFor();
    expect(await reader.post('Under the pointer').count()).to.equal(0);
    await page.mouse.move(2, 2);
    await reader.shows(reader.post('Under the pointer'));
    await page.evaluate('getSelection().selectAllChildren(document.querySelector(".post h2"))');
    await dave.post('/posts', { title: 'Beside a selection', content: '' });
    await page.getByRole('button', { name: '1 new post' }).waitFor();
    await page.evaluate('getSelection().removeAllRanges()');
    await reader.shows(reader.post('Beside a selection'));
    await page.keyboard.press('j');
    await dave.post('/posts', { title: 'Before the focus', content: '' });
    await page.getByRole('button', { name: '1 new post' }).waitFor();
    // On the way to the pill the focus leaves the list.
    await page.keyboard.press('Shift+Tab');
    await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
    expect(await page.evaluate('document.activeElement.className')).to.equal('pill');
    await page.keyboard.press('Enter');
    await reader.shows(reader.post('Before the focus'));
    await comesToBe(
      () => page.evaluate('document.activeElement.querySelector("h2")?.textContent'),
      'Before the focus',
    );
    reader.expectClean();
  });

  it('tell in the title what came while one was away, and where that ends', async () => {
    // Of posts that come faster than one in two seconds, after three at once, the next wait to be asked for.
    await page.waitForTimeout(4500);
    await reader.turnAway(true);
    const { length } = await reader.titles();
    for (const title of ['Missed one', 'Missed two']) await dave.post('/posts', { title, content: '' });
    await comesToBe(() => page.title(), '(2) Tidings');
    expect(await reader.titles(), 'drawn for nobody').to.have.length(length);
    await reader.turnAway(false);
    await reader.shows(page.locator('.post'), length + 2);
    await page.getByText('New since you left').waitFor();
    await comesToBe(() => page.title(), 'Tidings');
    expect(
      await page.locator('.post', { has: page.locator('.since') }).getAttribute('aria-posinset'),
    ).to.equal('3');
    await reader.expectKeepsNobodyOut();
    reader.expectClean();
  });

  it('tell a screen reader of what others do no more often than anyone could listen to', async () => {
    await page.evaluate(`(() => {
      globalThis.announcedAt = [];
      const region = document.querySelector('.unseen[role="status"]');
      new MutationObserver(() => announcedAt.push(performance.now())).observe(region, {
        childList: true,
        characterData: true,
        subtree: true,
      });
    })()`);
    const announcedAt = () => page.evaluate<number[]>('announcedAt');
    await dave.post('/posts', { title: 'Said first', content: '' });
    await until('the first to be said', async () => (await announcedAt()).length > 0);
    for (const title of ['Said then', 'Said too']) await dave.post('/posts', { title, content: '' });
    await until('the others to be said', async () => (await announcedAt()).length > 1);
    const [first = 0, second = 0] = await announcedAt();
    expect(second - first).to.be.above(3500);
    reader.expectClean();
  });
});
