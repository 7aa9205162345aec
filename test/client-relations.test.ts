import { expect } from 'chai';
import {
  type Client,
  createCaseStore,
  createClient,
  createFeedStore,
  createNotificationStore,
  createProfileStore,
  createRelationsStore,
  createThreadStore,
  type Feed,
  type LiveEvent,
  type ProfileStore,
  type RelationList,
  type RelationsStore,
} from '../client/src/index.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { refusal } from './support/refusal.ts';
import { caughtUp } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

describe("the client's follows, blocks and mutes", () => {
  let world: World;
  let alice: Client;
  let bob: Client;
  let ids: { alice: number; bob: number };

  before(async () => {
    world = await createWorld();
    alice = createClient({ url: world.url });
    bob = createClient({ url: world.url });
    ids = {
      alice: (await alice.signUp({ email: 'alice@example.org', password: PASSWORD, username: 'alice' })).id,
      bob: (await bob.signUp({ email: 'bob@example.org', password: PASSWORD, username: 'bob' })).id,
    };
  });
  after(() => world.close());

  it('follows and unfollows, lists both sides, and both hear of it', async () => {
    const feeds = [alice.feed(), bob.feed()];
    const heard: string[][] = [[], []];
    feeds.forEach((feed, at) => {
      feed.on('follow:added', ({ follower, followee, refresh = false }) =>
        heard[at]?.push(`${follower.username} follows ${followee.username}, refresh: ${refresh}`),
      );
      feed.on('follow:removed', ({ follower }) => heard[at]?.push(`${follower.username} no longer`));
    });
    await Promise.all(feeds.map((feed) => feed.ready()));
    const followed = await alice.users.follow(ids.bob);
    expect(followed).to.include({ user_id: ids.bob, followed: true, blocked: false, muted: false });
    expect(await alice.users.follow(ids.bob)).to.deep.equal(followed);
    const { users, position, next } = await bob.users.followers(ids.bob);
    expect(users.map(({ user }) => user)).to.deep.equal([{ id: ids.alice, username: 'alice' }]);
    expect(position.seq).to.be.at.least(followed.seq);
    expect(next).to.equal(undefined);
    expect((await bob.users.following(ids.alice)).users).to.have.length(1);
    expect((await alice.users.unfollow(ids.bob)).seq).to.be.greaterThan(followed.seq);
    expect((await alice.users.following(ids.alice)).users).to.deep.equal([]);
    await until('both have heard', () => heard.every(({ length }) => length === 2));
    expect(heard).to.deep.equal([
      ['alice follows bob, refresh: true', 'alice no longer'],
      ['alice follows bob, refresh: false', 'alice no longer'],
    ]);
    for (const feed of feeds) feed.close();
  });

  it('blocks and mutes, and nobody else hears of it', async () => {
    const feeds = [alice.feed(), bob.feed()];
    const heard: LiveEvent[][] = [[], []];
    feeds.forEach((feed, at) => feed.on('event', (event) => heard[at]?.push(event)));
    await Promise.all(feeds.map((feed) => feed.ready()));
    expect(await alice.users.block(ids.bob)).to.include({ blocked: true });
    expect(await refusal(alice.users.follow(ids.bob))).to.include({ code: 'forbidden' });
    expect((await alice.users.blocks()).users.map(({ user }) => user.id)).to.deep.equal([ids.bob]);
    await alice.users.unblock(ids.bob);
    await alice.users.mute(ids.bob);
    expect((await alice.users.mutes()).users.map(({ user }) => user.id)).to.deep.equal([ids.bob]);
    await alice.users.unmute(ids.bob);
    const last = await bob.posts.create({ title: 'After it', content: '' });
    const hasPost = (events: LiveEvent[]) =>
      events.some(({ name, data }) => name === 'post:created' && 'id' in data && data.id === last.id);
    await until('both have heard the post', () => heard.every(hasPost));
    expect(heard.map((events) => events.map(({ name }) => name))).to.deep.equal([
      ['block:added', 'block:removed', 'mute:added', 'mute:removed', 'post:created'],
      ['post:created'],
    ]);
    for (const feed of feeds) feed.close();
  });

  it('shows anyone who logs in next their own list, closed before or not', async () => {
    await alice.users.follow(ids.bob);
    for (const closes of [true, false]) {
      const client = createClient({ url: world.url });
      await client.logIn({ email: 'alice@example.org', password: PASSWORD });
      const store = createRelationsStore(client, { list: 'following' });
      const names = () => store.state.users.map(({ username }) => username);
      try {
        await store.load();
        await until('it is live', () => store.state.status.state === 'live');
        expect(names()).to.deep.equal(['bob']);
        if (closes) store.close();
        await client.logOut();
        await client.logIn({ email: 'bob@example.org', password: PASSWORD });
        await store.load();
        expect(names()).to.deep.equal([]);
        await until('it is live again', () => store.state.status.state === 'live');
        await bob.users.follow(ids.alice);
        await until('the own follow', () => names().join() === 'alice');
        await bob.users.unfollow(ids.alice);
      } finally {
        store.close();
      }
    }
  });

  it('reads the home page, and lists of others page by page', async () => {
    await alice.users.follow(ids.bob);
    const carol = createClient({ url: world.url });
    const { id } = await carol.signUp({ email: 'carol@example.org', password: PASSWORD, username: 'carol' });
    await carol.posts.create({ title: 'By carol', content: '' });
    const home = async () =>
      (await alice.posts.list({ view: 'home' })).posts.map(({ owner }) => owner.username);
    expect(new Set(await home())).to.deep.equal(new Set(['bob']));
    await alice.users.follow(id);
    expect(new Set(await home())).to.deep.equal(new Set(['bob', 'carol']));
    const first = await alice.users.following(ids.alice, { limit: 1 });
    const second = await alice.users.following(ids.alice, { limit: 1, cursor: first.next });
    expect([...first.users, ...second.users].map(({ user }) => user.username)).to.deep.equal([
      'carol',
      'bob',
    ]);
    expect(second.next).to.equal(undefined);
  });
});

/** By a feed of their own, and by one that all share. */
for (const sharing of [false, true])
  describe(`stores of users, ${sharing ? 'on one feed' : 'each with its own feed'}`, () => {
    let world: World;
    let proxy: FrameProxy;
    let me: Client;
    /** Another device of the same user. */
    let elsewhere: Client;
    let others: { id: number; username: string; client: Client }[];
    let feed: Feed | undefined;
    let open: { close: () => void }[];
    /** What happens between the answer of the service with a list and its arrival. */
    let meanwhile: (() => Promise<unknown>) | undefined;

    const reconnect = { base: 50, cap: 200 };
    const LISTS: readonly RelationList[] = ['following', 'followers', 'blocks', 'mutes'];

    before(async () => {
      world = await createWorld({}, undefined, undefined, { block: 20 });
      proxy = await createFrameProxy(world.url);
      me = createClient({
        url: proxy.url,
        fetch: async (url, init) => {
          const answer = await fetch(url, init);
          if (url.includes('/following')) await meanwhile?.();
          return answer;
        },
      });
      elsewhere = createClient({ url: world.url });
      const account = { email: 'me@example.org', password: PASSWORD };
      await me.signUp({ ...account, username: 'me.myself' });
      await elsewhere.logIn(account);
      others = await Promise.all(
        ['ada', 'ben', 'cem', 'dora', 'eve'].map(async (username) => {
          const client = createClient({ url: world.url });
          const email = `${username}@example.org`;
          return { ...(await client.signUp({ email, password: PASSWORD, username })), client };
        }),
      );
    });
    after(async () => {
      await proxy.close();
      await world.close();
    });
    beforeEach(() => {
      open = [];
      feed = sharing ? me.feed({ topics: [], reconnect }) : undefined;
    });
    afterEach(() => {
      for (const store of open) store.close();
      feed?.close();
    });

    async function opened(list: RelationList, limit = 10): Promise<RelationsStore> {
      const store = createRelationsStore(me, { list, limit, feed: feed ?? { reconnect } });
      open.push(store);
      await store.load();
      expect(store.state.error).to.equal(undefined);
      return store;
    }

    const other = (name: string) => others.find(({ username }) => username === name)!;
    const namesIn = (store: RelationsStore) => store.state.users.map(({ username }) => username);

    /** What the service lists now is what the store has come to show. */
    async function settles(store: RelationsStore, list: RelationList): Promise<void> {
      const { id } = await elsewhere.me();
      const page = await (list === 'blocks' || list === 'mutes'
        ? elsewhere.users[list]({ limit: 100 })
        : elsewhere.users[list](id, { limit: 100 }));
      const expected = page.users.map(({ user }) => user.username);
      await until(`all of ${list}`, () => namesIn(store).join() === expected.join()).catch(() => undefined);
      expect(namesIn(store), list).to.deep.equal(expected);
    }

    it('list those whom one follows, blocks and mutes, as another device does so, over lost connections', async () => {
      const stores = await Promise.all(LISTS.map((list) => opened(list)));
      const { users } = elsewhere;
      for (const name of ['ada', 'ben', 'cem']) await users.follow(other(name).id);
      await users.mute(other('dora').id);
      await other('ada').client.users.follow((await me.me()).id);
      await until('ada follows', () => namesIn(stores[1]!).length === 1);
      // Over another connection, where each has its own.
      await until('all three are followed', () => namesIn(stores[0]!).length === 3);
      expect(namesIn(stores[0]!)).to.deep.equal(['cem', 'ben', 'ada']);
      proxy.cut();
      await users.unfollow(other('ben').id);
      await users.block(other('ada').id);
      await users.mute(other('ben').id);
      await users.follow(other('dora').id);
      for (const [at, list] of LISTS.entries()) await settles(stores[at]!, list);
      expect(stores.map(namesIn)).to.deep.equal([['dora', 'cem'], [], ['ada'], ['ben', 'dora']]);
      await users.unblock(other('ada').id);
      for (const name of ['ben', 'dora']) await users.unmute(other(name).id);
      for (const [at, list] of LISTS.entries()) await settles(stores[at]!, list);
    });

    it('have a list in pages, and miss nothing that changes while these are read', async () => {
      for (const { id } of others) await elsewhere.users.unfollow(id);
      for (const { id } of others.slice(0, 4)) await elsewhere.users.follow(id);
      await feed?.ready();
      let isHeard = () => true;
      feed?.on('follow:removed', () => (isHeard = () => true));
      meanwhile = async () => {
        meanwhile = undefined;
        if (feed) isHeard = () => false;
        await elsewhere.users.unfollow(other('dora').id);
        await until('the shared feed has it', () => isHeard());
      };
      const store = await opened('following', 2);
      await until('she has gone', () => namesIn(store).join() === 'cem');
      const changing = (async () => {
        await elsewhere.users.follow(other('eve').id);
        await elsewhere.users.unfollow(other('ada').id);
        await elsewhere.users.unfollow(other('cem').id);
      })();
      while (store.state.hasMore) await store.loadMore();
      await changing;
      await settles(store, 'following');
      expect(store.state.users.find(({ username }) => username === 'ben')?.since).to.be.a('string');
    });

    it('show somebody as one stands to them, on whatever device that changes', async () => {
      const { id } = other('ben');
      const profile: ProfileStore = createProfileStore(me, { username: 'Ben', feed: feed ?? { reconnect } });
      open.push(profile);
      await profile.load();
      const seen = () => profile.state.user;
      expect(seen()).to.include({ id, followed: true, muted: false });
      await until('it is live', () => profile.state.status.state === 'live' && !profile.state.loading);
      await elsewhere.users.unfollow(id);
      await until('not followed', () => seen()?.followed === false && seen()?.followers === 0);
      proxy.cut();
      await elsewhere.users.mute(id);
      await until('muted', () => seen()?.muted === true);
      await other('ben').client.updateMe({ username: 'benedict' });
      await elsewhere.users.follow(id);
      await until('followed', () => seen()?.followed === true);
      expect(seen()?.username).to.equal('benedict');
      const nobody = createProfileStore(me, { username: 'nobody', feed: feed ?? { reconnect } });
      open.push(nobody);
      await nobody.load();
      expect(nobody.state).to.include({ user: undefined, missing: true, loading: false });
      await other('ben').client.updateMe({ username: 'ben' });
    });

    it('are read again rather than growing for ever', async () => {
      const store = await opened('blocks', 2);
      await until('it is live', () => store.state.status.state === 'live');
      await world.pool.query(`
        insert into users (email, username, password_hash)
        select 'many' || n || '@example.org', 'many' || n, '' from generate_series(1, 310) n`);
      const many = await world.pool.query<{ id: string }>(`select id from users where username like 'many%'`);
      let last = 0;
      for (const { id } of many.rows) ({ seq: last } = await elsewhere.users.block(Number(id)));
      await until('all have come', () => store.state.seq >= last);
      await until('it was read again', () => store.state.users.length < 100);
      expect(store.state.error).to.equal(undefined);
    });

    it('show whom a name is of once the database is another one', async () => {
      const profile = createProfileStore(me, { username: 'eve', feed: feed ?? { reconnect } });
      open.push(profile);
      await profile.load();
      await until('it is live', () => profile.state.status.state === 'live' && !profile.state.loading);
      expect(profile.state.user?.id).to.equal(other('eve').id);
      // In the other database nobody has given the name up.
      await world.pool.query(`
        begin;
        set local session_replication_role = replica;
        update users set username = 'eva' where username = 'eve';
        update users set username = 'eve' where username = 'cem';
        update feed_head set epoch = gen_random_uuid();
        commit`);
      await until('the other one', () => profile.state.user?.id === other('cem').id);
    });
  });

describe('a profile that changes often', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  it('is read a few times, and again after a temporary error or an answer that is none of the service', async () => {
    let reads = 0;
    let answer: (() => Response) | undefined;
    const me = createClient({
      url: world.url,
      fetch: (url, init) => {
        if (!/\/users\/\d+$/.test(url)) return fetch(url, init);
        reads += 1;
        const instead = answer?.();
        answer = undefined;
        return instead ? Promise.resolve(instead) : fetch(url, init);
      },
    });
    await me.signUp({ email: 'often@example.org', password: PASSWORD });
    const star = await world.user('star');
    const profile = createProfileStore(me, { id: star.id });
    await profile.load();
    await until('it is live', () => profile.state.status.state === 'live' && !profile.state.loading);
    const before = reads;
    const began = Date.now();
    for (let at = 0; at < 20; at += 1) {
      await me.users.follow(star.id);
      await me.users.unfollow(star.id);
    }
    await me.users.follow(star.id);
    await until('the last change', () => profile.state.user?.followed === true);
    // However slow the service is: one in a quarter of a second.
    expect(reads - before).to.be.at.most(2 + (Date.now() - began) / 250);
    const problem = {
      type: 'urn:tidings:problem:too_many_requests',
      title: '',
      detail: 'Later.',
      status: 429,
    };
    answer = () =>
      Response.json(problem, { status: 429, headers: { 'Content-Type': 'application/problem+json' } });
    await profile.load();
    expect(profile.state.error).to.include({ status: 429, temporary: true });
    await until('it is read again', () => profile.state.error === undefined);
    answer = () => new Response('', { status: 200 });
    await profile.load();
    expect(profile.state).to.deep.include({ loading: false });
    expect(profile.state.error).to.include({ code: 'unexpected', status: 200 });
    await profile.load();
    expect(profile.state.error).to.equal(undefined);
    profile.close();
  });
});

describe('the queue of cases', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  it('keeps what has been loaded below when something is reported', async () => {
    const moderator = createClient({ url: world.url });
    const account = { email: 'moderator@example.org', password: PASSWORD, username: 'keeper' };
    await moderator.signUp(account);
    await world.ctx.db.transaction((tx) => grantRole(tx, 'keeper', 'moderator', ''));
    const [author, first, second] = [0, 1, 2].map(() => createClient({ url: world.url })) as [
      Client,
      Client,
      Client,
    ];
    for (const [at, client] of [author, first, second].entries())
      await client.signUp({ email: `reporter${at}@example.org`, password: PASSWORD });
    const report = async (of?: number, by = first) => {
      const id = of ?? (await author.posts.create({ title: 'Bad', content: '' })).id;
      await by.posts.report(id, { reason: 'spam' });
      return id;
    };
    const posts: number[] = [];
    for (let at = 0; at < 6; at += 1) posts.unshift(await report());
    // What comes after the first page has it read again, and no further page is loaded meanwhile.
    await caughtUp(world);
    const [open, resolved] = (['open', 'resolved'] as const).map((state) =>
      createCaseStore(moderator, { state, limit: 2 }),
    );
    const shown = (store = open!) => store.state.cases.map(({ post_id: id }) => id);
    try {
      await Promise.all([open!.load(), resolved!.load()]);
      await until('both are live', () =>
        [open, resolved].every((store) => store!.state.status.state === 'live'),
      );
      await open!.loadMore();
      expect(shown()).to.deep.equal(posts.slice(0, 4));
      posts.unshift(await report());
      await until('the new one is on top', () => shown()[0] === posts[0]);
      expect(shown().slice(0, 5)).to.deep.equal(posts.slice(0, 5));
      await open!.loadMore();
      expect(shown()).to.deep.equal(posts);
      expect(open!.state.hasMore).to.equal(false);
      // One of the last page.
      await report(posts[5], second);
      await until('it has two reports', () => open!.state.cases[5]?.count === 2);
      expect(shown()).to.deep.equal(posts);
      for (const at of [0, 3, 6])
        await moderator.moderation.act({ action: 'dismiss', post_id: posts[at]!, reason: 'Fine' });
      await until('they have gone', () => shown().length === 4);
      expect(shown()).to.deep.equal([1, 2, 4, 5].map((at) => posts[at]));
      await until('they are among the resolved', () => shown(resolved).length >= 2);
      // The first two may have been read before the last.
      await until('all of them are', async () => {
        await resolved!.loadMore();
        return shown(resolved).length === 3;
      });
      expect(shown(resolved)).to.deep.equal([0, 3, 6].map((at) => posts[at]));
      await moderator.moderation.act({ action: 'dismiss', post_id: posts[4]!, reason: 'Fine' });
      await until('it is at its place', () => shown(resolved).length === 4);
      expect(shown(resolved)).to.deep.equal([0, 3, 4, 6].map((at) => posts[at]));
    } finally {
      open!.close();
      resolved!.close();
    }
  });
});

describe('the stores of the client', () => {
  it('say nothing more to a listener that closes them, as many times as it does', async () => {
    const client = createClient({ url: 'http://127.0.0.1:9' });
    const feed = { reconnect: { base: 50, cap: 200 } };
    const stores = [
      createFeedStore(client, { feed }),
      createThreadStore(client, { postId: 1, feed }),
      createRelationsStore(client, { list: 'blocks', feed }),
      createNotificationStore(client, { feed }),
      createCaseStore(client, { feed }),
      createProfileStore(client, { id: 1, feed }),
    ];
    for (const store of stores) {
      let told = 0;
      const closed = new Promise<void>((resolve) =>
        store.subscribe(() => {
          told += 1;
          if (told < 10) store.close();
          if (store.state.status.state === 'ended') resolve();
        }),
      );
      await Promise.all([store.load(), closed]);
      store.close();
      await new Promise((resolve) => setImmediate(resolve));
      expect(store.state.status).to.deep.equal({ state: 'ended', reason: 'closed' });
      // That it loads, and that it is closed.
      expect(told, store.constructor.name).to.equal(2);
    }
  });

  it('have functions to subscribe and to take the state that need no `this`, as React calls them', async () => {
    const client = createClient({ url: 'http://127.0.0.1:9' });
    const feed = { reconnect: { base: 50, cap: 200 } };
    const stores = [
      createFeedStore(client, { feed }),
      createThreadStore(client, { postId: 1, feed }),
      createRelationsStore(client, { list: 'blocks', feed }),
      createProfileStore(client, { id: 1, feed }),
    ];
    for (const store of stores) {
      const { getSnapshot, subscribe } = store;
      const before = getSnapshot();
      expect(before).to.equal(store.state);
      const changed = new Promise<void>((resolve) => subscribe(resolve));
      const loading = store.load();
      await changed;
      expect(getSnapshot()).to.equal(store.state).and.not.equal(before);
      store.close();
      await loading;
    }
  });
});
