import { expect } from 'chai';
import {
  type Client,
  createClient,
  createFeedStore,
  createThreadStore,
  type Feed,
  type FeedQuery,
  type FeedStore,
  memoryStorage,
  type SessionStorage,
  type ThreadNode,
  TidingsError,
} from '../client/src/index.ts';
import type { PagePlace } from '../client/src/page-place.ts';
import { LivePages } from '../client/src/store/live-pages.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { caughtUp, execute } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

const LIMIT = 20;

/** Each list by a feed of its own, and by one that all share. */
for (const sharing of [false, true])
  describe(`stores of home, an author and a tag, ${sharing ? 'on one feed' : 'each with its own feed'}`, () => {
    let world: World;
    let proxy: FrameProxy;
    let storage: SessionStorage;
    /** Users who were asked for. */
    let lookUps: string[];
    let me: Client;
    let ada: Client;
    let ben: Client;
    let ids: { me: number; ada: number; ben: number };
    let feed: Feed | undefined;
    let open: { close: () => void }[];

    before(async () => {
      world = await createWorld({}, undefined, undefined, { block: 20 });
      proxy = await createFrameProxy(world.url);
    });
    after(async () => {
      await proxy.close();
      await world.close();
    });
    beforeEach(async () => {
      open = [];
      storage = memoryStorage();
      lookUps = [];
      me = createClient({
        url: proxy.url,
        storage,
        fetch: (url, init) => {
          if (/\/users\/\d+$/.test(url)) lookUps.push(url);
          return fetch(url, init);
        },
      });
      ada = createClient({ url: world.url });
      ben = createClient({ url: world.url });
      const signUp = async (client: Client) => {
        const name = Math.random().toString(36).slice(2, 12);
        return (
          await client.signUp({ email: `${name}@example.org`, password: PASSWORD, username: `u${name}` })
        ).id;
      };
      ids = { me: await signUp(me), ada: await signUp(ada), ben: await signUp(ben) };
      feed = sharing
        ? me.feed({ topics: [], tallies: 'tracked', reconnect: { base: 50, cap: 200 } })
        : undefined;
    });
    afterEach(() => {
      proxy.refusing = false;
      for (const store of open) store.close();
      feed?.close();
    });

    async function opened(query: FeedQuery): Promise<FeedStore> {
      const store = createFeedStore(me, {
        limit: LIMIT,
        ...query,
        feed: feed ?? { reconnect: { base: 50, cap: 200 } },
      });
      open.push(store);
      await store.load();
      expect(store.state.error).to.equal(undefined);
      await until('it is live', () => store.state.status.state === 'live');
      return store;
    }

    const write = async (client: Client, title: string, content = '') =>
      (await client.posts.create({ title, content })).id;
    const shownBy = (store: FeedStore) => store.state.posts.map(({ id }) => id);
    /** What the service answers now is what the store has come to show. */
    async function settles(store: FeedStore, query: FeedQuery): Promise<void> {
      const page = await me.posts.list({ limit: LIMIT, ...query });
      const expected = page.posts.map(({ id, title, tags }) => ({ id, title, tags }));
      // New posts are put on top of a page: more of them may be shown than are on one.
      const shown = () =>
        store.state.posts.slice(0, LIMIT).map(({ id, title, tags }) => ({ id, title, tags }));
      await until('all is told', () => JSON.stringify(shown()) === JSON.stringify(expected)).catch(
        () => undefined,
      );
      expect(shown()).to.deep.equal(expected);
    }

    it('has the home timeline: follows bring posts and take them, also over lost connections', async () => {
      await me.users.follow(ids.ada);
      const first = await write(ada, 'First');
      await write(ben, 'Of somebody else');
      const store = await opened({ view: 'home' });
      expect(shownBy(store)).to.deep.equal([first]);
      const own = await write(me, 'Own');
      await until('the own one', () => shownBy(store)[0] === own);
      await me.users.follow(ids.ben);
      await until('what was written before the follow', () => store.state.posts.length === 3);
      proxy.cut();
      await write(ben, 'While the connection was lost');
      await write(ada, 'Meanwhile');
      await settles(store, { view: 'home' });
      await me.users.unfollow(ids.ada);
      await until('what nobody followed wrote has gone', () =>
        store.state.posts.every(({ owner_id }) => owner_id !== ids.ada),
      );
      await write(ada, 'Not followed any more');
      await write(ben, 'Still followed');
      await settles(store, { view: 'home' });
    });

    it('takes posts out at once when their author is blocked or muted, and has them again after that', async () => {
      for (const id of [ids.ada, ids.ben]) await me.users.follow(id);
      await write(ada, 'By Ada');
      await write(ben, 'By Ben');
      const home = await opened({ view: 'home' });
      const author = await opened({ ownerId: ids.ben });
      const everyone = await opened({});
      const has = (store: FeedStore, id: number) => store.state.posts.some(({ owner_id }) => owner_id === id);
      await me.users.mute(ids.ben);
      await until('Ben is not shown', () => !has(home, ids.ben) && !has(everyone, ids.ben));
      // Muted, but asked for.
      expect(has(author, ids.ben)).to.equal(true);
      await me.users.unmute(ids.ben);
      await until('Ben is shown', () => has(home, ids.ben) && has(everyone, ids.ben));
      await me.users.block(ids.ben);
      await until('Ben is nowhere', () => ![home, author, everyone].some((store) => has(store, ids.ben)));
      await write(ben, 'Unheard');
      await me.users.unblock(ids.ben);
      await until('Ben is shown again', () => has(author, ids.ben) && has(everyone, ids.ben));
      await write(ada, 'Last');
      await settles(home, { view: 'home' });
      await settles(author, { ownerId: ids.ben });
      await settles(everyone, {});
    });

    it('has what one author writes, and no replies', async () => {
      const before = await write(ada, 'Before');
      const store = await opened({ ownerId: ids.ada });
      const other = await opened({});
      const thread = await write(ben, 'Of Ben');
      await world.anonymous.request(
        'POST',
        `/posts/${thread}/replies`,
        { content: 'A reply' },
        {
          authorization: `Bearer ${await ada.session.accessToken()}`,
        },
      );
      await write(ada, 'After');
      await ada.posts.update(before, { title: 'Changed' });
      await until('the new one', () => store.state.posts.length === 2);
      await settles(store, { ownerId: ids.ada });
      await settles(other, {});
    });

    it('has the posts with a tag: edits bring them in their place, and take them', async () => {
      const tag = `Straße${ids.me}`;
      const older = await write(ada, 'Older', 'Without a tag');
      const first = await write(ada, 'First', `#${tag}`);
      const store = await opened({ tag });
      // On a shared feed the author's edit comes whole, and not as the departure from the tag.
      await opened({ ownerId: ids.ada });
      const second = await write(ben, 'Second', `#strasse${ids.me}`);
      await until('the second', () => shownBy(store)[0] === second);
      await ada.posts.update(older, { content: `Now with #${tag.toUpperCase()}` });
      await until('the older one below', () => shownBy(store).length === 3);
      expect(shownBy(store)).to.deep.equal([second, first, older]);
      await ada.posts.update(first, { content: 'No more' });
      await until('it has gone', () => !shownBy(store).includes(first));
      proxy.cut();
      await write(ben, 'Third', `#${tag}`);
      await ben.posts.update(second, { content: '' });
      await settles(store, { tag });
    });

    it('leaves out what an edit has taken out of the list, also of the user, and has what it brings', async () => {
      const tag = `own${ids.me}`;
      const word = `heron${ids.me}`;
      const queries: FeedQuery[] = [{ tag }, { search: word }, { view: 'home', search: word }];
      const text = `A ${word} #${tag}`;
      const here = await write(me, 'Edited here', text);
      const there = await write(me, 'Edited elsewhere', text);
      const hers = await write(ada, 'Of somebody else', text);
      const later = await write(me, 'Not of the list yet');
      await me.users.follow(ids.ada);
      const stores = await Promise.all(queries.map((query) => opened(query)));
      for (const store of stores) expect(shownBy(store)).to.deep.equal([hers, there, here]);
      const plain = { content: 'Plain' };
      await stores[0]!.edit(here, plain);
      expect(shownBy(stores[0]!)).to.deep.equal([hers, there]);
      await me.posts.update(there, plain);
      await ada.posts.update(hers, plain);
      for (const store of stores) await until('none is left', () => shownBy(store).length === 0);
      await me.posts.update(there, { content: text });
      await me.posts.update(later, { content: text });
      for (const [at, store] of stores.entries()) await settles(store, queries[at]!);
      expect(shownBy(stores[1]!)).to.deep.equal([later, there]);
    });

    it('loses and doubles nothing while others write, follow and connections are cut', async () => {
      const tag = `t${ids.me}`;
      const queries: FeedQuery[] = [{ view: 'home' }, { ownerId: ids.ada }, { tag }, {}];
      const writing = (async () => {
        for (let at = 0; at < 12; at += 1) {
          const by = at % 2 === 0 ? ada : ben;
          const id = await write(by, `Post ${at}`, at % 3 === 0 ? `#${tag}` : '');
          if (at % 4 === 1) await by.posts.update(id, { content: `#${tag}` });
          if (at % 5 === 4) await by.posts.remove(id);
          if (at % 4 === 2) await me.users.follow(at % 8 === 2 ? ids.ada : ids.ben);
          if (at === 8) await me.users.unfollow(ids.ben);
          if (at % 5 === 3) proxy.cut();
        }
      })();
      const stores = await Promise.all(queries.map((query) => opened(query)));
      await writing;
      for (const [at, store] of stores.entries()) await settles(store, queries[at]!);
    });

    it('shows another list with the same store, and is opened again after it was closed', async () => {
      const store = await opened({ ownerId: ids.ada });
      await write(ada, 'By Ada');
      await write(ben, 'By Ben');
      await store.show({ ownerId: ids.ben });
      await settles(store, { ownerId: ids.ben });
      await until('it is live', () => store.state.status.state === 'live');
      await write(ben, 'Again by Ben');
      await settles(store, { ownerId: ids.ben });
      store.close();
      expect(store.state.status.state).to.equal('ended');
      expect(feed?.topics ?? []).to.deep.equal([]);
      await write(ben, 'While it was closed');
      await store.load();
      await write(ben, 'And after');
      await settles(store, { ownerId: ids.ben });
    });

    if (!sharing) return;

    it('shows what it can read while the feed cannot connect, and follows on from there', async () => {
      await me.users.get(ids.me);
      proxy.refusing = true;
      const half = createClient({
        url: proxy.url,
        storage,
        fetch: (url, init) => fetch(url.replace(proxy.url, world.url), init),
      });
      const cutOff = half.feed({ topics: [], reconnect: { base: 50, cap: 200 } });
      open.push(cutOff);
      const [first, second] = [await write(ada, 'First'), await write(ada, 'Second')];
      const store = createFeedStore(half, { ownerId: ids.ada, feed: cutOff, limit: 1 });
      open.push(store);
      await store.load();
      expect(shownBy(store)).to.deep.equal([second]);
      expect(store.state).to.include({ loading: false, error: undefined });
      await until('it says so', () => store.state.status.state === 'offline');
      await store.loadMore();
      expect(shownBy(store)).to.deep.equal([second, first]);
      store.close();
      await store.load();
      const missed = await write(ada, 'Missed');
      proxy.refusing = false;
      await until('it follows', () => shownBy(store).includes(missed));
      const next = await write(ada, 'Next');
      await until('it is live', () => shownBy(store).includes(next));
      expect(shownBy(store).slice(0, 2)).to.deep.equal([next, missed]);
    });

    it('shows what it can read, and why the feed was refused', async () => {
      const post = await write(ada, 'First');
      const wrong = me.feed({ topics: ['tag:c++'] });
      open.push(wrong);
      const store = createFeedStore(me, { ownerId: ids.ada, feed: wrong });
      open.push(store);
      await store.load();
      await until('it says why', () => store.state.error?.code === 'invalid');
      expect(shownBy(store)).to.deep.equal([post]);
      expect(store.state.status).to.include({ state: 'ended', reason: 'refused' });
      expect(store.state.loading).to.equal(false);
    });

    it('forgets whom it knew to be followed when events are left out', async () => {
      const home = await opened({ view: 'home' });
      const author = await opened({ ownerId: ids.ada });
      await write(ada, 'Not followed yet');
      await until('it has come', () => author.state.posts.length === 1);
      await settles(home, { view: 'home' });
      proxy.refusing = true;
      proxy.cut();
      const elsewhere = createClient({ url: world.url, storage });
      await elsewhere.users.follow(ids.ada);
      await write(ada, 'While the connection was lost');
      const floor = await caughtUp(world);
      await execute(
        world,
        `with pruned as (delete from event_log where seq <= $1), found_by as (delete from event_topics where seq <= $1)
         update feed_head set floor = $1`,
        [floor],
      );
      await until('the node to know', () => world.ctx.feed.logFloor === floor);
      proxy.refusing = false;
      await until('both are told', () => home.state.posts.length === 2 && author.state.posts.length === 2);
      await until('they are live', () => [home, author].every(({ state }) => state.status.state === 'live'));
      await write(ada, 'Followed');
      await until('it has come', () => author.state.posts.length === 3);
      await settles(home, { view: 'home' });
    });

    it('shows nobody who is muted, though a shared feed brings their posts for a list of their own', async () => {
      const tag = `m${ids.me}`;
      const root = await write(ben, 'A thread');
      for (const id of [ids.ada, ids.ben]) await me.users.follow(id);
      await me.users.mute(ids.ada);
      const author = await opened({ ownerId: ids.ada });
      await opened({ ownerId: ids.ben });
      const queries: FeedQuery[] = [{ view: 'home' }, { tag }, {}];
      const lists = await Promise.all(queries.map((query) => opened(query)));
      const thread = createThreadStore(me, { postId: root, ...(feed && { feed }) });
      open.push(thread);
      await thread.load();
      await until('it is live', () => thread.state.status.state === 'live');
      const agree = async () => {
        for (const [at, list] of lists.entries()) await settles(list, queries[at]!);
        const { replies } = await me.posts.replies(root);
        const told = ({
          id,
          replies: below = 0,
          deleted = false,
        }: {
          id: number;
          replies?: number;
          deleted?: boolean;
        }) => (deleted ? { id, below, deleted } : { id });
        const shown = (nodes: readonly ThreadNode[]): object[] =>
          nodes.flatMap(({ reply, replies: below }) => [told(reply), ...shown(below)]);
        const same = async () => {
          await thread.reveal();
          return JSON.stringify(shown(thread.state.replies)) === JSON.stringify(replies.map(told));
        };
        await until('the thread is the same', same).catch(() => undefined);
        expect(shown(thread.state.replies)).to.deep.equal(replies.map(told));
      };
      lookUps = [];
      await write(ada, 'Muted', `#${tag}`);
      const hers = (await ada.posts.reply(root, { content: 'Muted' })).id;
      const his = (await ben.posts.reply(hers, { content: 'Not muted' })).id;
      await write(ben, 'Not muted', `#${tag}`);
      await until('the own list has it', () => author.state.posts.length === 1);
      await until('the thread has what comes after it', () =>
        thread.state.waiting.some(({ id }) => id === his),
      );
      await agree();
      // Nobody has to be asked for whom the service leaves out.
      expect(lookUps.length).to.equal(2);

      // On another device.
      const elsewhere = createClient({ url: world.url, storage });
      await elsewhere.users.unmute(ids.ada);
      await until('what was muted is there', () =>
        lists.every((list) => list.state.posts.some(({ owner_id }) => owner_id === ids.ada)),
      );
      await write(ada, 'Not muted any more', `#${tag}`);
      await agree();
      await elsewhere.users.mute(ids.ada);
      await until('it has gone', () =>
        lists.every((list) => list.state.posts.every(({ owner_id }) => owner_id !== ids.ada)),
      );
      await write(ada, 'Muted again', `#${tag}`);
      await until('the own list has it', () => author.state.posts.length === 3);
      await ada.posts.remove(hers);
      await until('a deleted reply is nobody’s', () => thread.state.replies[0]?.reply.id === hers);
      await write(ben, 'Last', `#${tag}`);
      await agree();
      expect(lookUps.length).to.equal(2);
    });
  });

describe('the pages of a list', () => {
  /** Read from a service that is always there; the feed never is. */
  async function loaded(reads: (string | undefined)[] = []) {
    const nothing = () => undefined;
    const pages = new LivePages<PagePlace>({
      client: createClient({ url: 'http://127.0.0.1:9' }),
      feed: undefined,
      topic: nothing,
      read: (cursor) => {
        reads.push(cursor);
        return Promise.resolve({ next: 'more', position: { seq: 1, epoch: 'one' } });
      },
      onPage: () => nothing,
      onEvent: nothing,
      onTally: nothing,
      onReset: nothing,
      onForget: nothing,
      onReplaced: nothing,
      onChange: nothing,
    });
    await pages.load();
    return pages;
  }
  /** How many timers something adds, or takes away, before it returns. */
  const timersOf = (act: () => unknown) => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    act();
    return timers() - before;
  };
  const unanswered = new TidingsError('network', 'No answer.');

  it('are read again after an author could not be looked up, also if more is loaded meanwhile', async () => {
    const reads: (string | undefined)[] = [];
    const pages = await loaded(reads);
    expect(timersOf(() => pages.readAgainAfter(unanswered))).to.equal(1);
    expect(timersOf(() => void pages.loadMore())).to.equal(0);
    await until('the first page is read again', () => reads.length === 3);
    expect(reads).to.deep.equal([undefined, 'more', undefined]);
    pages.readAgainAfter(unanswered);
    expect(timersOf(() => void pages.load())).to.equal(-1);
    // No other try helps a store on a feed that has ended.
    expect(timersOf(() => pages.readAgainAfter(new TidingsError('aborted', 'It has ended.')))).to.equal(0);
    pages.close();
  });

  it('are not read again once they are closed', async () => {
    const pages = await loaded();
    pages.close();
    expect(timersOf(() => pages.readAgainAfter(unanswered))).to.equal(0);
    pages.refresh(2);
    expect(pages.loading).to.equal(false);
  });
});

describe('a feed that stores share', () => {
  it('must have topics', async () => {
    const client = createClient({ url: 'http://127.0.0.1:9' });
    const feed = client.feed();
    const store = createFeedStore(client, { view: 'home', feed });
    const refused = await store.load().catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(TypeError);
    feed.close();
  });
});
