import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { createCaseStore, createClient } from '../client/src/index.ts';
import type { PostView } from '../server/contract.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { execute, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { PASSWORD, type TestUser, type World } from './support/world.ts';

describe('moderation on the page', () => {
  let opened: PageWorld | undefined;
  let world: World;
  let carol: TestUser;
  let dave: TestUser;
  let grace: TestUser;
  let alice: Reader;
  let page: Page;
  /** That of grace, who moderates. */
  let moderator: Reader;
  let queue: Page;

  before(async function () {
    opened = await openPageWorld(this, async (made) => {
      [carol, dave, grace] = [await made.user('carol'), await made.user('dave'), await made.user('grace')];
      await carol.post('/posts', { title: 'Cheap watches', content: 'Buy them all' });
      await carol.post('/posts', { title: 'A walk', content: 'By the river' });
    });
    ({ reader: alice, page, world } = opened);
    moderator = await Reader.open(opened.browser, world.url, 'grace');
    queue = moderator.page;
    await moderator.logIn(grace.email);
  });
  after(() => opened?.close());

  const act = (body: object) =>
    grace.post<object>('/moderation/actions', { reason: 'Sorry, it was spam', ...body });
  const caseOf = (words: string) => queue.locator('.cases article', { hasText: words });

  it('is offered to those who moderate, from the moment on when they do', async () => {
    expect(await queue.getByRole('link', { name: 'Moderation' }).count()).to.equal(0);
    await world.ctx.db.transaction((tx) => grantRole(tx, 'grace', 'moderator', ''));
    await queue.getByRole('link', { name: 'Moderation' }).click();
    await queue.getByText('Nothing waits.').waitFor();
    expect(await queue.evaluate('location.pathname')).to.equal('/moderation');
    expect(await page.getByRole('link', { name: 'Moderation' }).count()).to.equal(0);
    moderator.expectClean();
  });

  it('takes a report of a post with its reason and a note, which comes to the moderator by itself', async () => {
    await alice.post('Cheap watches').getByRole('button', { name: 'Report' }).click();
    const dialog = page.getByRole('dialog', { name: 'Report this post' });
    await dialog.getByLabel('Reason').selectOption('Harassment');
    await dialog.getByLabel('Note').fill('He writes this every day');
    await alice.expectKeepsNobodyOut('the form');
    await dialog.getByRole('button', { name: 'Send' }).click();
    await page.getByText('Thank you. Moderators will look at it.').waitFor();
    await alice.shows(dialog, 0);
    await caseOf('Cheap watches').getByText('He writes this every day').waitFor();
    await caseOf('Cheap watches').getByText('Harassment').waitFor();
    await caseOf('Cheap watches').getByText('alice').waitFor();
    alice.expectClean();
  });

  it('takes a report of a user, from the profile', async () => {
    await page.goto(`${world.url}/@carol`);
    // Behind it are those of her posts.
    await page.getByRole('region', { name: 'carol' }).getByRole('button', { name: 'Report' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Report carol' });
    await dialog.getByRole('button', { name: 'Send' }).click();
    await caseOf('User carol').getByText('Spam').waitFor();
    await moderator.expectKeepsNobodyOut('the queue');
    alice.expectClean();
    moderator.expectClean();
  });

  it('wants a reason of the moderator, whose action takes the case out of the queue', async () => {
    const one = caseOf('Cheap watches');
    await one.getByRole('button', { name: 'Do it' }).click();
    await one.getByText('Please fill this in.').waitFor();
    await one.getByLabel('Reason').fill('No advertising here');
    await one.getByRole('button', { name: 'Do it' }).click();
    await queue.getByText('Done: Remove the post.').waitFor();
    await moderator.shows(one, 0);
    await comesToBe(() => queue.evaluate('document.activeElement.textContent'), 'carol');
    const two = caseOf('User carol');
    await two.getByLabel('Action').selectOption('Warn');
    await two.getByLabel('Reason').fill('Please do not advertise');
    await two.getByRole('button', { name: 'Do it' }).click();
    await queue.getByText('Nothing waits.').waitFor();
    await queue.getByRole('link', { name: 'Resolved' }).click();
    await caseOf('Cheap watches').getByText('post removed').waitFor();
    await queue.getByRole('link', { name: 'Log' }).click();
    const log = queue.getByRole('list', { name: 'Log' });
    await log.getByText('No advertising here').waitFor();
    await log.getByText('Please do not advertise').waitFor();
    await moderator.expectKeepsNobodyOut('the log');
    moderator.expectClean();
  });

  it('tells reporters that it was looked at, and the author what was done and why', async () => {
    await page.goto(`${world.url}/notifications`);
    const list = page.getByRole('list', { name: 'Notifications' });
    await alice.shows(list.getByText('Moderators looked at what you reported, and acted on it'), 2);
    await alice.expectKeepsNobodyOut('the notifications');
    const author = await Reader.open(opened!.browser, world.url, 'carol');
    await author.logIn(carol.email);
    await author.page.getByRole('link', { name: 'Notifications' }).click();
    const own = author.page.getByRole('list', { name: 'Notifications' });
    await own.getByText('A moderator removed a post of yours').waitFor();
    await own.getByText('No advertising here').waitFor();
    await own.getByText('A moderator has warned you').waitFor();
    expect(await own.getByText('grace').count()).to.equal(0);
    await author.expectKeepsNobodyOut();
    author.expectClean();
    await author.leave();
  });

  it('says to a suspended user until when, and why, at once and at the login', async () => {
    const [user] = await rows<{ id: number }>(world, `select id from users where username = 'alice'`);
    const tab = await page.context().newPage();
    await tab.goto(world.url);
    await tab.locator('.connection.live').waitFor();
    expect((await act({ action: 'suspend', user_id: user!.id })).status).to.equal(201);
    const why = 'Your account is suspended. The reason: Sorry, it was spam';
    for (const each of [page, tab]) await each.getByRole('status').getByText(why).waitFor();
    await tab.close();
    await page.getByLabel('E-mail').fill(alice.email);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText(why).waitFor();
    alice.expectClean({ networkMayFail: true });
  });

  it('takes no case away from under the hands of somebody who writes about it', async () => {
    await world.ctx.db.transaction((tx) => grantRole(tx, 'dave', 'moderator', ''));
    const { body: post } = await carol.post<PostView>('/posts', { title: 'Two look at it', content: '' });
    await dave.put(`/posts/${post.id}/report`, { reason: 'spam', note: '' });
    await queue.goto(`${world.url}/moderation`);
    const one = caseOf('Two look at it');
    await one.getByLabel('Reason').fill('Half of a reason');
    await dave.post('/moderation/actions', { action: 'dismiss', post_id: post.id, reason: 'Nothing' });
    await one.getByText('Somebody else has resolved this meanwhile.').waitFor();
    expect(await one.getByLabel('Reason').inputValue()).to.equal('Half of a reason');
    expect(await one.getByRole('button', { name: 'Do it' }).count()).to.equal(0);
    await moderator.expectKeepsNobodyOut('a case that is over');
    await one.getByRole('button', { name: 'Close' }).click();
    await moderator.shows(one, 0);

    // The list is read again, and is as long as it was.
    const client = createClient({ url: world.url });
    await client.logIn({ email: grace.email, password: PASSWORD });
    const store = createCaseStore(client, { limit: 2 });
    const report = async (title: string) => {
      const { body } = await carol.post<PostView>('/posts', { title, content: '' });
      await dave.put(`/posts/${body.id}/report`, { reason: 'spam', note: '' });
      return body.id;
    };
    const posts: number[] = [];
    for (let number = 1; number <= 5; number += 1) posts.push(await report(`Case ${number}`));
    await store.load();
    while (store.state.hasMore) await store.loadMore();
    const { length } = store.state.cases;
    posts.push(await report('Case 6'));
    await until('the new case', () => store.state.cases[0]?.post?.title === 'Case 6');
    expect(store.state.cases).to.have.lengthOf(length + 1);
    store.close();
    for (const post_id of posts)
      await dave.post('/moderation/actions', { action: 'dismiss', post_id, reason: 'Nothing' });
    await queue.getByText('Nothing waits.').waitFor();
    moderator.expectClean();
  });

  it('keeps as much of the log as was read, whatever comes on top or cannot be read', async () => {
    await execute(
      world,
      `insert into audit_log (action, reason) select 'grant', 'Entry ' || n from generate_series(1, 60) n`,
    );
    await queue.getByRole('link', { name: 'Log' }).click();
    const entries = queue.getByRole('list', { name: 'Log' }).getByRole('listitem');
    await moderator.shows(entries, 50);
    await queue.route('**/moderation/log?*cursor*', (route) => route.abort());
    await queue.getByRole('button', { name: 'Show more' }).click();
    await queue.getByRole('button', { name: 'Try again' }).waitFor();
    await moderator.shows(entries, 50);
    await queue.unroute('**/moderation/log?*cursor*');
    await queue.getByRole('button', { name: 'Try again' }).click();
    await queue.getByText('No advertising here').waitFor();
    const count = await entries.count();
    await act({ action: 'warn', user_id: carol.id, reason: 'On top of it' });
    const { body: post } = await carol.post<PostView>('/posts', { title: 'For the log', content: '' });
    await dave.put(`/posts/${post.id}/report`, { reason: 'spam', note: '' });
    await act({ action: 'dismiss', post_id: post.id, reason: 'On top of all' });
    await queue.getByText('On top of all').waitFor();
    await moderator.shows(entries, count + 2);
    await world.ctx.db.transaction((tx) => grantRole(tx, 'dave', 'user', ''));
    moderator.expectClean({ networkMayFail: true });
  });

  it('marks a post as edited if its author has changed it, whatever moderators did with it', async () => {
    const { body: post } = await dave.post<PostView>('/posts', { title: 'Back again', content: 'As it was' });
    for (const action of ['remove', 'restore', 'lock', 'unlock'])
      expect((await act({ action, post_id: post.id })).status, action).to.equal(201);
    await queue.goto(world.url);
    const when = moderator.post('Back again').locator('.when');
    await when.waitFor();
    expect(await when.textContent()).not.to.contain('edited');
    await dave.patch(`/posts/${post.id}`, { content: 'Not as it was' });
    await when.getByText('edited').waitFor();
    moderator.expectClean();
  });

  it('does not offer a report of what is one’s own, or the queue to somebody who has stopped moderating', async () => {
    await dave.post('/posts', { title: 'By dave', content: '' });
    await grace.post('/posts', { title: 'By grace', content: '' });
    await queue.goto(world.url);
    await moderator.post('By dave').getByRole('button', { name: 'Report' }).waitFor();
    expect(await moderator.post('By grace').getByRole('button', { name: 'Report' }).count()).to.equal(0);
    await world.ctx.db.transaction((tx) => grantRole(tx, 'grace', 'user', ''));
    await moderator.shows(queue.getByRole('link', { name: 'Moderation' }), 0);
    await queue.goto(`${world.url}/moderation`);
    await queue.getByText('Only moderators see what is here.').waitFor();
    moderator.expectClean();
  });
});
