import { expect } from 'chai';
import {
  type Client,
  createClient,
  createThreadStore,
  type Feed,
  type ThreadNode,
  type ThreadStore,
  type ThreadStoreOptions,
} from '../client/src/index.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { refusal } from './support/refusal.ts';
import { caughtUp, whileUnnumbered } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

describe('the store of a thread', () => {
  let world: World;
  let proxy: FrameProxy;
  let me: Client;
  let ada: Client;
  let mod: Client;
  let adaId: number;
  let root: number;
  let feed: Feed | undefined;
  let store: ThreadStore;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 20 });
    proxy = await createFrameProxy(world.url);
    me = createClient({ url: proxy.url });
    ada = createClient({ url: world.url });
    await me.signUp({ email: 'reader@example.org', password: PASSWORD, username: 'reader' });
    adaId = (await ada.signUp({ email: 'ada@example.org', password: PASSWORD, username: 'ada' })).id;
    mod = createClient({ url: world.url });
    await mod.signUp({ email: 'judge@example.org', password: PASSWORD, username: 'judge' });
  });
  after(async () => {
    await proxy.close();
    await world.close();
  });
  beforeEach(async () => {
    root = (await ada.posts.create({ title: 'A thread', content: '' })).id;
  });
  afterEach(() => {
    store.close();
    feed?.close();
    feed = undefined;
  });

  async function open(options: Partial<ThreadStoreOptions> = {}): Promise<void> {
    store = createThreadStore(me, { postId: root, feed: { reconnect: { base: 50, cap: 200 } }, ...options });
    await store.load();
    expect(store.state.error).to.equal(undefined);
    await until('it is live', () => store.state.status.state === 'live');
  }

  /** Loads the thread while nothing gets a number, after a change. */
  async function loadUnnumbered<T>(
    change: () => Promise<T>,
    options: Partial<ThreadStoreOptions> = {},
  ): Promise<T> {
    await caughtUp(world);
    return whileUnnumbered(world, async () => {
      const changed = await change();
      store = createThreadStore(me, {
        postId: root,
        feed: { reconnect: { base: 50, cap: 200 } },
        ...options,
      });
      await store.load();
      return changed;
    });
  }

  const say = async (content: string, to = root, by = ada) => (await by.posts.reply(to, { content })).id;
  const flat = (nodes: readonly ThreadNode[]): ThreadNode[] =>
    nodes.flatMap((node) => [node, ...flat(node.replies)]);
  const listed = () => flat(store.state.replies);
  const seen = (id: number) => listed().find(({ reply }) => reply.id === id);

  /** Everything that is loaded and waits is what the service answers now. */
  async function settles(): Promise<void> {
    const { replies } = await me.posts.replies(root, { limit: 100 });
    const told = ({ id, parent_id, content, replies: below, votes, owner }: (typeof replies)[number]) => ({
      id,
      parent_id,
      content,
      below,
      // A deleted one has no tally.
      votes: owner ? votes : undefined,
      by: owner?.username ?? null,
    });
    const expected = replies.map(told);
    const shown = () =>
      listed()
        .map(({ reply }) => told(reply as never))
        .sort((a, b) => a.id - b.id);
    const same = async () => {
      if (store.state.pending > 0) await store.reveal();
      return JSON.stringify(shown()) === JSON.stringify(expected);
    };
    await until('all is told', same).catch(() => undefined);
    expect(shown()).to.deep.equal(expected);
    for (const node of listed())
      for (const { reply } of node.replies) expect(reply.parent_id).to.equal(node.reply.id);
  }

  /** A reply with one other below it, once it is deleted and then that one. */
  async function goesWithItsOnlyReply(id: number, below: number): Promise<void> {
    await caughtUp(world);
    await ada.posts.remove(id);
    await until('it is a deleted one with one below it', () => {
      const reply = seen(id)?.reply;
      return reply?.deleted === true && reply.replies === 1;
    });
    await ada.posts.remove(below);
    await until('both are gone', () => listed().length === 0);
    await settles();
  }

  it('is a tree with counts, in which replies of others wait and own ones do not', async () => {
    const first = await say('First');
    const below = await say('Below it', first);
    await open();
    expect(store.state.post).to.include({ id: root, title: 'A thread', replies: 2 });
    expect(seen(first)?.replies.map(({ reply }) => reply.id)).to.deep.equal([below]);
    const other = await say('Waits', below);
    await until('it waits', () => store.state.pending === 1);
    expect(store.state.waiting[0]).to.include({ id: other, content: 'Waits' });
    expect(seen(other)).to.equal(undefined);
    const own = await store.reply(first, 'My own');
    expect(seen(own.id)?.reply).to.include({ content: 'My own', parent_id: first });
    expect(store.state.pending).to.equal(1);
    await store.reveal();
    expect(seen(below)?.replies.map(({ reply }) => reply.id)).to.deep.equal([other]);
    await until('the counts', () => store.state.post?.replies === 4 && seen(first)?.reply.replies === 3);
    await settles();
  });

  it('puts some of those that wait in their places, and leaves the others', async () => {
    const first = await say('First');
    await open();
    const [one, two] = [await say('One', first), await say('Two')];
    await until('they wait', () => store.state.pending === 2);
    expect(store.revealSome([first]), 'it does not wait').to.equal(false);
    expect(store.revealSome([two])).to.equal(true);
    expect(store.state.waiting.map(({ id }) => id)).to.deep.equal([one]);
    expect(store.state.replies.map(({ reply }) => reply.id)).to.deep.equal([first, two]);
    await settles();
  });

  it('keeps a deleted reply as long as there are living ones below it, by anybody', async () => {
    const first = await say('First');
    const below = await say('Below', first);
    const last = await say('Last', below);
    await open();
    await ada.posts.remove(first);
    await until('it is a deleted one', () => seen(first)?.reply.deleted === true);
    expect(seen(first)?.reply).to.include({
      content: '',
      title: null,
      owner: null,
      owner_id: null,
      parent_id: root,
    });
    await settles();
    const own = await store.reply(last, 'Mine');
    await ada.posts.remove(below);
    await ada.posts.remove(last);
    await until('two more', () => listed().filter(({ reply }) => reply.deleted).length === 3);
    await settles();
    await store.remove(own.id);
    expect(seen(own.id)).to.equal(undefined);
    await until('those above it have gone with it', () => listed().length === 0);
    await settles();
  });

  it('counts a reply once that its page has before its event has a number', async () => {
    const first = await say('First');
    const below = await loadUnnumbered(() => say('Below', first));
    expect(seen(first)?.replies.map(({ reply }) => reply.id)).to.deep.equal([below]);
    await ada.posts.remove(first);
    await until('it is a deleted one', () => seen(first)?.reply.deleted === true);
    await settles();
    await ada.posts.remove(below);
    await until('both are gone', () => listed().length === 0);
  });

  it('counts a reply of a further page once that has no number when the first page counts it', async () => {
    const first = await say('First');
    const below = await loadUnnumbered(() => say('Below', first), { limit: 1 });
    expect(listed().map(({ reply }) => reply.id)).to.deep.equal([first]);
    await goesWithItsOnlyReply(first, below);
  });

  it('counts a reply off once whose deletion has no number when a page is read without it', async () => {
    const first = await say('First');
    const gone = await say('Gone', first);
    const below = await say('Below', first);
    await loadUnnumbered(() => ada.posts.remove(gone), { limit: 1 });
    await goesWithItsOnlyReply(first, below);
  });

  it('keeps a deleted reply over one that came below a reply of a further page', async () => {
    const first = await say('First');
    const below = await say('Below', first);
    await caughtUp(world);
    await open({ limit: 1 });
    const last = await say('Last', below);
    await until('it waits', () => store.state.pending === 1);
    await store.reveal();
    await store.loadMore();
    await ada.posts.remove(last);
    await until('it is gone', () => seen(last) === undefined);
    await ada.posts.remove(first);
    await until('it is a deleted one', () => seen(first)?.reply.deleted === true);
    expect(seen(first)?.reply.replies).to.equal(1);
    // A further page did not go, either.
    await settles();
  });

  it('has a reply that a moderator restores, and the deleted ones above it', async () => {
    await world.ctx.db.transaction((tx) => grantRole(tx, 'judge', 'moderator', ''));
    const act = (action: 'remove' | 'restore', post_id: number) =>
      mod.moderation.act({ action, post_id, reason: 'A test' });
    const first = await say('First');
    const below = await say('Below', first);
    const last = await say('Last', below);
    await open();
    await ada.posts.remove(first);
    await ada.posts.remove(below);
    await until('both are deleted ones', () => seen(below)?.reply.deleted === true);
    await act('remove', last);
    await until('all are gone', () => listed().length === 0);
    await act('restore', last);
    await settles();
    expect(seen(first)?.reply).to.include({ deleted: true, replies: 1 });
    const other = await say('Other', last);
    await act('remove', last);
    await until('it is a deleted one', () => seen(last)?.reply.deleted === true);
    await act('restore', last);
    await settles();
    expect(seen(last)?.replies.map(({ reply }) => reply.id)).to.deep.equal([other]);
    expect(seen(first)?.reply.replies).to.equal(2);
  });

  it('votes at once, edits, and says what the server refuses', async () => {
    const first = await say('First');
    await open();
    const vote = store.vote(first, true);
    expect(seen(first)?.reply).to.include({ votes: 1, voted: true });
    await vote;
    const own = await store.reply(first, 'Mine');
    await store.edit(own.id, { content: 'Mine, changed' });
    expect(seen(own.id)?.reply.content).to.equal('Mine, changed');
    await ada.posts.update(first, { content: 'Hers, changed' });
    await until('the edit', () => seen(first)?.reply.content === 'Hers, changed');
    expect(await refusal(store.reply(own.id + 1000, 'To nothing'))).to.include({ code: 'not_found' });
    await settles();
  });

  it('ends with its first post, and comes back with it', async () => {
    const first = await say('First');
    await open();
    await ada.posts.update(root, { published: false });
    await until('it is gone', () => store.state.gone);
    expect(store.state).to.deep.include({ post: undefined, replies: [], pending: 0 });
    await ada.posts.update(root, { published: true });
    await until('it is there again', () => !store.state.gone && seen(first) !== undefined);
    await ada.posts.remove(root);
    await until('it is gone for good', () => store.state.gone);
    store.close();
    await store.load();
    expect(store.state).to.deep.include({ post: undefined, replies: [], gone: true });
  });

  it('takes out the replies of somebody who is blocked, and has them again', async () => {
    const ben = createClient({ url: world.url });
    const benId = (await ben.signUp({ email: 'ben@example.org', password: PASSWORD, username: 'ben' })).id;
    const hers = await say('Hers');
    const his = await say('His', hers, ben);
    await open();
    await me.users.block(benId);
    await until('his is not there', () => seen(his) === undefined);
    expect(seen(hers)?.reply.owner_id).to.equal(adaId);
    await me.users.unblock(benId);
    await until('his is there again', () => seen(his) !== undefined);
    await settles();
  });

  it('loads its pages one by one, with what came meanwhile', async () => {
    const ids: number[] = [];
    for (let at = 0; at < 7; at += 1) ids.push(await say(`Reply ${at}`, at % 2 === 0 ? root : ids.at(-1)));
    await open({ limit: 3 });
    expect(listed()).to.have.length(3);
    await say('New', ids[0]);
    await until('it waits', () => store.state.pending === 1);
    await ada.posts.remove(ids[6]!);
    await store.loadMore();
    await store.loadMore();
    expect(store.state.hasMore).to.equal(false);
    await settles();
  });

  it('is for the first post of a thread', async () => {
    const first = await say('First');
    store = createThreadStore(me, { postId: first });
    const refused = await store.load().catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(TypeError);
  });

  for (const shared of [false, true])
    it(`loses and doubles nothing while others write and connections are cut, ${shared ? 'on a shared feed' : 'alone'}`, async () => {
      if (shared) feed = me.feed({ topics: [], tallies: 'tracked', reconnect: { base: 50, cap: 200 } });
      let seed = shared ? 7 : 3;
      const random = (below: number) => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed % below;
      };
      const living = [await say('The first')];
      const writing = (async () => {
        for (let at = 0; at < 30; at += 1) {
          const one = living[random(living.length)];
          const act = random(10);
          if (one === undefined || act < 5)
            living.push(await say(`Reply ${at}`, random(4) === 0 ? root : one));
          else if (act < 8) {
            await ada.posts.remove(one);
            living.splice(living.indexOf(one), 1);
          } else if (act === 8) await ada.votes.cast(one);
          else proxy.cut();
        }
      })();
      await open({ limit: 100, ...(feed ? { feed } : {}) });
      await writing;
      await settles();
    });
});
