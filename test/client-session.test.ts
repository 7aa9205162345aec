import { expect } from 'chai';
import {
  type Client,
  createClient,
  type LiveEvent,
  localStorageSession,
  memoryStorage,
  type SessionChange,
  type SessionStorage,
} from '../client/src/index.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { BrowserTabs } from './support/browser-tabs.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { refusal } from './support/refusal.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { Api, createWorld, PASSWORD, type World } from './support/world.ts';

/** How often `POST /refresh` is asked, over the real fetch. */
function countingRefreshes(): { fetch: typeof fetch; count: () => number } {
  let refreshes = 0;
  return {
    count: () => refreshes,
    fetch: (url, init) => {
      if (typeof url === 'string' && url.endsWith('/refresh')) refreshes += 1;
      return fetch(url, init);
    },
  };
}

/** Somebody with a session, seen through one storage. */
async function signedUp(
  url: string,
  storage: SessionStorage = memoryStorage(),
  fetch?: typeof globalThis.fetch,
) {
  const client = createClient({ url, storage, ...(fetch ? { fetch } : {}) });
  const email = `${Math.random().toString(36).slice(2)}@example.org`;
  await client.signUp({ email, password: PASSWORD });
  return { client, email };
}

describe('a renewal that is not answered', () => {
  const storage = () => memoryStorage({ accessToken: 'a', refreshToken: 'r', expiresAt: 0, lifetime: 1000 });

  it('is given up before the lease of a tab ends', async () => {
    const { setTimeout: real } = globalThis;
    let waited = 0;
    const atOnce = (act: () => void, wait = 0) => {
      waited += wait;
      return real(act, 0);
    };
    const client = createClient({
      url: 'http://127.0.0.1:9',
      storage: storage(),
      fetch: (_url, { signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    });
    globalThis.setTimeout = atOnce as typeof setTimeout;
    try {
      expect(await refusal(client.me())).to.include({ code: 'network' });
    } finally {
      globalThis.setTimeout = real;
    }
    expect(waited).to.be.within(8000, 20_000);
  });

  it('does not hold up a call that is given up', async () => {
    const client = createClient({
      url: 'http://127.0.0.1:9',
      storage: storage(),
      fetch: () => new Promise(() => undefined),
    });
    const giveUp = new AbortController();
    const call = refusal(client.posts.list({ signal: giveUp.signal }));
    setImmediate(() => giveUp.abort());
    expect(await call).to.include({ code: 'aborted' });
  });
});

describe("the client's session, with tokens that live two seconds", () => {
  let world: World;
  /** Damages nothing: it sees what the feeds are sent. */
  let proxy: FrameProxy;
  let writer: Client;

  before(async () => {
    world = await createWorld({ ACCESS_TOKEN_TTL: '2s' });
    proxy = await createFrameProxy(world.url);
    writer = createClient({ url: world.url });
    await writer.signUp({ email: 'writer@example.org', password: PASSWORD, username: 'writer' });
  });
  after(async () => {
    await proxy.close();
    await world.close();
  });

  const someone = (storage?: SessionStorage, fetch?: typeof globalThis.fetch) =>
    signedUp(proxy.url, storage, fetch);

  const untilExpired = (client: Client, storage: SessionStorage) =>
    until('the access token has ended', async () => {
      const response = await fetch(`${world.url}/users/me`, {
        headers: { Authorization: `Bearer ${storage.read()?.accessToken ?? ''}` },
      });
      await response.text();
      return response.status === 401 && client.session.loggedIn;
    });

  /** The new token ends as well, after a second at the soonest. */
  const mostRenewals = (watch: Stopwatch) => 1 + Math.floor(watch.passed / 1000);

  it('renews an ended token once for however many calls need it', async () => {
    const storage = memoryStorage();
    const { fetch, count } = countingRefreshes();
    const { client } = await someone(storage, fetch);
    await untilExpired(client, storage);
    const watch = new Stopwatch();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.me()));
    expect(new Set(answers.map(({ id }) => id))).to.have.lengthOf(1);
    expect(count()).to.be.within(1, mostRenewals(watch));
  });

  it('renews a token that the server refuses though it seemed to live', async () => {
    const storage = memoryStorage();
    const { client } = await someone(storage);
    const kept = storage.read()!;
    storage.write({ ...kept, accessToken: `${kept.accessToken}x`, expiresAt: Date.now() + 60_000 });
    expect(await client.me()).to.have.property('email');
  });

  it('shares a session among tabs without using a refresh token twice', async () => {
    const storage = memoryStorage();
    const { fetch, count } = countingRefreshes();
    const { client } = await someone(storage, fetch);
    const tabs = [
      client,
      ...Array.from({ length: 4 }, () => createClient({ url: world.url, storage, fetch })),
    ];
    await untilExpired(client, storage);
    const watch = new Stopwatch();
    await Promise.all(tabs.map((tab) => tab.me()));
    expect(count()).to.be.within(1, mostRenewals(watch));
    await Promise.all(tabs.map((tab) => tab.me()));
  });

  for (const { locks, lag, by } of [
    { locks: false, lag: 0, by: 'a lease where there are no locks' },
    {
      locks: true,
      lag: 40,
      by: 'locks where there are some, though what one tab writes is late in the others',
    },
  ])
    it(`keeps it in localStorage, for which tabs take turns by ${by}`, async () => {
      const browser = new BrowserTabs({ lag, locks });
      const { fetch, count } = countingRefreshes();
      const inNewTab = () => browser.inNewTab(() => localStorageSession('session'));
      const storages = [inNewTab(), inNewTab(), inNewTab(), inNewTab()] as const;
      const [storage, ...others] = storages;
      const { client } = await someone(storage, fetch);
      const tabs = [client, ...others.map((each) => createClient({ url: world.url, storage: each, fetch }))];
      await until('all tabs know of it', () => storages.every((each) => each.read() !== undefined));
      await untilExpired(client, storage);
      const watch = new Stopwatch();
      const users = await Promise.all(tabs.map((each) => each.me()));
      expect(new Set(users.map(({ id }) => id)).size).to.equal(1);
      // A tab that has not seen yet what another one wrote renews as well, and is given the same pair.
      expect(count()).to.be.within(1, mostRenewals(watch) * (lag === 0 ? 1 : tabs.length));
      await until('all tabs to have seen the same pair', () => {
        return new Set(storages.map((each) => each.read()?.refreshToken)).size === 1;
      });
      expect(browser.keys).to.deep.equal(['session']);
      expect(client.session.loggedIn).to.equal(true);
    });

  it('takes what somebody else has put into localStorage for no session', () => {
    const storage = new BrowserTabs({ lag: 0, locks: false }).inNewTab(({ localStorage }) => {
      localStorage.setItem('session', '{"accessToken":1}');
      return localStorageSession('session');
    });
    expect(createClient({ url: world.url, storage }).session.loggedIn).to.equal(false);
  });

  it('tells that the session has ended when another used its refresh token', async () => {
    const storage = memoryStorage();
    const { client } = await someone(storage);
    const changes: string[] = [];
    client.session.onChange(({ reason, loggedIn }) => changes.push(`${reason} ${loggedIn}`));
    const thief = new Api(world.url);
    let token = storage.read()?.refreshToken;
    for (let at = 0; at < 2; at += 1) {
      const { body } = await thief.post<{ refresh_token: string }>('/refresh', { refresh_token: token });
      token = body.refresh_token;
    }
    await untilExpired(client, storage);
    expect(await refusal(client.me())).to.include({ code: 'unauthorized' });
    expect(changes).to.deep.equal(['ended false']);
    expect(storage.read()).to.equal(undefined);
  });

  it('keeps the session when the server cannot be reached for its renewal', async () => {
    const broken = await createFrameProxy(world.url);
    const storage = memoryStorage();
    const client = createClient({ url: broken.url, storage });
    await client.signUp({ email: 'offline@example.org', password: PASSWORD });
    await untilExpired(client, storage);
    broken.refusing = true;
    expect(await refusal(client.me())).to.include({ code: 'network' });
    expect(client.session.loggedIn).to.equal(true);
    broken.refusing = false;
    expect(await client.me()).to.include({ email: 'offline@example.org' });
    await broken.close();
  });

  it('ends on the server what it forgets here', async () => {
    const storage = memoryStorage();
    const { client } = await someone(storage);
    const kept = storage.read()!;
    await client.logOut();
    expect(client.session.loggedIn).to.equal(false);
    const response = await fetch(`${world.url}/refresh`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ refresh_token: kept.refreshToken }),
    });
    expect(response.status).to.equal(401);
  });

  it('keeps a feed open over many tokens, in place, without losing an event', async () => {
    const { client } = await someone();
    const feed = client.feed();
    const statuses: string[] = [];
    feed.on('status', (status) => statuses.push(status.state));
    let readies = 0;
    let renewals = 0;
    feed.on('ready', () => {
      readies += 1;
      renewals = 0; // over this connection
    });
    // A machine that is held up for longer than a token lives lets it end: then there is another connection.
    let expired = 0;
    proxy.drops = (frame) => {
      if (frame.includes('"session:closed"') && frame.includes('"expired"')) expired += 1;
      return false;
    };
    const { seq } = await feed.ready();
    const heard: LiveEvent[] = [];
    feed.on('event', (event) => heard.push(event));
    client.session.onChange(({ reason }) => (renewals += reason === 'renewed' ? 1 : 0));
    let written = 0;
    await until('four renewals over one connection', async () => {
      await writer.posts.create({ title: `While renewing ${written}`, content: '' });
      written += 1;
      return renewals >= 4;
    });
    // What the proxy has passed on may not have reached the client yet.
    await until(
      'everything is heard',
      () => heard.length === written && readies === 1 + expired && feed.status.state === 'live',
    );
    expect(heard.map((event) => event.seq)).to.deep.equal(heard.map((_, at) => seq + 1 + at));
    expect(statuses).to.deep.equal([
      'live',
      ...Array.from({ length: expired }, () => ['catching-up', 'live']).flat(),
    ]);
    feed.close();
    proxy.drops = () => false;
  });
});

describe("the client's session, of which the feed is told", () => {
  let world: World;
  before(async () => {
    // Its tokens outlive a test: a renewal that is refused would say first that the session is over, and not why.
    world = await createWorld();
  });
  after(() => world.close());

  it('ends its feed when the session is revoked elsewhere', async () => {
    const { client, email } = await signedUp(world.url);
    const feed = client.feed();
    await feed.ready();
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email, password: PASSWORD });
    await elsewhere.logOutEverywhere();
    await until('the feed has ended', () => feed.status.state === 'ended');
    expect(feed.status).to.deep.equal({ state: 'ended', reason: 'revoked' });
    expect(client.session.loggedIn).to.equal(false);
  });

  it('ends its feed for good, and says why, when its user is suspended', async () => {
    const { client, email } = await signedUp(world.url);
    const feed = client.feed();
    await feed.ready();
    const told: SessionChange[] = [];
    client.session.onChange((change) => told.push(change));
    const moderator = await world.user();
    await world.ctx.db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', ''));
    const { id } = await client.me();
    const body = { action: 'suspend', user_id: id, reason: 'for a test' };
    expect((await moderator.post('/moderation/actions', body)).status).to.equal(201);
    await until('the feed has ended', () => feed.status.state === 'ended');
    expect(feed.status).to.deep.equal({ state: 'ended', reason: 'suspended' });
    expect(client.session.loggedIn).to.equal(false);
    const [change] = told;
    expect(told).to.have.length(1);
    expect(change).to.include({ loggedIn: false, reason: 'ended' });
    expect(change?.error?.suspension).to.deep.equal({ until: undefined, reason: 'for a test' });
    const again = client.logIn({ email, password: PASSWORD }).catch((error: unknown) => error);
    expect(await again).to.include({ code: 'suspended', status: 403 });
  });

  it('lists the logins of its user in pages, and ends one of them', async () => {
    const { client, email } = await signedUp(world.url);
    const feed = client.feed();
    await feed.ready();
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email, password: PASSWORD });
    const { sessions, next } = await elsewhere.sessions.list({ limit: 1 });
    expect(sessions.map(({ current }) => current)).to.deep.equal([true]);
    const older = await elsewhere.sessions.list({ limit: 1, cursor: next });
    expect(older.next).to.equal(undefined);
    await elsewhere.sessions.end(older.sessions[0]!.id);
    await until('the feed has ended', () => feed.status.state === 'ended');
    expect(feed.status).to.deep.equal({ state: 'ended', reason: 'revoked' });
    expect((await elsewhere.sessions.list()).sessions).to.have.lengthOf(1);
  });

  /** A session that the tabs of a browser share, with what each of the two is told. */
  async function inTwoTabs(fetch?: typeof globalThis.fetch) {
    const browser = new BrowserTabs({ lag: 0, locks: true });
    const [first, second] = [0, 1].map(() => browser.inNewTab(() => localStorageSession('session'))) as [
      SessionStorage,
      SessionStorage,
    ];
    const { client, email } = await signedUp(world.url, first, fetch);
    const other = createClient({ url: world.url, storage: second });
    const [own, foreign] = [client, other].map(({ session }) => {
      const told: string[] = [];
      session.onChange(({ reason, loggedIn }) => told.push(`${reason} ${loggedIn}`));
      return told;
    }) as [string[], string[]];
    return { browser, client, other, own, foreign, storage: first, email };
  }

  it('tells all tabs why a session is over that was ended elsewhere', async () => {
    const { client, other, own, foreign, email } = await inTwoTabs();
    const elsewhere = createClient({ url: world.url });
    await elsewhere.logIn({ email, password: PASSWORD });
    await elsewhere.logOutEverywhere();
    expect(await refusal(client.me())).to.include({ code: 'unauthorized' });
    await until('the other tab to be told', () => foreign.length > 0);
    expect({ own, foreign }).to.deep.equal({ own: ['ended false'], foreign: ['ended false'] });
    expect(other.session.getSnapshot()).to.deep.equal({
      loggedIn: false,
      userId: undefined,
      reason: 'ended',
    });
  });

  it('tells all tabs that the user has logged out, in this one or everywhere', async () => {
    for (const leave of ['logOut', 'logOutEverywhere'] as const) {
      const { client, own, foreign } = await inTwoTabs();
      await client[leave]();
      await until('the other tab to be told', () => foreign.length > 0);
      expect({ own, foreign }).to.deep.equal({ own: ['logged-out false'], foreign: ['logged-out false'] });
    }
  });

  it('takes a session that has been removed without a reason for one that has ended', async () => {
    const { browser, own, foreign } = await inTwoTabs();
    browser.inNewTab(({ localStorage }) => localStorage.removeItem('session'));
    await until('both tabs to be told', () => own.length + foreign.length > 1);
    expect({ own, foreign }).to.deep.equal({ own: ['ended false'], foreign: ['ended false'] });
  });

  const signedUpOver = (client: Client) =>
    client.signUp({ email: `${Math.random().toString(36).slice(2)}@example.org`, password: PASSWORD });

  /** What is told of a session when another user logs in over it. */
  const REPLACED = ['replaced false', 'logged-in true'];

  it('is told of another user who logs in over the session, and ends its feed, here and in another tab', async () => {
    const { client, other, own, foreign } = await inTwoTabs();
    const feeds = [client.feed(), other.feed()];
    await Promise.all(feeds.map((feed) => feed.ready()));
    const { email } = await signedUp(world.url);
    await client.logIn({ email, password: PASSWORD });
    await until('the other tab to be told', () => foreign.length > 1);
    expect({ own, foreign }).to.deep.equal({ own: REPLACED, foreign: REPLACED });
    for (const { status } of feeds) expect(status).to.deep.equal({ state: 'ended', reason: 'logged-out' });
    const { id } = await client.me();
    for (const { session } of [client, other])
      expect(session.getSnapshot()).to.deep.equal({ loggedIn: true, userId: id, reason: 'logged-in' });
  });

  it('does nothing as another user of whom a frozen tab has not heard, and tells of that', async () => {
    for (const act of ['write', 'log out', 'log out everywhere']) {
      const { browser, client, other, own } = await inTwoTabs();
      const { email } = await signedUp(world.url);
      browser.frozen = true;
      await other.logOut();
      await other.logIn({ email, password: PASSWORD });
      if (act === 'log out') await client.logOut();
      else {
        const doing =
          act === 'write' ? client.posts.create({ title: 'Whose', content: '' }) : client.logOutEverywhere();
        expect(await refusal(doing)).to.include({ code: 'logged_out' });
      }
      expect(own, act).to.deep.equal(REPLACED);
      const { id } = await other.me();
      expect(await other.posts.list({ ownerId: id }), act).to.deep.include({ posts: [] });
    }
  });

  it('looks for itself when a frozen tab is shown again', async () => {
    const { browser, client, other, own } = await inTwoTabs();
    const { email } = await signedUp(world.url);
    browser.frozen = true;
    await other.logOut();
    browser.wake();
    expect(own).to.deep.equal(['logged-out false']);
    await signedUpOver(client);
    own.length = 0;
    browser.frozen = true;
    await other.logIn({ email, password: PASSWORD });
    browser.wake();
    expect(own).to.deep.equal(REPLACED);
  });

  it('tells of a session that is gone when it is needed, though no event said so', async () => {
    const { browser, client, other, own } = await inTwoTabs();
    browser.frozen = true;
    await other.logOut();
    expect(await refusal(client.me())).to.include({ code: 'logged_out' });
    expect(own).to.deep.equal(['logged-out false']);
  });

  it('sends what one user has begun with no token of another one', async () => {
    let sent = 0;
    const meanwhile = { act: () => Promise.resolve() };
    const { client, other, own } = await inTwoTabs(async (url, init) => {
      if (init?.method === 'POST' && typeof url === 'string' && url.endsWith('/posts')) {
        sent += 1;
        await meanwhile.act();
      }
      return fetch(url, init);
    });
    const { email } = await signedUp(world.url);
    meanwhile.act = async () => {
      await other.logOut();
      await other.logIn({ email, password: PASSWORD });
    };
    expect(await refusal(client.posts.create({ title: 'Of the first', content: '' }))).to.include({
      code: 'logged_out',
      message: 'Another user has logged in here.',
    });
    expect(sent).to.equal(1);
    await until('the tab to be told', () => own.includes('logged-in true'));
    expect(await other.posts.list({ ownerId: (await other.me()).id })).to.deep.include({ posts: [] });
  });

  it('ends its feed when the user logs out', async () => {
    const { client } = await signedUp(world.url);
    const feed = client.feed();
    await feed.ready();
    await client.logOut();
    expect(feed.status).to.deep.equal({ state: 'ended', reason: 'logged-out' });
  });
});
