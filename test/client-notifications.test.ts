import { expect } from 'chai';
import {
  type Client,
  createClient,
  createNotificationStore,
  type Feed,
  type NotificationStore,
} from '../client/src/index.ts';
import { headOf } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

/** One of a user's devices. */
interface Device {
  feed: Feed;
  store: NotificationStore;
}

describe("the client's notifications", () => {
  let world: World;
  let ada: Client;
  let ben: Client;
  let adas: { id: number; email: string };
  let open: Device[] = [];

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 50 });
    ben = createClient({ url: world.url });
    await ben.signUp({ email: 'ben@example.org', password: PASSWORD, username: 'ben' });
  });
  let people = 0;
  beforeEach(async () => {
    ada = createClient({ url: world.url });
    people += 1;
    const email = `ada${people}@example.org`;
    adas = { ...(await ada.signUp({ email, password: PASSWORD, username: `ada${people}` })), email };
  });
  afterEach(() => {
    for (const { feed, store } of open) {
      store.close();
      feed.close();
    }
    open = [];
  });
  after(() => world.close());

  async function device(client = ada): Promise<Device> {
    const feed = client.feed({ topics: [] });
    const store = createNotificationStore(client, { feed });
    open.push({ feed, store });
    await store.load();
    return { feed, store };
  }

  const shown = ({ store }: Device) => {
    const { notifications, unread } = store.state;
    return { unread, list: notifications.map(({ kind, read }) => (read ? `${kind}, read` : kind)) };
  };
  const shows = (one: Device, list: string[], unread: number) =>
    until(`${list.join()} and ${unread} unread`, () => {
      const now = shown(one);
      return now.unread === unread && now.list.join() === list.join();
    });

  it('are listed, and marked as read up to what was seen', async () => {
    const post = await ada.posts.create({ title: 'Hello', content: '' });
    await ben.posts.reply(post.id, { content: 'one' });
    const page = await ada.notifications.list();
    expect(page).to.include({ unread: 1, rev: 1, next: undefined });
    expect(page.notifications[0]).to.deep.include({ kind: 'reply', thread_id: post.id, read: false });
    expect(page.position).to.have.keys('seq', 'epoch');
    await ben.posts.reply(post.id, { content: 'two' });
    expect(await ada.notifications.read(page.rev)).to.include({ unread: 1 });
    expect((await ada.notifications.list({ unread: true })).notifications).to.have.lengthOf(1);
    const first = await ada.notifications.list({ limit: 1 });
    const second = await ada.notifications.list({ limit: 1, cursor: first.next });
    expect(second.notifications.map(({ read }) => read)).to.deep.equal([true]);
  });

  it('are the same on three devices, live and after one was away, and what one reads all have read', async () => {
    const others = await Promise.all(
      [1, 2].map(async () => {
        const client = createClient({ url: world.url });
        await client.logIn({ email: adas.email, password: PASSWORD });
        return client;
      }),
    );
    const devices = await Promise.all([ada, ...others].map((client) => device(client)));
    const [first, second, third] = devices as [Device, Device, Device];
    const post = await ada.posts.create({ title: 'Hello', content: '' });
    const reply = await ben.posts.reply(post.id, { content: 'one' });
    await ben.users.follow(adas.id);
    for (const each of devices) await shows(each, ['follow', 'reply'], 2);

    // The third is away, and hears of it when it is back.
    const told = await headOf(world);
    await until('all is heard', () => third.feed.position!.seq >= told);
    const position = third.feed.position!;
    third.feed.close();
    third.store.close();
    const watch = new Stopwatch();
    await first.store.read();
    await shows(second, ['follow, read', 'reply, read'], 0);
    // Told, and not found at some next look.
    expect(watch.ran).to.be.below(5000);
    await ben.posts.remove(reply.id);
    await shows(first, ['follow, read'], 0);
    const back = await device(others[1]);
    await shows(back, ['follow, read'], 0);
    const missed = await others[1]!.events({ after: position.seq, epoch: position.epoch });
    expect(missed.events.map(({ name }) => name)).to.deep.equal([
      'notification:read',
      'notifications:state',
      'notification:removed',
      'notifications:state',
      'post:deleted',
    ]);
  });

  it('are renewed by further votes, and unread again', async () => {
    const one = await device();
    const post = await ada.posts.create({ title: 'Hello', content: '' });
    await ben.votes.cast(post.id);
    await shows(one, ['votes'], 1);
    await one.store.read();
    await shows(one, ['votes, read'], 0);
    await ben.votes.takeBack(post.id);
    await world.pool.query(`update vote_notices set told_at = '-infinity'`);
    await shows(one, [], 0);
  });

  it('come a page at a time, with what came meanwhile on top', async () => {
    const post = await ada.posts.create({ title: 'Hello', content: '' });
    for (let n = 0; n < 25; n += 1) await ben.posts.reply(post.id, { content: `reply ${n}` });
    await headOf(world);
    const one = await device();
    expect(one.store.state).to.include({ unread: 25, hasMore: true, loading: false });
    expect(one.store.state.notifications).to.have.lengthOf(20);
    await ben.posts.reply(post.id, { content: 'the newest' });
    await until('the newest', () => one.store.state.unread === 26);
    await one.store.loadMore();
    expect(one.store.state).to.include({ hasMore: false });
    const revs = one.store.state.notifications.map(({ rev }) => rev);
    expect(revs).to.deep.equal(Array.from({ length: 26 }, (_, at) => 26 - at));
  });
});
