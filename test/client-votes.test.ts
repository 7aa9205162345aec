import { expect } from 'chai';
import {
  type Client,
  createClient,
  createFeedStore,
  createThreadStore,
  type DelayedVote,
  type FeedStore,
  type PostAnswer,
  type VoteView,
} from '../client/src/index.ts';
import { MAX_DELAYED } from '../client/src/store/vote-wishes.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { refusal } from './support/refusal.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

describe('votes that cannot be sent', () => {
  let world: World;
  let proxy: FrameProxy;
  let alice: Client;
  let bob: Client;
  let store: FeedStore;
  let delayed: DelayedVote[];
  let answers: VoteView[];
  /** What becomes of alice's requests about votes; they reach the server otherwise. */
  let fate: 'none' | 'unanswered' | 'unsent' | Response = 'none';
  /** Until then their answers do not come. */
  let held: Promise<void> | undefined;
  /** Those that reached the server, as `PUT 7`. */
  let sent: string[];

  before(async () => {
    world = await createWorld();
    proxy = await createFrameProxy(world.url);
    alice = createClient({
      url: proxy.url,
      fetch: async (url, init) => {
        const post = /\/posts\/(\d+)\/vote$/.exec(url)?.[1];
        if (post === undefined) return fetch(url, init);
        if (fate === 'unsent') throw new TypeError('fetch failed');
        if (fate instanceof Response) return fate.clone();
        sent.push(`${init.method} ${post}`);
        const answer = await fetch(url, init);
        await held;
        if (fate === 'unanswered') throw new TypeError('fetch failed');
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
  beforeEach(async () => {
    fate = 'none';
    held = undefined;
    sent = [];
    delayed = [];
    answers = [];
    store = createFeedStore(alice, { feed: { reconnect: { base: 50 } } });
    store.on('voteDelayed', (vote) => delayed.push(vote));
    store.on('vote', (vote) => answers.push(vote));
    await store.load();
    await live();
  });
  afterEach(() => store.close());

  const live = () => until('the store is live', () => store.state.status.state === 'live');
  const write = async (title: string): Promise<PostAnswer> => {
    const post = await bob.posts.create({ title, content: '' });
    await until('it is shown', () => shown(post) !== undefined);
    return post;
  };
  const shown = ({ id }: { id: number }) => store.state.posts.find((post) => post.id === id);
  const isDelayed = (post: PostAnswer) => until('it waits', () => shown(post)?.voteDelayed === true);
  /** The connection goes and comes back. */
  const reconnect = async () => {
    await live();
    fate = 'none';
    const { opened } = proxy;
    proxy.cut();
    // It may be back between two looks at its status.
    await until('another connection', () => proxy.opened > opened);
    await live();
  };

  it('are sent again when the connection is back, once, as the user wants it by then', async () => {
    const [first, second] = [await write('First'), await write('Second')];
    fate = 'unsent';
    const done = [store.vote(first.id, true), store.vote(second.id, true)];
    await isDelayed(first);
    await isDelayed(second);
    expect(shown(first)).to.include({ voted: true, votes: 1, voting: true });
    expect(delayed.map(({ post_id: id, up }) => [id, up])).to.have.deep.members([
      [first.id, true],
      [second.id, true],
    ]);
    expect(delayed[0]?.error.message).to.equal('The server cannot be reached.');
    done.push(store.vote(second.id, false));
    await reconnect();
    await Promise.all(done);
    expect(shown(first)).to.include({ voted: true, votes: 1, voting: false, voteDelayed: false });
    expect(shown(second)).to.include({ voted: false, votes: 0, voting: false, voteDelayed: false });
    const sentOf = ({ id }: PostAnswer) => sent.filter((line) => line.endsWith(` ${id}`));
    expect(sentOf(first)).to.deep.equal([`PUT ${first.id}`]);
    // What was on its way when the user wanted something else may come first.
    const [last, ...before] = sentOf(second).reverse();
    expect(last).to.equal(`DELETE ${second.id}`);
    expect(before).to.deep.equal(before.length === 0 ? [] : [`PUT ${second.id}`]);
    const answerOf = ({ id }: PostAnswer) => answers.findLast(({ post_id }) => post_id === id)?.voted;
    expect([answerOf(first), answerOf(second)]).to.deep.equal([true, false]);
    expect(await bob.posts.get(first.id)).to.include({ votes: 1 });
  });

  it('count once if the answer alone was lost, and are sent again by themselves', async () => {
    const post = await write('Unanswered');
    fate = 'unanswered';
    const done = store.vote(post.id, true);
    await isDelayed(post);
    fate = 'none';
    await done;
    expect(shown(post)).to.include({ voted: true, votes: 1 });
    expect(await bob.posts.get(post.id)).to.include({ votes: 1 });
  });

  it('are counted as they are on their way, also where the user wants something else by then', async () => {
    const post = await write('Clicked while it is sent again');
    const untrack = store.track(post.id);
    fate = 'unsent';
    const done = store.vote(post.id, true);
    await isDelayed(post);
    let answer: () => void = () => undefined;
    held = new Promise((resolve) => (answer = resolve));
    await reconnect();
    await until('it is on its way', () => sent.length > 0);
    void store.vote(post.id, false);
    const later = createFeedStore(alice);
    await later.load();
    await until('its tally', () => (shown(post)?.rev ?? 0) > post.rev);
    expect(shown(post)).to.include({ voted: false, votes: 0, voting: true });
    expect(later.state.posts[0]).to.include({ id: post.id, voted: false, votes: 0, voting: true });
    answer();
    await done;
    expect(shown(post)).to.include({ voted: false, votes: 0, voting: false });
    later.close();
    untrack();
  });

  it('go on when their store is closed, and are shown by every other one', async () => {
    const post = await write('In two stores');
    const thread = createThreadStore(alice, { postId: post.id });
    await thread.load();
    fate = 'unsent';
    const done = thread.vote(post.id, true);
    expect(shown(post)).to.include({ voted: true, votes: 1 });
    await isDelayed(post);
    thread.close();
    const later = createFeedStore(alice);
    await later.load();
    expect(later.state.posts[0]).to.include({ id: post.id, voted: true, votes: 1, voteDelayed: true });
    await reconnect();
    await done;
    await until('both know', () => later.state.posts[0]?.voting === false && shown(post)?.voting === false);
    expect(later.state.posts[0]).to.include({ voted: true, votes: 1 });
    later.close();
  });

  it('are taken back if the server refuses them later', async () => {
    const post = await write('Goes meanwhile');
    // The head would tell that the deletion is missing.
    proxy.drops = (frame) => frame.includes('post:deleted') || frame.includes('feed:head');
    fate = 'unsent';
    const done = refusal(store.vote(post.id, true));
    await isDelayed(post);
    await bob.posts.remove(post.id);
    fate = 'none';
    void store.vote(post.id, true);
    expect(await done).to.include({ code: 'not_found' });
    expect(shown(post)).to.include({ voted: false, votes: 0, voting: false });
    proxy.drops = () => false;
  });

  it('are not kept for a limit, which is no outage', async () => {
    const post = await write('Limited');
    const problem = {
      type: 'urn:tidings:problem:too_many_requests',
      title: '',
      status: 429,
      detail: 'Slower.',
    };
    fate = new Response(JSON.stringify(problem), {
      status: 429,
      headers: { 'content-type': 'application/problem+json' },
    });
    expect(await refusal(store.vote(post.id, true))).to.include({ code: 'too_many_requests' });
    expect(shown(post)).to.include({ voted: false, voteDelayed: false });
  });

  it('are so many at most', async () => {
    fate = 'unsent';
    const ids = Array.from({ length: MAX_DELAYED + 1 }, (_, at) => 1_000_000 + at);
    let given = 0;
    const done = ids.map((id) =>
      store.vote(id, true).catch((error: unknown) => {
        given += 1;
        return error;
      }),
    );
    await until('the last one is given up', () => given === 1 && delayed.length === MAX_DELAYED);
    fate = 'none';
    await store.vote((await write('Reachable')).id, true);
    const outcomes = await Promise.all(done);
    expect(outcomes.filter((error) => (error as { code?: string }).code === 'network')).to.have.length(1);
    expect(outcomes.filter((error) => (error as { code?: string }).code === 'not_found')).to.have.length(
      MAX_DELAYED,
    );
  });

  it('are given up when the user logs out: they are not the next one’s', async () => {
    const post = await write('Not mine');
    fate = 'unsent';
    const done = refusal(store.vote(post.id, true));
    await isDelayed(post);
    await alice.logOut();
    expect(await done).to.include({ code: 'aborted' });
    await alice.signUp({ email: 'carol@example.org', password: PASSWORD, username: 'carol' });
    await store.load();
    await reconnect();
    const another = await write('Another');
    await store.vote(another.id, true);
    expect(sent).to.deep.equal([`PUT ${another.id}`]);
    expect(shown(post)).to.include({ voted: false, votes: 0 });
  });
});
