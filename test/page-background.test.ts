import { expect } from 'chai';
import type { Page } from 'playwright-core';
import type { PostAnswer } from '../server/posts/present.ts';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import type { Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import { PASSWORD, type TestUser, type World } from './support/world.ts';

/** What the browser was asked to show outside the page, in this window. */
interface Told {
  title: string;
  body: string | undefined;
  data: { address: string };
  closed: boolean;
}

/**
 * The browser's own answer about notifications, and a list in place of what it shows outside the page: a Chromium without
 * windows takes every permission for denied once it has answered.
 */
const listing = `
  globalThis.told = [];
  const ask = Notification.requestPermission.bind(Notification);
  Notification.requestPermission = async () => {
    const answer = await ask();
    localStorage.setItem('answer', answer);
    return answer;
  };
  Object.defineProperty(Notification, 'permission', { get: () => localStorage.getItem('answer') ?? 'default' });
  Object.assign(ServiceWorkerRegistration.prototype, {
    async showNotification(title, { body, data }) {
      told.push({ title, body, data, closed: false });
    },
    async getNotifications() {
      return told
        .filter(({ closed }) => !closed)
        .map((entry) => ({ data: entry.data, close: () => (entry.closed = true) }));
    },
  });
`;

describe('the page while nobody looks at it', () => {
  let opened: PageWorld | undefined;
  let world: World;
  let reader: Reader;
  let page: Page;
  /** Another window of the same browser. */
  let other: Page;
  let carol: TestUser;
  let mine: PostAnswer;

  before(async function () {
    opened = await openPageWorld(this, undefined, { serviceWorkers: 'allow' });
    ({ world, reader, page } = opened);
    carol = await world.user('carol');
    await page.context().addInitScript(listing);
    await until('the service worker', () =>
      page.evaluate<boolean>('navigator.serviceWorker.controller !== null'),
    );
    await page.reload();
    await reader.live();
    other = await page.context().newPage();
    await other.goto(world.url);
    await other.locator('.connection.live').waitFor();
    await reader.write('Mine');
    await page.locator('.post').first().waitFor();
    mine = (await carol.get<PostAnswer[]>('/posts')).body[0]!;
  });
  after(() => opened?.close());

  const turnAway = async (away: boolean, pages = [page, other]) => {
    for (const one of pages)
      await one.evaluate(
        `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${away} });
        document.dispatchEvent(new Event('visibilitychange'))`,
      );
  };
  const told = async () =>
    (await Promise.all([page, other].map((one) => one.evaluate<Told[]>('told')))).flat();
  const titles = async () => (await told()).map(({ title }) => title);
  /** Both windows have heard of so many. */
  const unread = (count: number) =>
    Promise.all(
      [page, other].map((one) =>
        one.locator('.bell .badge', { hasText: new RegExp(`^${count} `) }).waitFor(),
      ),
    );
  const mention = (by: TestUser) => by.post('/posts', { title: 'Hey @alice', content: 'Secret words' });
  const setting = () => page.getByRole('button', { name: 'Turn them on' });

  it('says nothing outside the page unless somebody wants it', async () => {
    await turnAway(true);
    await mention(carol);
    await unread(1);
    expect(await told()).to.deep.equal([]);
    await turnAway(false);
  });

  it('asks the browser only when it is turned on, and says when that refuses', async () => {
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.getByRole('heading', { name: 'Notifications of the browser' }).waitFor();
    await setting().click();
    await page.getByText('Your browser does not allow this page to do so.').waitFor();
    await page.context().grantPermissions(['notifications']);
    await setting().click();
    await page.getByText('They are turned on in this browser.').waitFor();
    await reader.expectKeepsNobodyOut('the account');
    await page.reload();
    await page.getByText('They are turned on in this browser.').waitFor();
    await reader.live();
  });

  it('tells once, over all windows, who did what and nothing of the text, and leads to it', async () => {
    await turnAway(true);
    await mention(carol);
    await unread(2);
    await until('it to be told', async () => (await told()).length > 0);
    await carol.put(`/posts/${mine.id}/vote`);
    await unread(3);
    await carol.put(`/users/${mine.owner_id}/follow`);
    await unread(4);
    await until('it to be told', async () => (await told()).length > 1);
    const all = await told();
    expect(all.map(({ title, body, closed }) => ({ title, body, closed }))).to.have.deep.members([
      { title: 'carol mentioned you', body: undefined, closed: false },
      { title: 'carol follows you', body: undefined, closed: false },
    ]);
    const { data } = all.find(({ title }) => title === 'carol follows you')!;
    const [worker] = page.context().serviceWorkers();
    // A click that the browser itself would tell of: a page cannot make one.
    expect(
      await worker!.evaluate(`new Promise((resolve) => {
        const click = new ExtendableEvent('notificationclick');
        const notification = { data: ${JSON.stringify(data)}, close: () => (click.closed = true) };
        Object.assign(click, { notification, waitUntil: () => resolve(click.closed) });
        dispatchEvent(click);
      })`),
    ).to.equal(true);
    await until('a window to go there', () =>
      [page, other].some((one) => new URL(one.url()).pathname === '/@carol'),
    );
    await turnAway(false);
  });

  it('does not tell while another window is looked at, or of somebody who is blocked', async () => {
    const before = await titles();
    const dave = await world.user('dave');
    await turnAway(true, [page]);
    await mention(carol);
    await unread(5);
    await turnAway(true);
    const alice = await world.anonymous.post<{ access_token: string }>('/login', {
      email: reader.email,
      password: PASSWORD,
    });
    const blocked = await fetch(`${world.url}/users/${dave.id}/block`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${alice.body.access_token}` },
    });
    expect(blocked.status).to.equal(200);
    await mention(dave);
    await carol.post(`/posts/${mine.id}/replies`, { content: 'Secret reply' });
    await unread(6);
    await until('it to be told', async () => (await told()).length > before.length);
    expect((await titles()).sort()).to.deep.equal([...before, 'carol replied to you'].sort());
    await turnAway(false);
    await page.getByRole('link', { name: 'Notifications' }).click();
    await until('it to be taken away', async () => (await told()).every(({ closed }) => closed));
  });

  it('asks before it is left with a vote that has not been sent', async () => {
    const window = await page.context().newPage();
    await window.goto(world.url);
    await window.locator('.connection.live').waitFor();
    const vote = window.locator('.post', { hasText: 'Hey @alice' }).first().locator('.vote');
    await window.context().setOffline(true);
    await vote.click();
    await window.getByText('Your vote is not counted yet.').waitFor();
    let asked = 0;
    window.on('dialog', (dialog) => {
      asked += 1;
      expect(dialog.type()).to.equal('beforeunload');
      void dialog.dismiss();
    });
    await window.close({ runBeforeUnload: true });
    await until('the question', () => asked === 1);
    await window.context().setOffline(false);
    await window.getByText('Your vote is counted.').waitFor();
    await window.close({ runBeforeUnload: true });
    await until('it to be closed', () => window.isClosed());
    expect(asked).to.equal(1);
  });

  it('is turned on for one user of the browser, not for the next', async () => {
    await page.getByRole('button', { name: 'Log out', exact: true }).click();
    await page.getByLabel('E-mail').fill(carol.email);
    await page.getByLabel('Password', { exact: true }).fill(carol.password);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await reader.live();
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.getByRole('heading', { name: 'Notifications of the browser' }).waitFor();
    expect(await page.getByText('They are turned on in this browser.').count()).to.equal(0);
    reader.expectClean({ networkMayFail: true });
  });
});
