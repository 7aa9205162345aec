import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Client,
  createClient,
  createFeedStore,
  type FeedStore,
  type PostAnswer,
} from '../client/src/index.ts';
import type { PostEvent } from '../client/src/post-events.ts';
import {
  emptyView,
  type FeedView,
  firstPage,
  nextPage,
  remembering,
  revealed,
  shown,
  voteDelayed,
  voteSettled,
  voting,
  withEvent,
  withOwn,
  withTally,
  withWishes,
} from '../client/src/store/feed-view.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { refusal } from './support/refusal.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

function post(id: number, change: Partial<PostAnswer> = {}): PostAnswer {
  return {
    id,
    title: `Post ${id}`,
    content: '',
    published: true,
    created_at: '2025-01-01T00:00:00.000Z',
    published_at: '2025-01-01T00:00:00.000Z',
    updated_at: '2025-01-01T00:00:00.000Z',
    version: 1,
    owner_id: 1,
    owner: { id: 1, username: 'ada' },
    votes: 0,
    rev: 0,
    voted: false,
    ...change,
  };
}

const created = (seq: number, id: number): PostEvent => ({ seq, name: 'post:created', data: post(id) });
const updated = (seq: number, id: number, change: Partial<PostAnswer>): PostEvent => ({
  seq,
  name: 'post:updated',
  data: post(id, change),
});
const deleted = (seq: number, id: number): PostEvent => ({ seq, name: 'post:deleted', data: { id } });
const atOnce = { accepts: () => true, atOnce: true };
const waiting = { accepts: () => true, atOnce: false };
const fold = (view: FeedView, events: PostEvent[], arrival = atOnce) =>
  events.reduce((so_far, event) => withEvent(so_far, event, arrival), view);

describe('a list with its events folded into it', () => {
  it('puts new posts on top, changes in place, and takes deleted ones away', () => {
    const view = fold(firstPage([post(2), post(1)], 5), [
      created(6, 3),
      updated(7, 1, { title: 'Changed', version: 2 }),
      deleted(8, 2),
    ]);
    expect(view.order).to.deep.equal([3, 1]);
    expect(view.entries.get(1)?.post.title).to.equal('Changed');
  });

  it('shows nothing of an event whose text was taken out, and puts the post where it arrived once its text comes', () => {
    const redacted = (event: PostEvent): PostEvent => ({
      ...event,
      data: { ...event.data, title: '', content: '', redacted: true } as never,
    });
    const page = firstPage([post(1, { version: 2, title: 'Second' })], 5);
    for (const arrival of [atOnce, waiting]) {
      const view = fold(
        page,
        [
          redacted(created(6, 2)),
          created(7, 3),
          redacted(created(8, 4)),
          redacted(created(9, 5)),
          redacted(updated(10, 1, { version: 3 })),
          deleted(11, 5),
        ],
        arrival,
      );
      const listed = ({ order, pending }: FeedView) => [...pending, ...order];
      expect(listed(view)).to.deep.equal([3, 1]);
      expect(view.entries.get(1)?.post.title).to.equal('Second');
      const whole = fold(
        view,
        [
          updated(12, 4, { version: 2, title: 'Fourth' }),
          updated(13, 2, { version: 2, title: 'Two' }),
          updated(14, 1, { version: 4, title: 'Fourth time' }),
          updated(15, 5, { version: 2 }),
          updated(16, 99, { version: 2 }),
        ],
        arrival,
      );
      expect(listed(whole)).to.deep.equal([4, 3, 2, 1]);
      expect(whole.awaited).to.be.empty;
      expect(whole.entries.get(1)?.post.title).to.equal('Fourth time');
    }
  });

  it('lets new posts wait until they are wanted', () => {
    const view = fold(firstPage([post(1)], 5), [created(6, 2), created(7, 3), deleted(8, 2)], waiting);
    expect(view.order).to.deep.equal([1]);
    expect(view.pending).to.deep.equal([3]);
    expect(revealed(view).order).to.deep.equal([3, 1]);
    expect(revealed(view).pending).to.be.empty;
  });

  it('gives the same for events that the page holds already', () => {
    const view = firstPage([post(2, { title: 'Newest', version: 3 }), post(1)], 9);
    expect(fold(view, [created(7, 2), updated(8, 2, { version: 2 }), deleted(9, 1), created(9, 4)])).to.equal(
      view,
    );
  });

  it('keeps the page in which it found a post from being undone by older events', () => {
    const view = nextPage(firstPage([post(9)], 5), [post(3, { title: 'As of 8', version: 4 })], 8);
    expect(fold(view, [updated(7, 3, { title: 'As of 7', version: 3 })])).to.equal(view);
    expect(fold(view, [deleted(9, 3)]).order).to.deep.equal([9]);
  });

  it('keeps the highest rev of a tally, from events and tallies in any order', () => {
    const tallies = fc.shuffledSubarray([1, 2, 3, 4, 5, 6], { minLength: 1 });
    fc.assert(
      fc.property(tallies, (revs) => {
        const view = revs.reduce(
          (so_far, rev) =>
            rev % 2 === 0
              ? withTally(so_far, { post_id: 1, votes: rev * 10, replies: 0, rev })
              : withEvent(so_far, updated(rev + 10, 1, { votes: rev * 10, rev, version: rev }), atOnce),
          firstPage([post(1)], 1),
        );
        expect(view.entries.get(1)?.post).to.include({
          rev: Math.max(...revs),
          votes: Math.max(...revs) * 10,
        });
      }),
    );
  });

  const wish = (up: boolean, sending?: boolean) => ({ post_id: 1, up, sending });

  it('shows a vote at once, counts it once, and takes it back if it is refused', () => {
    const page = firstPage([post(1, { votes: 4, rev: 7 })], 1);
    const asShown = (view: FeedView) => shown(view.entries.get(1)!);
    const cast = voting(page, wish(true));
    expect(asShown(cast)).to.include({ votes: 5, voted: true, voting: true });
    const heard = withTally(cast, { post_id: 1, votes: 5, replies: 0, rev: 8 });
    expect(asShown(heard)).to.include({ votes: 5, voted: true });
    const answered = voteSettled(heard, 1, { post_id: 1, votes: 5, rev: 8, voted: true });
    expect(asShown(answered)).to.include({ votes: 5, voted: true, voting: false });
    expect(asShown(voteSettled(cast, 1, undefined))).to.include({ votes: 4, voted: false, voting: false });
  });

  it('counts what the user wants by now where the tally with the vote comes before its answer', () => {
    const page = firstPage([post(1, { votes: 4, rev: 7 })], 1);
    const asShown = (view: FeedView) => shown(view.entries.get(1)!);
    const tally = { post_id: 1, votes: 5, replies: 0, rev: 8 };
    const heard = withTally(voting(page, wish(true)), tally);
    const back = voting(heard, wish(false, true));
    expect(asShown(back)).to.include({ votes: 4, voted: false });
    expect(asShown(voting(back, wish(true, true)))).to.include({ votes: 5, voted: true });
    const late = withTally(voting(voting(page, wish(true)), wish(false, true)), tally);
    expect(asShown(late)).to.include({ votes: 4, voted: false });
  });

  it('counts what is on its way, and not what the user wants by now, also where it is sent again or the list is read', () => {
    const page = firstPage([post(1, { votes: 4, rev: 7 })], 1);
    const votesOf = (view: FeedView) => shown(view.entries.get(1)!).votes;
    const tally = { post_id: 1, votes: 5, replies: 0, rev: 8 };
    const waits = voteDelayed(voting(page, wish(true)), 1);
    // It is being sent again, and its tally comes before its answer.
    expect(votesOf(withTally(voting(waits, wish(false, true)), tally))).to.equal(4);
    const readAgain = withWishes(page, [{ ...wish(false, true), delayed: false }]);
    expect(votesOf(withTally(readAgain, tally))).to.equal(4);
    // The page was read before the vote reached the server, and after that of another.
    const other = firstPage([post(1, { votes: 5, rev: 8 })], 2);
    const noTally = () => undefined;
    expect(votesOf(remembering(other, voting(page, wish(true)), noTally))).to.equal(6);
    const both = { ...tally, votes: 6, rev: 9 };
    expect(votesOf(withTally(remembering(other, voting(page, wish(true)), noTally), both))).to.equal(6);
  });

  it('keeps of a page and what was known before it the newer tally and, apart from it, the newer vote', () => {
    const noTally = () => undefined;
    const read = (rev: number, voted: boolean) => firstPage([post(1, { votes: rev, rev, voted })], 1);
    const asShown = (view: FeedView) => shown(view.entries.get(1)!);
    const answered = voteSettled(read(4, false), 1, { post_id: 1, votes: 5, rev: 5, voted: true });
    expect(asShown(remembering(read(4, false), answered, noTally))).to.include({ rev: 5, voted: true });
    // The reader votes elsewhere (5), and so does another (6): the tally knows of both, the page only of the first.
    const heard = withTally(read(4, false), { post_id: 1, votes: 6, replies: 0, rev: 6 });
    expect(asShown(remembering(read(5, true), heard, noTally))).to.include({
      votes: 6,
      rev: 6,
      voted: true,
    });
    const unseen = remembering(read(4, true), emptyView, () => ({
      post_id: 1,
      votes: 6,
      replies: 0,
      rev: 6,
    }));
    expect(asShown(unseen)).to.include({ votes: 6, rev: 6, voted: true });
    const underWay = remembering(read(4, false), voting(read(4, false), wish(true)), noTally);
    expect(asShown(underWay)).to.include({ votes: 5, voted: true, voting: true });
  });

  it("shows the user's own post at once and once", () => {
    const own = withOwn(firstPage([post(1)], 5), post(2));
    expect(fold(own, [created(6, 2)], waiting).order).to.deep.equal([2, 1]);
    const late = withOwn(fold(firstPage([post(1)], 5), [created(6, 2)], waiting), post(2));
    expect(late).to.deep.include({ order: [2, 1], pending: [] });
  });
});

describe('the feed store, with a server', () => {
  let world: World;
  let proxy: FrameProxy;
  let alice: Client;
  let bob: Client;
  let store: FeedStore;
  /** Until then no list that Alice asks for reaches her. */
  let lists: Promise<void> | undefined;
  /** Lists that the server has answered with and that do not reach her yet. */
  let heldLists = 0;

  before(async () => {
    world = await createWorld();
    proxy = await createFrameProxy(world.url);
    alice = createClient({
      url: proxy.url,
      fetch: async (url, init) => {
        const answer = await fetch(url, init);
        if (lists && typeof url === 'string' && url.includes('/posts?')) {
          heldLists += 1;
          await lists;
          heldLists -= 1;
        }
        return answer;
      },
    });
    bob = createClient({ url: world.url });
    await alice.signUp({ email: 'alice@example.org', password: PASSWORD, username: 'alice' });
    await bob.signUp({ email: 'bob@example.org', password: PASSWORD, username: 'bob' });
  });
  after(async () => {
    await proxy.close();
    await world.close();
  });
  beforeEach(() => {
    store = createFeedStore(alice, { limit: 3, feed: { reconnect: { base: 50 } } });
  });
  afterEach(() => {
    proxy.drops = () => false;
    store.close();
  });

  const titles = () => store.state.posts.map(({ title }) => title);
  const live = () => until('the store is live', () => store.state.status.state === 'live');

  /** Does something between the server's answer with a list and its arrival. */
  async function whileListIsOnItsWay(
    ask: () => Promise<void>,
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    let release: () => void = () => undefined;
    lists = new Promise((resolve) => (release = resolve));
    try {
      const asked = ask();
      await until('the server has answered', () => heldLists > 0);
      await meanwhile();
      release();
      await asked;
    } finally {
      release();
      lists = undefined;
    }
  }

  it('stays what the server would answer, through everything that happens', async () => {
    for (const title of ['One', 'Two', 'Three', 'Four']) await bob.posts.create({ title, content: '' });
    await store.load();
    expect(titles()).to.deep.equal(['Four', 'Three', 'Two']);
    expect(store.state.hasMore).to.equal(true);
    await live();
    const five = await bob.posts.create({ title: 'Five', content: '' });
    proxy.cut();
    await bob.posts.update(five.id, { title: 'Five, edited' });
    const six = await bob.posts.create({ title: 'Six', content: '' });
    await bob.posts.remove(six.id);
    await store.create({ title: 'My own', content: '' });
    await store.loadMore();
    await until('all is there', () => titles().includes('Five, edited') && !titles().includes('Six'));
    await live();
    const { posts } = await alice.posts.list({ limit: 100 });
    await until('it is the same', () => titles().length === posts.length);
    // Alice's own was shown before she heard of Bob's, so the two newest may stand either way round.
    expect(titles().slice(2)).to.deep.equal(posts.map(({ title }) => title).slice(2));
    expect(new Set(titles())).to.deep.equal(new Set(posts.map(({ title }) => title)));
  });

  it('lets posts wait while it is held, but not the user’s own', async () => {
    await store.load();
    await live();
    const before = titles();
    store.hold(true);
    await bob.posts.create({ title: 'Waits', content: '' });
    await until('it waits', () => store.state.pending === 1);
    await store.create({ title: 'Does not wait', content: '' });
    expect(titles()).to.deep.equal(['Does not wait', ...before]);
    await store.reveal();
    expect(titles().slice(0, 2)).to.have.members(['Waits', 'Does not wait']);
    expect(store.state.pending).to.equal(0);
  });

  it('votes at once, lets the last of quick clicks count, and takes back what is refused', async () => {
    const target = await bob.posts.create({ title: 'Vote', content: '' });
    await store.load();
    await live();
    const votes = () => store.state.posts.find(({ id }) => id === target.id);
    store.track(target.id);
    const done = store.vote(target.id, true);
    expect(votes()).to.include({ votes: 1, voted: true, voting: true });
    void store.vote(target.id, false);
    void store.vote(target.id, true);
    void store.vote(target.id, false);
    await done;
    expect(votes()).to.include({ votes: 0, voted: false, voting: false });
    expect(await alice.posts.get(target.id)).to.include({ votes: 0, voted: false });
    await bob.votes.cast(target.id);
    await until("another's vote is heard", () => votes()?.votes === 1);
    // The head would tell that the deletion is missing.
    proxy.drops = (frame) => frame.includes('post:deleted') || frame.includes('feed:head');
    await bob.posts.remove(target.id);
    const refused = store.vote(target.id, true);
    expect(votes()).to.include({ votes: 2, voted: true });
    expect(await refusal(refused)).to.include({ code: 'not_found' });
    expect(votes()).to.include({ votes: 1, voted: false, voting: false });
    proxy.drops = () => false;
    await until('it hears that the post is gone', () => votes() === undefined);
  });

  it('keeps what it hears of votes while a page is on its way that was read before them', async () => {
    const old = await bob.posts.create({ title: 'On the second page', content: '' });
    await bob.posts.create({ title: 'Between', content: '' });
    const theirs = await bob.posts.create({ title: 'Theirs', content: '' });
    const mine = await bob.posts.create({ title: 'Mine', content: '' });
    await store.load();
    await live();
    const shownAs = (id: number) => store.state.posts.find((post) => post.id === id);
    store.track(theirs.id);
    store.track(old.id);
    let late = 0;
    await whileListIsOnItsWay(
      () => store.load(),
      async () => {
        await bob.votes.cast(theirs.id);
        await store.vote(mine.id, true);
        late = (await bob.posts.create({ title: 'Late', content: '' })).id;
        await until('the new post', () => shownAs(late) !== undefined);
        await store.vote(late, true);
        await until("another's vote is heard", () => shownAs(theirs.id)?.votes === 1);
      },
    );
    expect(shownAs(theirs.id)).to.include({ votes: 1, rev: 1, voted: false });
    expect(shownAs(mine.id)).to.include({ votes: 1, rev: 1, voted: true });
    expect(shownAs(late)).to.include({ votes: 1, rev: 1, voted: true });
    await whileListIsOnItsWay(
      () => store.loadMore(),
      async () => {
        await bob.votes.cast(old.id);
        await bob.votes.takeBack(theirs.id);
        await until('what came later is heard', () => shownAs(theirs.id)?.votes === 0);
        expect(shownAs(old.id)).to.equal(undefined);
      },
    );
    expect(shownAs(old.id)).to.include({ votes: 1, rev: 1 });
  });

  it('shows what an older database says, though what it knew had higher numbers', async () => {
    const { id } = await bob.posts.create({ title: 'Then', content: '' });
    await bob.posts.update(id, { title: 'Now' });
    await store.load();
    await live();
    store.track(id);
    await store.vote(id, true);
    await store.vote(id, false);
    await store.vote(id, true);
    const seen = () => store.state.posts.find((post) => post.id === id);
    expect(seen()).to.include({ title: 'Now', version: 2, votes: 1, rev: 3, voted: true });
    await world.pool.query(`
      with head as (update feed_head set epoch = gen_random_uuid()),
        post as (update posts set title = 'Then', version = 1 where id = ${id}),
        vote as (delete from votes where post_id = ${id})
      update post_tallies set votes = 0, rev = 0 where post_id = ${id}`);
    await until('it shows the text of then', () => seen()?.title === 'Then');
    await live();
    expect(seen()).to.include({ version: 1, votes: 0, rev: 0, voted: false });
    await bob.votes.cast(id);
    await until('a vote of now', () => seen()?.votes === 1);
  });

  it('keeps a post that its owner withdraws as a draft, and drops it when it is deleted', async () => {
    await store.load();
    await live();
    const own = await store.create({ title: 'Mine', content: '' });
    await alice.posts.update(own.id, { published: false });
    const mine = () => store.state.posts.find(({ id }) => id === own.id);
    await until('it is a draft', () => mine()?.published === false);
    await store.edit(own.id, { published: true });
    await until('it is published', () => mine()?.published === true);
    await alice.posts.remove(own.id);
    await until('it is gone', () => mine() === undefined);
  });

  it('tells once of many changes, and keeps each post the same object until it changes', async () => {
    await store.load();
    await live();
    const before = store.state;
    expect(store.state).to.equal(before);
    let told = 0;
    store.subscribe(() => (told += 1));
    const [first, second] = before.posts;
    const done = [store.vote(first!.id, true), store.vote(second!.id, true), store.vote(first!.id, false)];
    await Promise.resolve();
    expect(told).to.equal(1);
    await Promise.all(done);
    expect(store.state.posts[0]).to.not.equal(first);
    expect(store.state.posts[2]).to.equal(before.posts[2]);
  });

  it('opens again when it is loaded after it was closed, as React does with every effect in strict mode', async () => {
    const { id } = await bob.posts.create({ title: 'Tracked from the beginning', content: '' });
    const votes = () => store.state.posts.find((post) => post.id === id)?.votes;
    const untrack = store.track(id);
    const first = store.load();
    store.close();
    expect(store.state.status).to.deep.equal({ state: 'ended', reason: 'closed' });
    const second = store.load();
    expect(store.state.status).to.deep.equal({ state: 'connecting' });
    await Promise.all([first, second]);
    await live();
    await bob.posts.create({ title: 'After the first closing', content: '' });
    await until('the new post', () => titles()[0] === 'After the first closing');
    await bob.votes.cast(id);
    await until('the vote', () => votes() === 1);

    store.close();
    await bob.posts.create({ title: 'While it was closed', content: '' });
    await store.loadMore();
    expect(titles()[0]).to.equal('After the first closing');
    await store.load();
    expect(titles()[0]).to.equal('While it was closed');
    await live();
    await bob.votes.takeBack(id);
    await until('the vote taken back', () => votes() === 0);
    await bob.posts.create({ title: 'After the second closing', content: '' });
    await until('the new post', () => titles()[0] === 'After the second closing');
    untrack();
  });

  it('opens again for anyone who logs in next, with nothing of the session before', async () => {
    const carol = createClient({ url: world.url });
    const account = { email: 'carol@example.org', password: PASSWORD };
    await carol.signUp({ ...account, username: 'carol' });
    const { id } = await bob.posts.create({ title: 'Voted for by Carol', content: '' });
    const shared = createFeedStore(carol, { limit: 3 });
    const status = () => shared.state.status;
    const seen = () => shared.state.posts.find((post) => post.id === id);
    try {
      await shared.load();
      await shared.vote(id, true);
      expect(seen()).to.include({ votes: 1, voted: true });
      await carol.logOut();
      await until('the end', () => status().state === 'ended');
      await carol.signUp({ email: 'dave@example.org', password: PASSWORD, username: 'dave' });
      await shared.load();
      expect(seen()).to.include({ votes: 1, voted: false });
      await until('the next feed', () => status().state === 'live');
      await bob.posts.create({ title: 'For Dave', content: '' });
      await until('the new post', () => shared.state.posts[0]?.title === 'For Dave');
    } finally {
      shared.close();
    }
  });

  it('tells of events that come quickly together, each folded in at once', async () => {
    await store.load();
    await live();
    let told = 0;
    let shown: number | undefined;
    store.subscribe(() => {
      told += 1;
      shown = store.state.posts[0]?.id;
    });
    const folded: boolean[] = [];
    store.on('news', ({ post: { id } }) => folded.push(store.state.posts[0]?.id === id));
    const began = performance.now();
    let last: number | undefined;
    for (let number = 0; number < 20; number += 1)
      last = (await bob.posts.create({ title: `Quickly ${number}`, content: '' })).id;
    await until('the last one', () => shown === last);
    expect(folded).to.deep.equal(Array.from({ length: 20 }, () => true));
    // One at once, and one for each 200 ms that have begun; timers are a little early.
    expect(told).to.be.within(1, 2 + Math.ceil((performance.now() - began) / 190));
  });

  it('says why a page did not come, and loads it when asked again', async () => {
    proxy.refusing = true;
    await store.load();
    expect(store.state.error).to.include({ code: 'network' });
    proxy.refusing = false;
    await store.load();
    expect(store.state.error).to.equal(undefined);
    expect(store.state.posts).to.not.be.empty;
  });
});
