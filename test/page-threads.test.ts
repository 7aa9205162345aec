import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, type Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import type { TestUser, World } from './support/world.ts';

describe('threads on the page', () => {
  let opened: PageWorld | undefined;
  let world: World;
  let carol: TestUser;
  let dave: TestUser;
  let reader: Reader;
  let page: Page;
  let root: number;

  before(async function () {
    opened = await openPageWorld(this, async (made) => {
      [carol, dave] = [await made.user('carol'), await made.user('dave')];
      root = (await carol.post<{ id: number }>('/posts', { title: 'Who feeds the heron?', content: '' })).body
        .id;
    });
    ({ reader, page, world } = opened);
  });
  after(() => opened?.close());

  const reply = async (by: TestUser, to: number, content: string) =>
    (await by.post<{ id: number }>(`/posts/${to}/replies`, { content })).body.id;
  const texts = () => page.locator('.reply .text, .reply .tombstone').allTextContents();
  /** The text of the reply that has the focus. */
  const focused = () => page.evaluate<string>('document.activeElement.querySelector(".text")?.textContent');
  const answer = () => page.getByRole('form', { name: 'Reply to carol' }).first();

  it('are reached by the number of replies, which is live', async () => {
    await reader.post('Who feeds the heron?').getByRole('link', { name: 'Reply' }).waitFor();
    await reply(dave, root, 'Not me.');
    const count = reader.post('Who feeds the heron?').getByRole('link', { name: '1 reply' });
    await count.click();
    await reader.shows(page.locator('.reply'), 1);
    await comesToBe(() => page.evaluate('location.pathname'), `/p/${root}`);
    await comesToBe(() => page.title(), '“Who feeds the heron?” · Tidings');
    await page.reload();
    await reader.shows(page.locator('.reply'), 1);
    reader.expectClean();
  });

  it('show what comes under all others, one’s own at once, and let what comes between them wait', async () => {
    await answer().getByLabel('Text').fill('I would, if');
    const first = Number(await page.locator('.reply').first().getAttribute('data-post'));
    const second = await reply(carol, root, 'The kiosk does.');
    await reader.shows(page.locator('.reply'), 2);
    await reply(dave, second, 'On Sundays?');
    await reader.shows(page.locator('.reply'), 3);
    const between = await reply(carol, first, 'Nor me.');
    const wait = page.getByRole('button', { name: '1 new reply' });
    await wait.waitFor();
    expect(await texts()).to.deep.equal(['Not me.', 'The kiosk does.', 'On Sundays?']);
    expect(await answer().getByLabel('Text').inputValue()).to.equal('I would, if');
    await page.locator('.reply').first().getByRole('button', { name: 'Reply' }).click();
    await page.getByRole('form', { name: 'Reply to dave' }).getByLabel('Text').fill('Why not?');
    await page.keyboard.press('Control+Enter');
    await page.getByText('Why not?').waitFor();
    await comesToBe(texts, ['Not me.', 'Why not?', 'The kiosk does.', 'On Sundays?']);

    // What is below the replies is moved by none of them while somebody is about to press it.
    await wait.hover();
    const { y } = (await wait.boundingBox()) ?? {};
    await reply(carol, root, 'I shall ask.');
    const both = page.getByRole('button', { name: '2 new replies' });
    await both.waitFor();
    expect((await both.boundingBox())?.y).to.equal(y);
    await page.mouse.move(2, 2);
    await reader.shows(page.locator('.reply'), 5);
    await wait.focus();
    await reply(dave, between, 'Who, then?');
    await reply(dave, root, 'Thank you.');
    await page.getByRole('button', { name: '3 new replies' }).press('Enter');
    await reader.shows(page.locator('.reply'), 8);
    expect(await texts()).to.deep.equal([
      'Not me.',
      'Nor me.',
      'Who, then?',
      'Why not?',
      'The kiosk does.',
      'On Sundays?',
      'I shall ask.',
      'Thank you.',
    ]);
    expect(await answer().getByLabel('Text').inputValue()).to.equal('I would, if');
    await comesToBe(() => focused(), 'Nor me.');
    await page.reload();
    await reader.shows(page.locator('.reply'), 8);
    expect(await answer().getByLabel('Text').inputValue(), 'after a reload').to.equal('I would, if');
    await answer().getByRole('button', { name: 'Discard' }).click();
    reader.expectClean();

    await carol.patch(`/posts/${second}`, { content: 'The kiosk did.' });
    await page.getByText('The kiosk did.').waitFor();
    await carol.delete(`/posts/${second}`);
    await page.locator('.tombstone').waitFor();
    expect((await texts()).slice(3, 6)).to.deep.equal(['Why not?', 'deleted', 'On Sundays?']);
    await page.locator('.reply', { hasText: 'On Sundays?' }).locator('.vote').click();
    await page.locator('.reply', { hasText: 'On Sundays?' }).locator('.count', { hasText: /^1$/ }).waitFor();
    reader.expectClean();
  });

  it('are drawn to their end, and found by Back where one was', async () => {
    const { id } = (await carol.post<{ id: number }>('/posts', { title: 'A long one', content: '' })).body;
    for (let number = 1; number <= 45; number += 1) await reply(dave, id, `Reply ${number}`);
    await page.goto(`${world.url}/p/${id}`);
    await reader.shows(page.locator('.reply'), 45);
    const target = page.locator('.reply', { hasText: /Reply 40\D/ });
    await target.scrollIntoViewIfNeeded();
    const top = async () => Math.round((await target.boundingBox())?.y ?? -1);
    const before = await top();
    await page.getByRole('link', { name: 'Drafts' }).click();
    await page.getByRole('heading', { name: 'Drafts' }).waitFor();
    await page.goBack();
    await until('the reply again', async () => (await target.count()) === 1 && (await top()) === before);
    // One's own reply is far below the form that it was written in.
    await reader.goToTop();
    await answer().getByLabel('Text').fill('The last word');
    await page.keyboard.press('Control+Enter');
    await comesToBe(() => focused(), 'The last word');
    const isOnScreen = `(() => {
      const { top, bottom } = document.activeElement.getBoundingClientRect();
      return top > 0 && bottom <= innerHeight;
    })()`;
    await until('the own reply', () => page.evaluate<boolean>(isOnScreen));
    // Who is elsewhere by then is told.
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/replies', async (route) => {
      if (route.request().method() === 'POST') await held;
      await route.continue();
    });
    await answer().getByLabel('Text').fill('And another');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('searchbox').focus();
    letGo();
    await page.getByText('Your reply is published.').waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'search');
    await page.unroute('**/replies');
    await page.goto(`${world.url}/p/${root}`);
    await reader.shows(page.locator('.reply'), 8);
    reader.expectClean();
  });

  it('keep what is written in answer to one that goes, to be copied or discarded', async () => {
    const { id } = (await carol.post<{ id: number }>('/posts', { title: 'Soon over', content: '' })).body;
    const first = await reply(dave, id, 'Soon gone.');
    await page.goto(`${world.url}/p/${id}`);
    await page.locator('.reply').getByRole('button', { name: 'Reply' }).click();
    await page.getByRole('form', { name: 'Reply to dave' }).getByLabel('Text').fill('Half of an answer');
    await dave.delete(`/posts/${first}`);
    await page.getByText('This can no longer be answered.').waitFor();
    await reader.expectKeepsNobodyOut('what is kept');
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Your text is copied.').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).to.equal('Half of an answer');
    await page.locator('.kept-words').getByRole('button', { name: 'Discard' }).click();
    await reader.shows(page.locator('.kept-words'), 0);
    await reader.shows(page.locator('.reply'), 0);

    await answer().getByLabel('Text').fill('Half of another');
    await carol.delete(`/posts/${id}`);
    await page.getByRole('heading', { name: 'There is no such post' }).waitFor();
    await page.locator('.kept-words').getByText('Half of another').waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.textContent'), 'There is no such post');
    await page.getByRole('button', { name: 'Discard' }).click();
    await reader.shows(page.locator('.kept-words'), 0);
    reader.expectClean();
  });

  it('hand the focus on from a reply that its author deletes, and say that it is gone', async () => {
    const { id } = (await carol.post<{ id: number }>('/posts', { title: 'A short one', content: '' })).body;
    await page.goto(`${world.url}/p/${id}`);
    await answer().getByLabel('Text').fill('Written in haste.');
    await page.keyboard.press('Control+Enter');
    const own = page.locator('.reply', { hasText: 'Written in haste.' });
    await own.waitFor();
    await reply(carol, id, 'And then.');
    await page.getByText('And then.').waitFor();
    await own.getByRole('button', { name: 'Delete' }).press('Enter');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).press('Enter');
    await reader.shows(own, 0);
    await comesToBe(() => page.evaluate('document.activeElement.closest(".reply") !== null'), true);
    await page.getByText('“Written in haste.” was removed.').waitFor({ state: 'attached' });
    reader.expectClean();
  });

  it('take no letters as keys that were meant for a field which is gone', async () => {
    const typed = (last: string) =>
      page.evaluate<boolean>(`(() => {
        const field = document.body.appendChild(document.createElement('input'));
        const press = (target, key) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        press(field, '${last}');
        field.remove();
        press(document.body, '/');
        const isFound = document.activeElement.name === 'search';
        document.activeElement.blur();
        return isFound;
      })()`);
    expect(await typed('a')).to.equal(false);
    expect(await typed('Escape'), 'after a field that was left').to.equal(true);
  });

  it('come by themselves once the service answers again', async () => {
    let isDown = true;
    await page.route(`**/posts/${root}`, (route) => (isDown ? route.abort() : route.continue()));
    await page.goto(`${world.url}/p/${root}`);
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    isDown = false;
    await reader.shows(page.locator('.reply'), 8);
    await page.unroute(`**/posts/${root}`);
    reader.expectClean({ networkMayFail: true });
  });

  it('show what has the focus below what stays on top of a narrow page', async () => {
    await page.setViewportSize({ width: 640, height: 500 });
    await page.locator('.reply').last().getByRole('button', { name: 'Reply' }).focus();
    const isBelow = `(() => {
      const rail = document.querySelector('.rail').getBoundingClientRect();
      return document.activeElement.getBoundingClientRect().top >= rail.bottom;
    })()`;
    for (let back = 1; back <= 20; back += 1) {
      await page.keyboard.press('Shift+Tab');
      expect(await page.evaluate(isBelow), `${back} back`).to.equal(true);
    }
    await page.setViewportSize({ width: 640, height: 400 });
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    await comesToBe(() => page.evaluate('document.querySelector("dialog[open]")?.scrollTop'), 0);
    await page.keyboard.press('Escape');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  it('keep nobody out', async () => {
    await page.locator('.reply').first().getByRole('button', { name: 'Reply' }).click();
    await reader.expectKeepsNobodyOut();
  });

  it('say that a post is gone, and that one may not answer', async () => {
    const { id } = (await carol.get<{ id: number }>('/users/by-name/alice')).body;
    await carol.put(`/users/${id}/block`);
    await answer().getByLabel('Text').fill('Hello?');
    await answer().getByRole('button', { name: 'Reply' }).click();
    await page.getByText('This is not possible between you and this user.').waitFor();
    expect(await answer().getByLabel('Text').inputValue()).to.equal('Hello?');
    await page.goto(`${world.url}/p/999999`);
    await page.getByRole('heading', { name: 'There is no such post' }).waitFor();
    reader.expectClean({ networkMayFail: true });
  });
});
