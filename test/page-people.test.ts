import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { createClient } from '../client/src/index.ts';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, type Reader } from './support/reader.ts';
import { until } from './support/waiting.ts';
import { PASSWORD, type TestUser, type World } from './support/world.ts';

describe('people on the page', () => {
  let opened: PageWorld | undefined;
  let world: World;
  let carol: TestUser;
  let dave: TestUser;
  let reader: Reader;
  let page: Page;

  before(async function () {
    opened = await openPageWorld(this, async (made) => {
      carol = await made.user('carol');
      await carol.patch('/users/me', { bio: 'Feeds the heron.' });
      dave = await made.user('dave');
      await carol.post('/posts', {
        title: 'Ask @dave',
        content: '@dave knows <b>more</b> at https://example.org/a?b=c&d, says javascript:alert(1)',
      });
    });
    ({ reader, page, world } = opened);
  });
  after(() => opened?.close());

  it('are linked where a post mentions them, beside web addresses, and nothing else is', async () => {
    const links = reader.post('Ask @dave').locator('.text a');
    await reader.shows(links, 2);
    expect(await links.nth(0).getAttribute('href')).to.equal('/@dave');
    expect(await links.nth(1).getAttribute('href')).to.equal('https://example.org/a?b=c&d');
    expect(await links.nth(1).getAttribute('rel')).to.equal('noopener nofollow ugc');
    expect(await reader.post('Ask @dave').locator('.text b').count()).to.equal(0);
    await links.nth(0).click();
    await page.getByRole('heading', { name: 'dave', level: 1 }).waitFor();
    await until('the focus', () =>
      page.evaluate<boolean>('["main", "profile-name"].includes(document.activeElement.id)'),
    );
    await comesToBe(() => page.title(), '@dave · Tidings');
    await page.goBack();
    await reader.post('Ask @dave').getByRole('link', { name: 'carol' }).click();
    await page.getByRole('heading', { name: 'carol', level: 1 }).waitFor();
    await comesToBe(() => page.evaluate('location.pathname'), '/@carol');
    await page.getByText('Feeds the heron.').waitFor();
    await page.getByText('1 post · 0 followers · 0 following').waitFor();
    await reader.shows(reader.post('Ask @dave'));
  });

  it('have a page with what they write, as it happens', async () => {
    await carol.post('/posts', { title: 'Just now', content: `It begins${'\n'.repeat(20)}and ends.` });
    await reader.shows(reader.post('Just now'));
    // A row of blank lines takes no place of the text.
    await comesToBe(() => reader.post('Just now').locator('.text').textContent(), 'It begins\n\nand ends.');
    const dave = await world.user('dave.too');
    await dave.post('/posts', { title: 'Not by carol', content: '' });
    await carol.post('/posts', { title: 'After that', content: '' });
    await reader.shows(reader.post('After that'));
    expect(await reader.post('Not by carol').count()).to.equal(0);
    reader.expectClean();
  });

  it('are followed, muted and, when asked twice, blocked', async () => {
    await page.getByRole('button', { name: 'Follow', exact: true }).click();
    await page.getByText('1 follower ·').waitFor();
    await page.getByRole('button', { name: 'Mute' }).click();
    await page.getByText('carol is muted.').waitFor();
    await page.getByRole('button', { name: 'Unmute' }).click();
    await page.getByRole('button', { name: 'Mute' }).waitFor();
    const dialog = page.getByRole('alertdialog');
    await page.getByRole('button', { name: 'Block' }).click();
    await dialog.getByText('Block carol?').waitFor();
    await dialog.getByRole('button', { name: 'Leave it' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Block' }).click();
    await dialog.getByRole('button', { name: 'Block' }).click();
    await page.getByText('You have blocked carol. You see nothing of each other.').waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.textContent'), 'Unblock');
    await page.getByText('0 followers ·').waitFor();
    await page.getByRole('button', { name: 'Unblock' }).click();
    await reader.shows(reader.post('Ask @dave'));
    reader.expectClean();
  });

  it('change and are listed as one follows and mutes them on another device', async () => {
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    await elsewhere.users.follow(carol.id);
    await page.getByRole('button', { name: 'Unfollow' }).waitFor();
    await elsewhere.users.mute(carol.id);
    await page.getByRole('button', { name: 'Unmute' }).waitFor();
    await elsewhere.users.unmute(carol.id);
    await page.getByRole('link', { name: '1 follower' }).click();
    const list = page.getByRole('list', { name: 'Followers' });
    await list.getByRole('link', { name: 'alice' }).waitFor();
    await comesToBe(() => page.title(), 'Followers of @carol · Tidings');
    await elsewhere.users.unfollow(carol.id);
    await page.getByText('Nobody follows carol yet.').waitFor();
    await page.goto(`${world.url}/@alice/following`);
    await page.getByText('You follow nobody yet.').waitFor();
    await reader.live();
    for (const { id } of [carol, dave]) await elsewhere.users.follow(id);
    const names = page.getByRole('list', { name: 'Following' }).getByRole('link');
    await comesToBe(() => names.allTextContents(), ['Ddave', 'Ccarol']);
    for (const { id } of [carol, dave]) await elsewhere.users.unfollow(id);
    await page.goto(`${world.url}/@carol`);
    reader.expectClean({ networkMayFail: true });
  });

  it('are listed while they are blocked or muted, on all devices, and let go of there', async () => {
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.getByRole('link', { name: 'blocked' }).click();
    await page.getByText('You have blocked nobody.').waitFor();
    await comesToBe(() => page.title(), 'Blocked · Tidings');
    await elsewhere.users.block(dave.id);
    const unblock = page.getByRole('button', { name: 'Unblock dave' });
    await unblock.waitFor();
    await reader.expectKeepsNobodyOut('/account/blocks');
    await unblock.click();
    await page.getByText('You have blocked nobody.').waitFor();
    await page.getByText('dave is no longer blocked.').waitFor();
    await comesToBe(() => page.evaluate('document.activeElement.ariaLabel'), 'Blocked');
    expect((await elsewhere.users.blocks()).users).to.deep.equal([]);
    await elsewhere.users.mute(dave.id);
    await page.goto(`${world.url}/account/mutes`);
    await page.getByRole('button', { name: 'Unmute dave' }).waitFor();
    await elsewhere.users.unmute(dave.id);
    await page.getByText('You have muted nobody.').waitFor();
    await page.goto(`${world.url}/@carol`);
    reader.expectClean({ networkMayFail: true });
  });

  it('are told of what others do, until they have seen it on some device', async () => {
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    await carol.put(`/users/${(await elsewhere.me()).id}/follow`);
    await page.getByRole('link', { name: 'Notifications 1 unread' }).waitFor();
    await elsewhere.notifications.read(100);
    const seen = page.getByRole('link', { name: 'Notifications', exact: true });
    await seen.click();
    const list = page.getByRole('list', { name: 'Notifications' });
    await list.getByRole('link', { name: 'carol follows you' }).waitFor();
    await comesToBe(() => page.title(), 'Notifications · Tidings');
    await carol.post('/posts', { title: 'Look, @alice', content: '' });
    await list.getByRole('link', { name: 'New: carol mentioned you Look, @alice' }).waitFor();
    await until('it to be read', async () => (await elsewhere.notifications.list()).unread === 0);
    await seen.waitFor();
    await reader.expectKeepsNobodyOut('/notifications');
    await list.getByRole('link', { name: 'carol mentioned you' }).click();
    await page.getByRole('heading', { name: 'Look, @alice' }).waitFor();
    await page.goto(`${world.url}/@carol`);
    reader.expectClean({ networkMayFail: true });
  });

  it('are found by a mention from before they took another name', async () => {
    await dave.patch('/users/me', { username: 'david' });
    await reader.post('Ask @dave').locator('.text a').first().click();
    await page.getByRole('heading', { name: 'david', level: 1 }).waitFor();
    await page.waitForURL(`${world.url}/@david`);
    await page.goBack();
    await page.getByRole('heading', { name: 'carol', level: 1 }).waitFor();
  });

  it('say about themselves what they like', async () => {
    await page.goto(`${world.url}/account`);
    const form = page.getByRole('form', { name: 'About you' });
    await form.getByLabel('A few words').fill('x'.repeat(501));
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('At most 500 characters.', { exact: true }).waitFor();
    await form.getByLabel('A few words').fill('Reads <b>a lot</b>.');
    await form.getByRole('button', { name: 'Save' }).click();
    await page.getByText('What you say about yourself is changed.').waitFor();
    await page.goto(`${world.url}/@alice`);
    await page.getByText('Reads <b>a lot</b>.').waitFor();
    await page.goto(`${world.url}/@carol`);
    reader.expectClean({ networkMayFail: true }); // the browser notes the refused text
  });

  it('who refuse are told of in plain words', async () => {
    await carol.put(`/users/${(await carol.get<{ id: number }>('/users/by-name/alice')).body.id}/block`);
    await page.getByRole('button', { name: 'Follow', exact: true }).click();
    await page.getByText('You cannot follow carol.').waitFor();
    await page.goto(`${world.url}/@nobody-here`);
    await page.getByRole('heading', { name: 'There is no @nobody-here' }).waitFor();
    reader.expectClean({ networkMayFail: true });
  });

  it('have their names whole beside the buttons of a narrow list', async () => {
    const { id, username } = await world.user('a-name-of-as-many-as-30.letter');
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email: reader.email, password: PASSWORD });
    await elsewhere.users.mute(id);
    await page.setViewportSize({ width: 320, height: 640 });
    await page.goto(`${world.url}/account/mutes`);
    await page.getByRole('button', { name: `Unmute ${username}` }).waitFor();
    const isWhole = await page.evaluate(`(() => {
      const name = document.querySelector('.people .who');
      return name.scrollWidth <= name.clientWidth && name.getBoundingClientRect().right <= 320;
    })()`);
    expect(isWhole).to.equal(true);
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  it('are announced by a place for them while they are being read', async () => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/users/by-name/carol', async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${world.url}/@carol`);
    await page.getByRole('heading', { name: '@carol' }).waitFor();
    await page.locator('.skeleton').waitFor();
    letGo();
    await page.getByRole('heading', { name: 'carol', exact: true }).waitFor();
    await reader.shows(page.locator('.skeleton'), 0);
    await page.unroute('**/users/by-name/carol');
  });

  it('have pages that keep nobody out', async () => {
    for (const address of ['/@carol', '/@alice', '/@nobody-here', '/@carol/followers']) {
      await page.goto(world.url + address);
      await page.locator('h1').waitFor();
      await reader.expectKeepsNobodyOut(address);
    }
  });
});
