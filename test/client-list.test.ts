import { expect } from 'chai';
import {
  type Client,
  createClient,
  createFeedStore,
  type FeedNews,
  type FeedStore,
  type FeedStoreOptions,
  MAX_PENDING,
  type NewPost,
  type PostAnswer,
  type VoteView,
} from '../client/src/index.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { headOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

/** What happens to an answer on its way to Alice. */
type OnItsWay = (answer: Response) => Response | Promise<Response>;

describe('a list that a page shows, with a server', () => {
  let world: World;
  let proxy: FrameProxy;
  let alice: Client;
  let bob: Client;
  let store: FeedStore;
  let news: string[];
  /** By the end of the path: what happens to the answers. */
  const onItsWay = new Map<RegExp, OnItsWay>();

  before(async () => {
    world = await createWorld();
    proxy = await createFrameProxy(world.url);
    alice = createClient({
      url: proxy.url,
      fetch: async (url, init) => {
        let answer = await fetch(url, init);
        for (const [path, change] of onItsWay) {
          if (path.test(url)) answer = await change(answer);
        }
        return answer;
      },
    });
    bob = createClient({ url: world.url });
    await alice.signUp({ email: 'alice@example.org', password: PASSWORD, username: 'alice' });
    await bob.signUp({ email: 'bob@example.org', password: PASSWORD, username: 'bob' });
    for (const title of ['One', 'Two', 'Three']) await bob.posts.create({ title, content: '' });
  });
  after(async () => {
    await proxy.close();
    await world.close();
  });
  afterEach(() => {
    onItsWay.clear();
    proxy.refusing = false;
    store.close();
  });

  const open = async (options: FeedStoreOptions = {}): Promise<void> => {
    news = [];
    store = createFeedStore(alice, {
      limit: 3,
      published: true,
      feed: { reconnect: { base: 50 } },
      ...options,
    });
    store.on('news', ({ name, post }: FeedNews) => news.push(`${name} ${post.title}`));
    await store.load();
    await until('the store is live', () => store.state.status.state === 'live');
  };
  const titles = () => store.state.posts.map(({ title }) => title);
  const waiting = () => store.state.waiting.map(({ title }) => title);
  const seen = (id: number) => store.state.posts.find((post) => post.id === id);
  const write = (title: string, post: Partial<NewPost> = {}): Promise<PostAnswer> =>
    bob.posts.create({ title, content: '', ...post });

  it('tells of each post that comes, changes and goes, and of nothing that a page brought', async () => {
    await open();
    // One after the other: what is told after a change has the text of before no more.
    const post = await write('News');
    await until('the post', () => news.length === 1);
    await bob.posts.update(post.id, { title: 'Newer' });
    await until('the change', () => news.length === 2);
    await bob.posts.remove(post.id);
    await until('the end', () => news.length === 3);
    const own = await store.create({ title: 'Mine', content: '' });
    await store.edit(own.id, { title: 'Mine, changed' });
    await store.remove(own.id);
    const last = await write('Last');
    await until('the last', () => news.at(-1) === 'post:created Last');
    expect(news).to.deep.equal([
      'post:created News',
      'post:updated Newer',
      'post:deleted Newer',
      'post:created Mine',
      'post:updated Mine, changed',
      'post:deleted Mine, changed',
      'post:created Last',
    ]);
    expect(seen(last.id)).to.include({ live: true });
    expect(store.state.posts[1]).to.include({ live: false });
    await store.load();
    expect(news).to.have.length(7);
  });

  it('puts nothing above the posts that wait, nor while the option says that they have to', async () => {
    let scrolled = false;
    await open({ held: () => scrolled });
    const before = titles();
    scrolled = true;
    await write('Waits');
    await until('it waits', () => store.state.pending === 1);
    scrolled = false;
    await write('Waits above it');
    await until('both wait', () => store.state.pending === 2);
    expect(waiting()).to.deep.equal(['Waits above it', 'Waits']);
    expect(titles()).to.deep.equal(before);
    await store.reveal();
    expect(titles()).to.deep.equal(['Waits above it', 'Waits', ...before]);
    await write('Does not wait');
    await until('it is shown', () => titles()[0] === 'Does not wait');
  });

  it('keeps a bounded number of posts waiting, and reads the list again when they are wanted', async () => {
    await open();
    store.hold(true);
    const start = store.state.seq;
    for (let written = 0; written < MAX_PENDING + 5; written += 15) {
      await Promise.all(Array.from({ length: 15 }, (_, at) => write(`Many ${written + at}`)));
    }
    await until('all are heard', () => store.state.seq >= start + MAX_PENDING + 5);
    expect(store.state.pending).to.equal(MAX_PENDING);
    expect(waiting()).to.have.length(MAX_PENDING);
    await store.reveal();
    const { posts } = await alice.posts.list({ limit: 3 });
    expect(titles()).to.deep.equal(posts.map(({ title }) => title));
    expect(store.state).to.include({ pending: 0, hasMore: true });
  });

  it('shows another list over the same connection, and follows that one', async () => {
    await write('A heron', { content: 'on the bench' });
    await open();
    const { opened } = proxy;
    const before = titles();
    const shown = store.show({ search: 'heron', published: true });
    expect(titles()).to.deep.equal(before);
    expect(store.state).to.include({ loading: true, page: 'first' });
    await shown;
    expect(titles()).to.deep.equal(['A heron']);
    await write('No such bird');
    await write('Another heron');
    await until('the second', () => titles().length === 2);
    expect(titles()).to.deep.equal(['Another heron', 'A heron']);
    await store.show({ sort: 'top', published: true });
    await write('New, but not on top');
    await until('it waits', () => waiting().join() === 'New, but not on top');
    await store.show({ published: true });
    expect(titles()[0]).to.equal('New, but not on top');
    expect(waiting()).to.deep.equal([]);
    expect(proxy.opened).to.equal(opened);
  });

  it('leaves the user’s own drafts out of a list of published posts', async () => {
    await alice.posts.create({ title: 'A draft', content: '', published: false });
    await open();
    expect(titles()).not.to.include('A draft');
    const draft = await store.create({ title: 'Another draft', content: '', published: false });
    expect(titles()).not.to.include('Another draft');
    await store.edit(draft.id, { published: true });
    expect(titles()[0]).to.equal('Another draft');
    await store.edit(draft.id, { published: false });
    expect(seen(draft.id)).to.equal(undefined);
    await store.edit(draft.id, { published: true });
    await until('all is heard', async () => store.state.seq === (await alice.posts.list()).position.seq);
    expect(titles().filter((title) => title === 'Another draft')).to.have.length(1);
    await alice.posts.update(draft.id, { published: false });
    await until('it is withdrawn', () => seen(draft.id) === undefined);
  });

  it('does not bring back what the user has removed, though a page was read before that', async () => {
    await open();
    const own = await store.create({ title: 'Removed at once', content: '' });
    let old: Response | undefined;
    onItsWay.set(/\/posts\?/, (answer) => {
      old = answer;
      return answer.clone();
    });
    await store.load();
    // The event that would take it away again does not come until the page has.
    proxy.silent = true;
    try {
      await store.remove(own.id);
      onItsWay.clear();
      onItsWay.set(/\/posts\?/, () => old ?? Response.error());
      await store.load();
      expect(titles()).not.to.include('Removed at once');
    } finally {
      proxy.silent = false;
      proxy.cut();
    }
    onItsWay.clear();
    await store.load();
    expect(titles()).not.to.include('Removed at once');
  });

  it('applies what it has heard already to a page of a node that has not', async () => {
    const changes = await write('Changes');
    const goes = await write('Goes');
    await open();
    let old: Response | undefined;
    onItsWay.set(/\/posts\?/, (answer) => {
      old = answer;
      return answer.clone();
    });
    await store.load();
    onItsWay.clear();
    await bob.posts.update(changes.id, { title: 'Changed' });
    await bob.posts.remove(goes.id);
    await write('Comes');
    await until('all is heard', () => titles()[0] === 'Comes');
    onItsWay.set(/\/posts\?/, () => old ?? Response.error());
    await store.load();
    expect(titles().slice(0, 2)).to.deep.equal(['Comes', 'Changed']);
    expect(titles()).not.to.include('Goes');
  });

  it('does not show a page that is older than the events that it knows, but asks again', async () => {
    const old = await fetch(`${world.url}/posts?limit=3`, {
      headers: { authorization: `Bearer ${await bob.session.accessToken()}` },
    });
    await write('Before the feed');
    await open();
    let asked = 0;
    onItsWay.set(/\/posts\?/, async (answer) => {
      asked += 1;
      if (asked > 1) return answer;
      await write('After it');
      return old;
    });
    await store.load();
    expect(asked).to.equal(2);
    expect(titles().slice(0, 2)).to.deep.equal(['After it', 'Before the feed']);
  });

  it('tells of its votes, and takes over what became of votes in other windows', async () => {
    const old = await write('On the second page');
    const post = await write('In two windows');
    const between = await Promise.all(['Above', 'And above', 'On top'].map((title) => write(title)));
    await open({ limit: 4 });
    const told: VoteView[] = [];
    store.on('vote', (vote) => told.push(vote));
    await store.vote(post.id, true);
    expect(told).to.deep.equal([{ post_id: post.id, votes: 1, rev: 1, voted: true }]);
    store.voted(await alice.votes.cast(between[0]!.id));
    expect(seen(between[0]!.id)).to.include({ votes: 1, voted: true });

    // The second page was read before the vote and comes after it.
    onItsWay.set(/\/posts\?/, async (answer) => {
      store.voted(await alice.votes.cast(old.id));
      return answer;
    });
    await store.loadMore();
    expect(seen(old.id)).to.include({ votes: 1, voted: true });
  });

  it('asks whether the user has voted for a post that comes back', async () => {
    const { id } = await write('Comes back');
    await alice.votes.cast(id);
    await open();
    await bob.posts.update(id, { published: false });
    await until('it is gone', () => seen(id) === undefined);
    await bob.posts.update(id, { published: true });
    await until('it is back, with the vote', () => seen(id)?.voted === true);
    expect(seen(id)).to.include({ votes: 1 });
  });

  it('takes no answer about a vote over into another database', async () => {
    const { id } = await write('Voted for');
    await open();
    let release: () => void = () => undefined;
    let answered = false;
    onItsWay.set(/\/vote$/, async (answer) => {
      answered = true;
      await new Promise<void>((resolve) => (release = resolve));
      return answer;
    });
    const voted = store.vote(id, true);
    await until('the server has answered', () => answered);
    const { epoch } = (await alice.posts.list()).position;
    await world.pool.query(`
      with head as (update feed_head set epoch = gen_random_uuid()),
        vote as (delete from votes where post_id = ${id})
      update post_tallies set votes = 0, rev = 0 where post_id = ${id}`);
    await until('the other numbering', async () => (await alice.posts.list()).position.epoch !== epoch);
    await until('it is shown as it is now', () => seen(id)?.voting === false);
    release();
    await voted;
    expect(seen(id)).to.include({ votes: 0, rev: 0, voted: false });
  });

  it('tries again by itself what may pass, and says until then why there is no list', async () => {
    news = [];
    store = createFeedStore(alice, { limit: 3 });
    proxy.refusing = true;
    await store.load();
    expect(store.state).to.include({ page: 'first', loading: false });
    expect(store.state.error).to.include({ code: 'network' });
    proxy.refusing = false;
    // Once the list is there, the feed's status changes too.
    const states: [isThere: boolean, code: unknown][] = [];
    store.subscribe(() => states.push([store.state.posts.length > 0, store.state.error?.code]));
    await until('the list', () => store.state.posts.length > 0);
    expect(states).to.not.be.empty;
    for (const [isThere, code] of states) expect(code).to.equal(isThere ? undefined : 'network');
  });

  it('tells apart why the list and why its next page did not come', async () => {
    await open();
    const before = titles();
    proxy.refusing = true;
    await store.loadMore();
    expect(store.state).to.include({ page: 'next', loading: false, hasMore: true });
    expect(store.state.error).to.include({ code: 'network' });
    expect(titles()).to.deep.equal(before);
    proxy.refusing = false;
    await store.loadMore();
    expect(store.state.error).to.equal(undefined);
    expect(titles()).to.have.length(before.length + 3);
    await store.show({ search: 'x'.repeat(300), published: true });
    expect(store.state).to.include({ page: 'first', loading: false });
    expect(store.state.error).to.include({ code: 'invalid' });
  });

  it('reads a list again that has been left open, rather than let it grow for ever', async () => {
    await open();
    let read = 0;
    onItsWay.set(/\/posts\?/, (answer) => {
      read += 1;
      return answer;
    });
    let longest = 0;
    store.on('news', () => (longest = Math.max(longest, store.state.posts.length)));
    for (let written = 0; written < 310; written += 31) {
      await Promise.all(Array.from({ length: 31 }, (_, at) => write(`Long ${written + at}`)));
    }
    const head = await headOf(world);
    await until('all is heard', () => store.state.seq >= head && !store.state.loading);
    expect(read).to.equal(1);
    expect(longest).to.be.within(300, 313);
    expect(titles().length).to.be.below(30);
  });

  it('gives the same posts until one of them changes', async () => {
    await open({ search: 'Long' });
    const { posts } = store.state;
    await write('Not of this list');
    const head = await headOf(world);
    await until('it is heard', () => store.state.seq >= head);
    expect(store.state.posts).to.equal(posts);
    expect(news).to.deep.equal([]);
  });
});
