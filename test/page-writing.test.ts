import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { createClient } from '../client/src/index.ts';
import { execute } from './support/tables.ts';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, type Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import { PASSWORD } from './support/world.ts';

describe('writing on the page', () => {
  let opened: PageWorld | undefined;
  let reader: Reader;
  let page: Page;

  before(async function () {
    opened = await openPageWorld(this);
    ({ reader, page } = opened);
  });
  after(() => opened?.close());

  const composer = () => page.getByRole('form', { name: 'A new post' });
  const title = () => composer().getByLabel('Title');
  const text = () => composer().getByLabel('Text');

  it('publishes nothing when a title is finished with Enter: the text is next', async () => {
    await title().fill('Only a title');
    await page.keyboard.press('Enter');
    await page.keyboard.type('and its text');
    await comesToBe(() => text().inputValue(), 'and its text');
    expect(await page.locator('.post').count()).to.equal(0);
  });

  it('keeps what was begun across other places, a reload and a change of mind', async () => {
    await page.getByRole('link', { name: 'Drafts' }).click();
    await page.reload();
    await page.getByRole('link', { name: 'Everyone' }).click();
    expect([await title().inputValue(), await text().inputValue()]).to.deep.equal([
      'Only a title',
      'and its text',
    ]);
    await page.getByRole('button', { name: 'Discard' }).click();
    await text().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await comesToBe(() => text().inputValue(), 'and its text');
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'title');
  });

  it('offers nothing back in place of what has been written since', async () => {
    const before = await text().inputValue();
    await page.getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('button', { name: 'Undo' }).waitFor();
    await title().fill('Only a title');
    await reader.shows(page.getByRole('button', { name: 'Undo' }), 0);
    await text().fill(before);
  });

  it('tells somebody who has left a form that it was refused', async () => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/users/me', async (route) => {
      if (route.request().method() === 'PATCH') await held;
      await route.continue();
    });
    await page.getByRole('link', { name: 'Your account' }).click();
    const form = page.getByRole('form', { name: 'Name' });
    await form.getByLabel('Name').fill('x');
    const asked = page.waitForRequest((request) => request.method() === 'PATCH');
    await form.getByRole('button', { name: 'Change the name' }).click();
    await asked;
    await page.getByRole('link', { name: 'Everyone' }).click();
    await title().waitFor();
    letGo();
    await page.getByText('Name: The service does not accept this as it is.').waitFor();
    await page.unroute('**/users/me');
    reader.expectClean({ networkMayFail: true }); // the browser notes the refusal
  });

  it('tells in words how much is too much', async () => {
    await text().fill('x'.repeat(10_001));
    await page.getByText('1 character too many').waitFor();
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('At most 10,000 characters.').waitFor();
    await text().fill('and its text');
    await page.getByRole('button', { name: 'Publish' }).click();
    await reader.shows(reader.post('Only a title'));
    await page.reload();
    await reader.shows(reader.post('Only a title'));
    expect(await title().inputValue(), 'what is published is not unsent any more').to.equal('');
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused text
  });

  it('keeps a change that was begun, and says which version it is based on', async () => {
    await reader.post('Only a title').getByRole('button', { name: 'Edit' }).click();
    const form = page.getByRole('form', { name: 'Edit the post' });
    await form.getByLabel('Title').fill('A longer title');
    await page.reload();
    await form.waitFor();
    await comesToBe(() => form.getByLabel('Title').inputValue(), 'A longer title');
    await form.getByRole('button', { name: 'Cancel' }).click();
    await form.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await form.getByRole('button', { name: 'Save' }).click();
    await reader.shows(reader.post('A longer title'));
    reader.expectClean();
  });

  it('says how many drafts there are, also after a reload, and offers to discard only what is there', async () => {
    await title().click();
    await composer().getByRole('button', { name: 'Close' }).click();
    await text().waitFor({ state: 'detached' });
    await reader.write('For later', '', 'Keep as draft');
    const drafts = page.getByRole('link', { name: 'Drafts 1' });
    await drafts.waitFor();
    await page.reload();
    await drafts.waitFor();
    const answer = page.getByRole('form', { name: 'Reply to alice' });
    await reader.post('A longer title').getByRole('link', { name: 'Reply' }).click();
    await answer.waitFor();
    await comesToBe(() => answer.getByRole('button').allTextContents(), ['Reply']);
    await page.goBack();
    reader.expectClean();
  });

  it('says that nothing could be sent, keeps the text, and publishes it once when the connection is back', async () => {
    const keys = new Set<string | undefined>();
    let reached = 0;
    let answered = false;
    // What is sent arrives, and no answer comes back.
    await page.route('**/posts', async (route) => {
      const request = route.request();
      if (answered || request.method() !== 'POST') return route.continue();
      keys.add(request.headers()['idempotency-key']);
      reached += 1;
      await route.fetch();
      await route.abort();
    });
    await title().fill('Sent without an answer');
    await text().fill('and kept');
    await composer().getByRole('button', { name: 'Publish' }).click();
    const said = composer().getByRole('alert');
    await said.waitFor();
    expect(await said.textContent()).to.equal(
      'The server cannot be reached. Your text is kept, and is sent when the connection is back, unless you change it.',
    );
    await comesToBe(() => text().inputValue(), 'and kept');
    // It is as well if the page has been reloaded meanwhile.
    await page.reload();
    await reader.live();
    await comesToBe(() => text().inputValue(), 'and kept');
    await composer().getByRole('button', { name: 'Publish' }).click();
    await said.waitFor();
    // So it is if the writer looks at another place meanwhile.
    await page.getByRole('link', { name: 'Drafts' }).click();
    await page.getByText('Only you see these.').waitFor();
    await page.goBack();
    await composer().getByText('is sent when the connection is back').waitFor();
    const before = reached;
    answered = true;
    await text().waitFor({ state: 'detached' });
    await reader.shows(reader.post('Sent without an answer'));
    await page.reload();
    await reader.shows(reader.post('Sent without an answer'));
    expect(before).to.be.at.least(8);
    expect(keys.size, 'one key').to.equal(1);
    reader.expectClean({ networkMayFail: true });
  });

  /** Publishes a post whose request is held, looks at another place and comes back. @returns lets the request go on */
  const publishAndReturn = async (words: string): Promise<() => void> => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/posts', async (route) => {
      if (route.request().method() === 'POST') await held;
      await route.continue();
    });
    await title().fill(words);
    const asked = page.waitForRequest((request) => request.method() === 'POST');
    await composer().getByRole('button', { name: 'Publish' }).click();
    await asked;
    await page.getByRole('link', { name: 'Drafts' }).click();
    await page.getByText('Only you see these.').waitFor();
    await page.goBack();
    await comesToBe(() => title().inputValue(), words);
    return letGo;
  };

  it('leaves a reader who has scrolled on where they are when it is sent', async () => {
    const elsewhere = createClient({ url: opened!.world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    for (let number = 1; number <= 12; number += 1)
      await elsewhere.posts.create({ title: `Read ${number}`, content: '' });
    await reader.goToTop();
    let isDown = true;
    await page.route('**/posts', (route) =>
      isDown && route.request().method() === 'POST' ? route.abort() : route.continue(),
    );
    await title().fill('Sent while reading');
    await composer().getByRole('button', { name: 'Publish' }).click();
    await page.getByText('is sent when the connection is back').waitFor();
    await page.mouse.wheel(0, 1000);
    await until('scrolled down', () => page.evaluate<boolean>('scrollY > 500'));
    isDown = false;
    await page.getByText('Your post is published.').waitFor();
    expect(await page.evaluate('scrollY')).to.be.above(500);
    await page.unroute('**/posts');
    await reader.goToTop();
    reader.expectClean({ networkMayFail: true });
  });

  it('lets go of what was sent also in a form that is drawn while it is under way', async () => {
    const letGo = await publishAndReturn('Under way');
    letGo();
    await text().waitFor({ state: 'detached' });
    await reader.shows(reader.post('Under way'));
    reader.expectClean();
  });

  it('keeps what has been written since something was sent, and does not lead its writer away', async () => {
    const letGo = await publishAndReturn('Sent first');
    await title().fill('Written since');
    letGo();
    await page.getByText('Your post is published.').waitFor();
    expect(await title().inputValue()).to.equal('Written since');
    expect(await page.evaluate('document.activeElement.name'), 'the focus').to.equal('title');
    await page.unroute('**/posts');
    await title().fill('');
    await composer().getByRole('button', { name: 'Close' }).click();
    reader.expectClean();
  });

  it('leads nobody away from what they write elsewhere once an answer comes', async () => {
    await reader.write('Published late', '', 'Keep as draft');
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/posts/*', async (route) => {
      if (route.request().method() === 'PATCH') await held;
      await route.continue();
    });
    await page.getByRole('link', { name: 'Drafts' }).click();
    const asked = page.waitForRequest((request) => request.method() === 'PATCH');
    await reader.post('Published late').getByRole('button', { name: 'Publish' }).click();
    await asked;
    await page.getByRole('link', { name: 'Everyone' }).click();
    await title().click();
    letGo();
    await page.getByText('Your post is published.').waitFor();
    await page.keyboard.type('Going on');
    expect(await title().inputValue()).to.equal('Going on');
    await page.unroute('**/posts/*');
    await page.getByRole('button', { name: 'Discard' }).click();
    await reader.comesIn('Published late');
    await reader.delete('Published late');
    await reader.shows(reader.post('Published late'), 0);
    reader.expectClean();
  });

  it('publishes an unchanged draft that could not be published, in the open, once its writer is back', async () => {
    await reader.write('A draft that waits', '', 'Keep as draft');
    let away = true;
    await page.route('**/posts/*', (route) =>
      away && route.request().method() === 'PATCH' ? route.abort() : route.continue(),
    );
    await page.getByRole('link', { name: 'Drafts' }).click();
    const draft = page.getByRole('article').filter({ hasText: 'A draft that waits' });
    await draft.getByRole('button', { name: 'Edit' }).click();
    const form = page.getByRole('form', { name: 'Edit the draft' });
    await form.getByRole('button', { name: 'Publish' }).click();
    await form.getByRole('alert').waitFor();
    await page.getByRole('link', { name: 'Everyone' }).click();
    await title().waitFor();
    away = false;
    await page.getByRole('link', { name: 'Drafts' }).click();
    await reader.shows(reader.post('A draft that waits'));
    await page.unroute('**/posts/*');
    reader.expectClean({ networkMayFail: true });
  });

  it('does not send again by itself before the time that the server asks for', async () => {
    const attempts: number[] = [];
    // Longer than the client waits itself.
    const retryAfter = 6;
    await page.route('**/posts', async (route) => {
      if (route.request().method() !== 'POST' || attempts.length === 2) return route.continue();
      attempts.push(performance.now());
      await route.fulfill({
        status: 503,
        headers: { 'retry-after': String(retryAfter), 'content-type': 'application/problem+json' },
        body: JSON.stringify({ type: 'urn:tidings:problem:unavailable', status: 503, detail: 'Busy.' }),
      });
    });
    await title().fill('Sent when it is time');
    await composer().getByRole('button', { name: 'Publish' }).click();
    await reader.shows(reader.post('Sent when it is time'), 1, 40_000);
    await page.unroute('**/posts');
    expect(attempts).to.have.lengthOf(2);
    expect(attempts[1]! - attempts[0]!).to.be.at.least(retryAfter * 1000);
    reader.expectClean({ networkMayFail: true });
  });

  it('does not send by itself what has been changed since', async () => {
    let away = true;
    await page.route('**/posts', (route) =>
      away && route.request().method() === 'POST' ? route.abort() : route.continue(),
    );
    await title().fill('Not like this');
    await composer().getByRole('button', { name: 'Publish' }).click();
    const said = composer().getByRole('alert');
    await said.waitFor();
    await title().fill('But like this');
    // An attempt that was under way when it was changed fails like the one before.
    await composer().locator('[type="submit"][aria-disabled="false"]').waitFor();
    away = false;
    await composer().getByRole('button', { name: 'Publish' }).click();
    await reader.shows(reader.post('But like this'));
    await reader.shows(reader.post('Not like this'), 0);
    reader.expectClean({ networkMayFail: true });
  });

  it('keeps what was begun in a draft across other places, a reload and a change of mind', async () => {
    const form = page.getByRole('form', { name: 'Edit the draft' });
    await page.getByRole('link', { name: 'Drafts 1' }).click();
    await reader.post('For later').getByRole('button', { name: 'Edit' }).click();
    await form.getByLabel('Text').fill('and more of it');
    await page.getByRole('link', { name: 'Everyone' }).click();
    await page.getByRole('link', { name: 'Drafts 1' }).click();
    await comesToBe(() => form.getByLabel('Text').inputValue(), 'and more of it');
    await page.reload();
    await comesToBe(() => form.getByLabel('Text').inputValue(), 'and more of it');
    await form.getByRole('button', { name: 'Cancel' }).click();
    await form.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await comesToBe(() => form.getByLabel('Text').inputValue(), 'and more of it');
    // Meanwhile it is changed on another device.
    await page.evaluate(`(async () => {
      const { accessToken } = JSON.parse(localStorage['${await sessionKey()}']);
      const headers = { authorization: 'Bearer ' + accessToken, 'content-type': 'application/json' };
      const [draft] = await (await fetch('/posts?published=false', { headers })).json();
      const body = JSON.stringify({ title: 'For much later' });
      await fetch('/posts/' + draft.id, { method: 'PATCH', headers, body });
    })()`);
    await form.getByRole('button', { name: 'Save draft' }).click();
    const said = form.getByRole('alert').filter({ hasText: 'You changed the title elsewhere meanwhile' });
    await said.waitFor();
    expect(await said.textContent()).to.equal(
      'You changed the title elsewhere meanwhile, to “For much later”. Save again to replace that.',
    );
    await form.getByRole('button', { name: 'Save draft' }).click();
    await reader.post('For later').getByText('and more of it').waitFor();
    await page.reload();
    await reader.shows(reader.post('For later'));
    expect(await form.count(), 'what is saved is not unsent any more').to.equal(0);
    await page.getByRole('link', { name: 'Everyone' }).click();
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused change
  });

  it('brings back what was discarded also at another place, and from a draft that is gone', async () => {
    const undo = page.getByRole('button', { name: 'Undo' });
    await title().fill('On second thoughts');
    await page.getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('link', { name: 'Drafts 1' }).click();
    await undo.click();
    await comesToBe(() => title().inputValue(), 'On second thoughts');
    await page.getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('button', { name: 'Dismiss' }).click();

    const form = page.getByRole('form', { name: 'Edit the draft' });
    await page.getByRole('link', { name: 'Drafts 1' }).click();
    await reader.post('For later').getByRole('button', { name: 'Edit' }).click();
    await form.getByLabel('Text').fill('More of the draft');
    await form.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('link', { name: 'Everyone' }).click();
    await undo.click();
    await comesToBe(() => form.getByLabel('Text').inputValue(), 'More of the draft');
    await form.getByRole('button', { name: 'Cancel' }).click();

    const client = await elsewhere();
    const { id } = await client.posts.create({ title: 'Not for long', content: '', published: false });
    await page.reload();
    await reader.post('Not for long').getByRole('button', { name: 'Edit' }).click();
    await form.getByLabel('Text').fill('More of it');
    await client.posts.remove(id);
    await reader.turnAway(false);
    await page.getByRole('link', { name: 'Drafts 1' }).waitFor();
    await form.getByRole('button', { name: 'Cancel' }).click();
    await reader.shows(reader.post('Not for long'), 0);
    await undo.click();
    await page.locator('.kept-words').getByText('More of it').waitFor();
    await page.getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('link', { name: 'Everyone' }).click();
    reader.expectClean({ networkMayFail: true });
  });

  /** Changes a post from another device. */
  const elsewhere = async () => {
    const client = createClient({ url: opened!.world.url });
    await client.logIn({ email: reader.email, password: PASSWORD });
    return client;
  };

  it('saves without a question where only a moderator has closed the thread meanwhile', async () => {
    await reader.write('Closed meanwhile', 'As it was');
    await reader.post('Closed meanwhile').getByRole('button', { name: 'Edit' }).click();
    const form = page.getByRole('form', { name: 'Edit the post' });
    await form.getByLabel('Text').fill('As it is');
    const closed = `update posts set version = version + 1, locked_at = now() where title = 'Closed meanwhile'`;
    await execute(opened!.world, closed);
    await form.getByRole('button', { name: 'Save' }).click();
    await reader.post('Closed meanwhile').getByText('As it is').waitFor();
    expect(await form.count()).to.equal(0);
    await reader.delete('Closed meanwhile');
    await reader.shows(reader.post('Closed meanwhile'), 0);
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused change
  });

  it('does not say that nobody has seen a draft which has been published meanwhile, or was before', async () => {
    await reader.write('Known to others', '', 'Keep as draft');
    await page.getByRole('link', { name: 'Drafts' }).click();
    const draft = reader.post('Known to others');
    await draft.waitFor();
    const other = await elsewhere();
    const [{ id } = { id: 0 }] = (await other.posts.list({ published: false })).posts.filter(
      ({ title: one }) => one === 'Known to others',
    );
    await other.posts.update(id, { published: true });
    await other.posts.reply(id, { content: 'Indeed.' });
    const dialog = page.getByRole('alertdialog');
    await draft.getByRole('button', { name: 'Delete' }).click();
    await dialog.getByText('Nobody else has seen it.').waitFor();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await dialog
      .getByText(
        'This was changed elsewhere meanwhile. It goes from everyone’s page, with its votes and its reply.',
      )
      .waitFor();
    await dialog.getByRole('button', { name: 'Keep it' }).click();

    // To save the draft again would change what everyone sees.
    await draft.getByRole('button', { name: 'Edit' }).click();
    const asDraft = page.getByRole('form', { name: 'Edit the draft' });
    await asDraft.getByLabel('Text').fill('For me alone');
    await asDraft.getByRole('button', { name: 'Save draft' }).click();
    const form = page.getByRole('form', { name: 'Edit the post' });
    await form.getByText('This is published by now: everyone sees what you save.').waitFor();
    await form.getByRole('button', { name: 'Cancel' }).click();
    expect((await other.posts.get(id)).content).to.equal('');

    await other.posts.update(id, { published: false, content: 'Read again' });
    await reader.turnAway(true);
    await reader.turnAway(false);
    await draft.getByText('Read again').waitFor();
    await draft.getByRole('button', { name: 'Delete' }).click();
    await dialog.getByText('It was published before. Its votes and its reply go with it.').waitFor();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await reader.shows(draft, 0);
    await page.getByRole('link', { name: 'Everyone' }).click();
    reader.expectClean({ networkMayFail: true }); // the browser notes what was refused
  });

  it('asks before it withdraws or deletes, and says what', async () => {
    const dialog = page.getByRole('alertdialog');
    await reader.post('A longer title').getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('button', { name: 'Withdraw' }).click();
    await dialog.getByText('Withdraw “A longer title”?').waitFor();
    await dialog.getByRole('button', { name: 'Leave it' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Cancel' }).click();
    await reader.post('A longer title').getByRole('button', { name: 'Delete' }).click();
    await dialog.getByText('Delete “A longer title” for good?').waitFor();
    await dialog.getByRole('button', { name: 'Keep it' }).click();
    await reader.shows(reader.post('A longer title'));
  });

  it('keeps how a post was to be changed that goes meanwhile, in its list and in its thread', async () => {
    const elsewhere = createClient({ url: opened!.world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    const form = page.getByRole('form', { name: 'Edit the post' });
    const change = async (post: string) => {
      const { id } = await elsewhere.posts.create({ title: post, content: '' });
      await reader.comesIn(post);
      return id;
    };
    const listed = await change('Soon gone');
    await reader.post('Soon gone').getByRole('button', { name: 'Edit' }).click();
    await form.getByLabel('Text').fill('Half a thought');
    await elsewhere.posts.remove(listed);
    await form.getByText('This was deleted or withdrawn elsewhere.').waitFor();
    expect(await form.getByLabel('Text').inputValue()).to.equal('Half a thought');
    await comesToBe(() => page.evaluate('document.activeElement.name'), 'content');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('This is not here any more.', { exact: true }).waitFor();
    await form.getByRole('button', { name: 'Cancel' }).click();
    await reader.shows(page.locator(`[data-post="${listed}"]`), 0);
    await comesToBe(() => page.evaluate('document.activeElement.className'), 'post');
    // Its list has it no more: the words are where its address leads.
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.locator('.kept-words').getByText('Half a thought').waitFor();
    await page.getByRole('button', { name: 'Discard' }).click();
    await reader.shows(page.locator('.kept-words'), 0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await comesToBe(() => page.evaluate('document.activeElement.className'), 'kept-words');
    await page.getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('link', { name: 'Everyone' }).click();

    const opens = await change('Gone as well');
    await reader.post('Gone as well').getByRole('link', { name: 'Gone as well' }).click();
    await page.getByRole('button', { name: 'Edit' }).click();
    await form.getByLabel('Text').fill('Another half');
    await elsewhere.posts.remove(opens);
    await page.getByText('This can no longer be changed.').waitFor();
    await page.locator('.kept-words').getByText('Another half').waitFor();
    await page.getByRole('button', { name: 'Discard' }).click();
    await reader.shows(page.locator('.kept-words'), 0);

    // Withdrawn by its writer it goes too, and nothing is left over.
    await page.goto(opened!.world.url);
    const withdrawn = await change('Withdrawn');
    await reader.post('Withdrawn').getByRole('link', { name: 'Withdrawn' }).click();
    await page.getByRole('button', { name: 'Edit' }).click();
    await form.getByLabel('Text').fill('For later');
    await form.getByRole('button', { name: 'Withdraw' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Withdraw' }).click();
    await page.getByText('Moved to your drafts.').waitFor();
    await reader.shows(page.locator('.kept-words'), 0);
    await elsewhere.posts.remove(withdrawn);
    await page.goto(opened!.world.url);
    reader.expectClean({ networkMayFail: true });
  });

  it('shows nobody what another user of the browser has begun, and forgets it when they log out', async () => {
    await title().fill('For my eyes only');
    await until('it to be kept', () =>
      page.evaluate<boolean>('Object.values(localStorage).some((one) => one.includes("my eyes"))'),
    );
    // A session that ends by itself is gone on with, by the same user.
    await page.evaluate(`localStorage.removeItem('${await sessionKey()}')`);
    await page.reload();
    await page.getByRole('button', { name: 'New here' }).click();
    const bob = { name: 'bob', email: 'bob@example.org' };
    await page.getByLabel('Name').fill(bob.name);
    await page.getByLabel('E-mail').fill(bob.email);
    await page.getByLabel('Password', { exact: true }).fill('correct horse battery');
    await page.getByRole('button', { name: 'Sign up' }).click();
    await reader.live();
    expect(await title().inputValue()).to.equal('');
    await page.getByRole('button', { name: 'Log out' }).click();
    await reader.logIn();
    await comesToBe(() => title().inputValue(), 'For my eyes only');
    await page.getByRole('button', { name: 'Log out' }).click();
    await reader.logIn();
    expect(await title().inputValue()).to.equal('');
    reader.expectClean();
  });

  it('keeps what was begun when the session ends elsewhere, in however many tabs, and says why in each', async () => {
    await title().fill('Before the session ended');
    await until('it to be kept', () =>
      page.evaluate<boolean>('Object.values(localStorage).some((one) => one.includes("Before the session"))'),
    );
    const second = await page.context().newPage();
    await second.goto(opened!.world.url);
    await second.locator('.connection.live').waitFor();
    const elsewhere = createClient({ url: opened!.world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    await elsewhere.logOutEverywhere();
    for (const tab of [page, second])
      await tab.getByText('Your session has ended. Log in to go on.').waitFor();
    await reader.logIn();
    expect(await title().inputValue()).to.equal('Before the session ended');
    await second.close();
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused tokens
  });

  it('keeps what is written in two tabs at once, in each and over a reload', async () => {
    const second = await page.context().newPage();
    await second.goto(opened!.world.url);
    await second.locator('.connection.live').waitFor();
    const there = second.getByRole('form', { name: 'A new post' });
    await there.getByLabel('Title').fill('In the second');
    await title().fill('In the first');
    for (const [tab, words] of [
      [page, 'In the first'],
      [second, 'In the second'],
    ] as const) {
      await tab.reload();
      await comesToBe(
        () => tab.getByRole('form', { name: 'A new post' }).getByLabel('Title').inputValue(),
        words,
      );
    }
    // It was the second that began; what the first does with its own words is not about those.
    await composer().getByRole('button', { name: 'Discard' }).click();
    await second.close();
    await page.reload();
    await comesToBe(() => title().inputValue(), 'In the second');
    await composer().getByRole('button', { name: 'Discard' }).click();
    reader.expectClean();
  });

  it('publishes once what is shown in two tabs, and in both', async () => {
    await title().fill('In both of them');
    await until('it to be kept', () =>
      page.evaluate<boolean>('Object.values(localStorage).some((one) => one.includes("In both of"))'),
    );
    const second = await page.context().newPage();
    await second.goto(opened!.world.url);
    const there = second.getByRole('form', { name: 'A new post' });
    await comesToBe(() => there.getByLabel('Title').inputValue(), 'In both of them');
    await composer().getByRole('button', { name: 'Publish' }).click();
    await reader.shows(reader.post('In both of them'));
    await there.getByRole('button', { name: 'Publish' }).click();
    await comesToBe(() => there.getByLabel('Title').inputValue(), '');
    await second.close();
    await page.reload();
    await reader.shows(reader.post('In both of them'), 1);
    reader.expectClean();
  });

  it('publishes a draft once, also if that takes long and is asked for again', async () => {
    const elsewhere = createClient({ url: opened!.world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    const { id } = await elsewhere.posts.create({ title: 'Asked for twice', content: '', published: false });
    await page.goto(`${opened!.world.url}/drafts`);
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let sent = 0;
    await page.route(`**/posts/${id}`, async (route) => {
      sent += 1;
      await held;
      await route.continue();
    });
    const publish = reader.post('Asked for twice').getByRole('button', { name: 'Publish' });
    await publish.click();
    await comesToBe(() => publish.getAttribute('aria-disabled'), 'true');
    await publish.click({ force: true });
    letGo();
    await comesToBe(() => page.evaluate('location.pathname'), '/');
    await reader.shows(reader.post('Asked for twice'));
    expect(sent).to.equal(1);
    await page.unroute(`**/posts/${id}`);
    reader.expectClean();
  });

  it('does not bring a draft back that went while the drafts were being read', async () => {
    await reader.write('Short-lived', '', 'Keep as draft');
    let answer: (() => void) | undefined;
    await page.route('**/posts?*published=false*', async (route) => {
      const response = await route.fetch();
      // The first one alone is held.
      if (!answer)
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
      await route.fulfill({ response });
    });
    await page.getByRole('link', { name: 'Drafts' }).click();
    await until('they are read', () => answer !== undefined);
    const draft = reader.post('Short-lived');
    await draft.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
    await reader.shows(draft, 0);
    const again = page.waitForResponse(/published=false/);
    answer?.();
    await again;
    await page.unrouteAll({ behavior: 'wait' });
    await page.getByRole('link', { name: 'Drafts 1' }).waitFor();
    expect(await draft.count()).to.equal(0);
    await page.getByRole('link', { name: 'Everyone' }).click();
    reader.expectClean();
  });

  it('writes nothing as another user who has logged in while the tab was frozen: it becomes theirs', async () => {
    const carol = createClient({ url: opened!.world.url });
    const { id, email } = await carol.signUp({
      email: 'carol@example.org',
      password: PASSWORD,
      username: 'carol',
    });
    await page.addInitScript(
      "addEventListener('storage', (event) => event.stopImmediatePropagation(), true)",
    );
    await page.reload();
    await title().fill('By whom?');
    await text().fill('By alice.');
    const second = await page.context().newPage();
    await second.goto(opened!.world.url);
    const key = await sessionKey();
    const session = await second.evaluate<string>(`(async () => {
      const before = localStorage['${key}'];
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ email: '${email}', password: '${PASSWORD}' });
      const tokens = await (await fetch('/login', { method: 'POST', headers, body })).json();
      localStorage['${key}'] = JSON.stringify({
        accessToken: tokens.access_token,
        refreshToken: tokens.refresh_token,
        expiresAt: Date.now() + 600_000,
        lifetime: 600_000,
      });
      return before;
    })()`);
    await composer().getByRole('button', { name: 'Publish' }).click();
    await page.getByText('Your account, carol').waitFor();
    await comesToBe(() => title().inputValue(), '');
    expect((await carol.posts.list({ ownerId: id })).posts).to.deep.equal([]);
    // The first user goes on; nobody has logged them out.
    await second.evaluate(`localStorage['${key}'] = ${JSON.stringify(session)}`);
    await page.evaluate("dispatchEvent(new Event('pageshow'))");
    await comesToBe(() => title().inputValue(), 'By whom?');
    await second.close();
    reader.expectClean();
  });

  const sessionKey = () =>
    page.evaluate<string>(
      'Object.keys(localStorage).find((key) => localStorage[key].includes("accessToken"))',
    );
});
