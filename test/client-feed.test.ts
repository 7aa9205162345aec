import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import {
  type Client,
  createClient,
  type Feed,
  type FeedOptions,
  type FeedReset,
  type LiveEvent,
  memoryStorage,
  type SessionStorage,
  type Tally,
  type Tokens,
} from '../client/src/index.ts';
import { Connection, type ConnectionOptions } from '../client/src/feed/connection.ts';
import { packageRoot } from '../server/paths.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { postIdOf } from './support/posts.ts';
import { refusal } from './support/refusal.ts';
import { caughtUp, whileUnnumbered } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, PASSWORD, type World } from './support/world.ts';

/** Quick to return, so that a test need not wait; everything else as shipped. */
const QUICK: FeedOptions = { reconnect: { base: 50, cap: 400 } };

/** Closes four feeds, each in a listener of it, and ends if nothing of them is left. */
const CLOSES = `
  import { createClient, memoryStorage } from './client/src/index.ts';
  const { url, session } = JSON.parse(process.argv[1]);
  const closedIn = (feed, name, wanted) =>
    new Promise((resolve) => {
      feed.track(1);
      feed.on(name, (told) => {
        if (!wanted(told)) return;
        feed.close();
        feed.on('status', () => console.log('told of more'));
        feed.on('ready', () => console.log('told of more'));
        resolve();
      });
    });
  const nowhere = createClient({ url: 'http://127.0.0.1:9' });
  await closedIn(nowhere.feed(), 'status', ({ state }) => state === 'offline');
  const patient = nowhere.feed({ reconnect: { base: 3_600_000, cap: 3_600_000 } });
  await new Promise((resolve) => patient.on('status', resolve));
  const closing = closedIn(patient, 'status', ({ state }) => state === 'offline');
  await new Promise((resolve) => setTimeout(resolve));
  patient.reconnect();
  await closing;
  const storage = memoryStorage();
  storage.write(session);
  const client = createClient({ url, storage });
  await closedIn(client.feed({ after: 1, epoch: '00000000-0000-4000-8000-000000000000' }), 'reset', () => true);
  console.log('refuse me');
  await new Promise((resolve) => process.stdin.once('end', resolve).resume());
  const feed = client.feed({ reconnect: { base: 50, cap: 400 } });
  feed.on('status', ({ state }) => console.log(state));
  await closedIn(feed, 'status', ({ state }) => state === 'catching-up');
`;

/** A feed and everything that it has told. */
interface Heard {
  feed: Feed;
  events: LiveEvent[];
  resets: FeedReset[];
  statuses: string[];
  tallies: Tally[];
}

describe("the client's feed", () => {
  let world: World;
  let proxy: FrameProxy;
  let writer: Client;
  let session: SessionStorage;
  let open: Feed[];

  before(async () => {
    world = await createWorld();
    writer = createClient({ url: world.url });
    await writer.signUp({ email: 'writer@example.org', password: PASSWORD, username: 'writer' });
    session = memoryStorage();
    const reader = createClient({ url: world.url, storage: session });
    await reader.signUp({ email: 'reader@example.org', password: PASSWORD, username: 'reader' });
  });
  after(() => world.close());
  beforeEach(async () => {
    open = [];
    // What is heard from now on is of the test alone.
    await caughtUp(world);
    proxy = await createFrameProxy(world.url);
  });
  afterEach(async () => {
    for (const feed of open) feed.close();
    await proxy.close();
  });

  /** The reader's feed, through the proxy. */
  function listen(options: FeedOptions = {}): Heard {
    const feed = createClient({ url: proxy.url, storage: session }).feed({ ...QUICK, ...options });
    open.push(feed);
    const heard: Heard = { feed, events: [], resets: [], statuses: [], tallies: [] };
    feed.on('event', (event) => heard.events.push(event));
    feed.on('reset', (reset) => heard.resets.push(reset));
    feed.on('status', (status) => heard.statuses.push(status.state));
    feed.on('tally', (tally) => heard.tallies.push(tally));
    return heard;
  }

  /** As a page shows it when the server has been away for a minute: the next attempt is far off. */
  const PATIENT: FeedOptions = { reconnect: { base: 3_600_000, cap: 3_600_000 } };

  async function write(count: number, label = 'Post'): Promise<number[]> {
    const ids: number[] = [];
    for (let at = 1; at <= count; at += 1)
      ids.push((await writer.posts.create({ title: `${label} ${at}`, content: '' })).id);
    return ids;
  }

  /** Exactly these posts, in this order, at the numbers that follow a position. */
  async function expectCreated({ events }: Heard, after: number, ids: number[], within?: number) {
    await until('all events are heard', () => events.length >= ids.length, within);
    expect(events.map(({ seq, name, data }) => [seq, name, postIdOf(data)])).to.deep.equal(
      ids.map((id, at) => [after + 1 + at, 'post:created', id]),
    );
  }

  it('is over when a listener has closed it, and Node ends', async () => {
    const input = JSON.stringify({ url: proxy.url, session: session.read() });
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', CLOSES, input], {
      cwd: packageRoot,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    let code: number | null | undefined;
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('close', (exit) => (code = exit));
    try {
      await until('three of them are closed', () => said.includes('refuse me') || code !== undefined);
      proxy.refusing = true;
      child.stdin.end();
      await until('the fourth is offline', () => said.includes('offline') || code !== undefined);
      proxy.refusing = false;
      await until('nothing holds the process', () => code !== undefined);
    } finally {
      child.kill('SIGKILL');
    }
    expect(said).to.match(/^refuse me\n(offline\n)+catching-up\nended\n$/);
    expect(code).to.equal(0);
  });

  it('tells nobody of what came before its end after it', async () => {
    const { feed } = listen();
    const told: string[] = [];
    feed.on('status', ({ state }) => {
      if (state === 'live') feed.close();
    });
    feed.on('status', ({ state }) => told.push(state));
    feed.on('ready', () => told.push('ready'));
    await until('it has ended', () => feed.status.state === 'ended');
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).to.deep.equal(['ended']);
  });

  it('gives up what was asked over a connection when that ends, also what Socket.IO has kept back', async () => {
    const token = session.read()?.accessToken ?? '';
    const hears = { ready: () => undefined } as unknown as ConnectionOptions['hears'];
    const heard: string[] = [];
    const connection = new Connection({
      url: world.url,
      withCredentials: false,
      transports: ['websocket'],
      auth: () => Promise.resolve({ token, feed: 'off', tallies: 'none' }),
      hears,
      onEvent: () => undefined,
      onConnected: () => heard.push('connected'),
      onEnd: ({ kind }) => heard.push(kind),
      silence: 60_000,
    });
    /** What a request is answered with now, if it is. */
    const now = (asked: Promise<unknown>) =>
      Promise.race([asked.catch((error: unknown) => error), new Promise((resolve) => setImmediate(resolve))]);
    try {
      await until('it is connected', () => heard.length === 1);
      const { now: clock } = Date;
      // The computer has slept: the server's pings have not come.
      Date.now = () => clock() + 3_600_000;
      const asked = connection.ask('track', { post_ids: [1] });
      Date.now = clock;
      asked.catch(() => undefined);
      await until('its end', () => heard.length === 2);
      expect(await now(asked)).to.include({ code: 'network' });
      expect(await now(connection.ask('track', { post_ids: [1] }))).to.include({ code: 'network' });
    } finally {
      connection.close();
    }
  });

  it('serves the calls of one iterator in order', async () => {
    const { feed } = listen();
    const { seq } = await feed.ready();
    const reader = feed[Symbol.asyncIterator]();
    const read: unknown[] = [];
    for (let at = 0; at < 4; at += 1) void reader.next().then(({ value }) => read.push(value?.seq));
    await write(3);
    await until('three are served', () => read.length === 3);
    feed.close();
    await until('the last one ends', () => read.length === 4);
    expect(read).to.deep.equal([seq + 1, seq + 2, seq + 3, undefined]);
  });

  it('hands every event on once, in order, by name and as an iterator', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    const byName: [string, number][] = [];
    heard.feed.on('post:created', (post, at) => byName.push([post.title ?? '', at.seq]));
    heard.feed.on('post:updated', (post, at) => byName.push([post.title ?? '', at.seq]));
    heard.feed.on('post:deleted', (post, at) => byName.push([String(post.id), at.seq]));
    const reader = heard.feed[Symbol.asyncIterator]();
    const [id = 0] = await write(1, 'First');
    // What is changed before it is numbered is told without its text.
    await until('the post is heard', () => heard.events.length === 1);
    await writer.posts.update(id, { title: 'Second' });
    await until('both are heard', () => heard.events.length === 2);
    await writer.posts.remove(id);
    const read: [number, string][] = [];
    for await (const event of reader) {
      read.push([event.seq, event.name]);
      if (event.name === 'post:deleted') break;
    }
    expect(read).to.deep.equal([
      [seq + 1, 'post:created'],
      [seq + 2, 'post:updated'],
      [seq + 3, 'post:deleted'],
    ]);
    expect(byName).to.deep.equal([
      ['First 1', seq + 1],
      ['Second', seq + 2],
      [String(id), seq + 3],
    ]);
    expect(heard.events.map(({ seq }) => seq)).to.deep.equal([seq + 1, seq + 2, seq + 3]);
  });

  it('follows a list without a hole and without a repetition', async () => {
    await write(2, 'Listed');
    const { position } = await writer.posts.list();
    const ids = await write(3, 'Since');
    // Numbering comes after the commit: until then there is nothing to replay.
    await until('they are numbered', async () => {
      const { events } = await writer.events({ after: position.seq, epoch: position.epoch });
      return events.some(({ data }) => postIdOf(data) === ids.at(-1));
    });
    const heard = listen({ after: position.seq, epoch: position.epoch });
    expect(await heard.feed.ready()).to.include({ outcome: 'replayed' });
    const listed = heard.events.filter(({ data }) => !ids.includes(postIdOf(data) ?? 0));
    await expectCreated(
      { ...heard, events: heard.events.slice(listed.length) },
      position.seq + listed.length,
      ids,
    );
  });

  it('is handed what it missed when its connection is cut again and again', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    const ids: number[] = [];
    for (let round = 1; round <= 5; round += 1) {
      ids.push(...(await write(2, `Before ${round}`)));
      proxy.cut();
      ids.push(...(await write(3, `While away ${round}`)));
      await until('it is live again', () => heard.feed.status.state === 'live');
    }
    await expectCreated(heard, seq, ids);
    expect(heard.statuses).to.include('offline');
    expect(heard.resets).to.be.empty;
    expect(proxy.opened).to.be.greaterThan(5);
  });

  it('repairs a hole before it shows what comes after it', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    let dropped = 0;
    proxy.drops = (frame) => frame.includes('"Post 2"') && dropped++ === 0;
    const ids = await write(4);
    await expectCreated(heard, seq, ids);
    expect(dropped).to.equal(2); // lost, and sent again
    expect(proxy.opened).to.equal(2);
    // What was missed comes before the word that it was all.
    await until('it is live again', () => heard.feed.status.state === 'live');
    expect(heard.statuses).to.deep.equal(['live', 'catching-up', 'live']);
  });

  it('notices by the head that the newest event was lost', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    let dropped = 0;
    proxy.drops = (frame) => frame.includes('post:created') && dropped++ === 0;
    // The head is told two seconds after the last event at the soonest, three at the latest; then it connects again.
    await expectCreated(heard, seq, await write(1));
    expect(proxy.opened).to.equal(2);
  });

  /** As from a service that leaves out what is hidden from this client: each message says which of the others it follows. */
  function hide(start: number): { events: number } {
    const hidden = { events: 0 };
    const told = new Set([start]);
    const seqOf = (frame: string) => Number(/"seq":(\d+),"prev":\d+\}\]$/.exec(frame)?.[1] ?? NaN);
    proxy.drops = (frame) => {
      const isHidden = frame.includes('"Hidden');
      if (isHidden) hidden.events += 1;
      else if (frame.includes('"post:')) told.add(seqOf(frame));
      return isHidden;
    };
    proxy.changes = (frame) => {
      const isHead = frame.includes('"feed:head"');
      const before = [...told].filter((seq) => (isHead ? seq <= seqOf(frame) : seq < seqOf(frame)));
      return frame.replace(/"prev":\d+(?=\}\]$)/, `"prev":${Math.max(...before)}`);
    };
    return hidden;
  }

  it('takes an event that follows its position, whatever numbers lie between the two', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    const hidden = hide(seq);
    await write(1);
    await write(3, 'Hidden');
    await write(1);
    await until('both that are not hidden', () => heard.events.length === 2);
    expect(heard.events.map((event) => event.seq)).to.deep.equal([seq + 1, seq + 5]);
    expect(hidden.events).to.equal(3);
    expect(heard.statuses).to.deep.equal(['live']);
    expect(proxy.opened).to.equal(1);
  });

  it('moves with the head past events that are not for it, and resumes from there', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    hide(seq);
    await write(1);
    await write(2, 'Hidden');
    await until('the head', () => heard.feed.position?.seq === seq + 3);
    expect(heard.feed.behind).to.equal(0);
    expect(heard.statuses).to.deep.equal(['live']);
    proxy.cut();
    const ids = await write(1);
    await until('what came next', () => heard.events.length === 2);
    expect(heard.events[1]).to.deep.include({ seq: seq + 4, name: 'post:created' });
    expect(postIdOf(heard.events[1]!.data)).to.equal(ids[0]);
  });

  it('connects again with its position when an event follows one that it has not', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    hide(seq);
    await write(1);
    let dropped = 0;
    const { drops } = proxy;
    proxy.drops = (frame) => drops(frame) || (frame.includes('"Lost') && dropped++ === 0);
    await write(1, 'Hidden');
    await write(1, 'Lost');
    await write(1);
    await until('the one that was lost', () => heard.events.length >= 3);
    expect(heard.events.map((event) => event.seq)).to.deep.equal([seq + 1, seq + 3, seq + 4]);
    expect(dropped).to.equal(2);
    expect(heard.resets).to.be.empty;
  });

  it('follows a service of a version that says no prev, and finds its holes', async () => {
    proxy.changes = (frame) => frame.replace(/,"prev":\d+(?=\}\]$)/, '');
    const heard = listen();
    const { seq } = await heard.feed.ready();
    let dropped = 0;
    proxy.drops = (frame) => frame.includes('"Post 2"') && dropped++ === 0;
    const ids = await write(3);
    await expectCreated(heard, seq, ids);
    expect(dropped).to.equal(2);
    // And the newest, by the head.
    proxy.drops = (frame) => frame.includes('"Last') && dropped++ === 2;
    ids.push(...(await write(1, 'Last')));
    await expectCreated(heard, seq, ids);
    expect(proxy.opened).to.equal(3);
  });

  it('follows a service of a version that says no protocol', async () => {
    proxy.changes = (frame) => frame.replace('"protocol":1,', '');
    const heard = listen();
    const { seq, protocol } = await heard.feed.ready();
    expect(protocol).to.equal(undefined);
    await expectCreated(heard, seq, await write(1));
  });

  it('ends with a sentence at a service whose protocol it does not know, and does not come back', async () => {
    proxy.changes = (frame) => frame.replace('"protocol":1,', '"protocol":2,');
    const { feed, statuses } = listen();
    const reader = feed[Symbol.asyncIterator]();
    const why = {
      code: 'unsupported',
      message:
        "The service speaks version 2 of the feed's protocol, and this client version 1. Update the client.",
    };
    const rejected = (asked: Promise<unknown>) => asked.catch((error: unknown) => error);
    expect(await rejected(feed.ready())).to.include(why);
    expect(await rejected(reader.next())).to.include(why);
    expect(await rejected(feed[Symbol.asyncIterator]().next())).to.include(why);
    expect(await rejected(feed.ready())).to.include(why);
    expect(feed.status).to.deep.equal({ state: 'ended', reason: 'unsupported' });
    expect(statuses).to.not.include('live');
    feed.reconnect();
    expect(proxy.opened).to.equal(1);
  });

  it('shows no event twice that is sent twice', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    let repeated = 0;
    proxy.repeats = (frame) => frame.includes('post:') && ++repeated > 0;
    const ids = await write(3);
    await until('all are sent', () => repeated === 3);
    proxy.repeats = () => false;
    ids.push(...(await write(1)));
    await expectCreated(heard, seq, ids);
    expect(proxy.opened).to.equal(1);
  });

  it('leaves a server that has fallen silent', async () => {
    const heard = listen({ silence: 2500 });
    const { seq } = await heard.feed.ready();
    proxy.silent = true;
    const ids = await write(2);
    await until('it has noticed', () => heard.feed.status.state === 'offline');
    expect(heard.feed.status).to.include({ reason: 'silence' });
    proxy.silent = false;
    await expectCreated(heard, seq, ids);
  });

  it('expects to hear of a server in the mode that it connected in, not in the one that it set out in', async () => {
    const quiet = listen({ silence: 2500 });
    void quiet.feed.setMode('off');
    await quiet.feed.ready();
    const loud = listen({ silence: 2500, mode: 'off' });
    void loud.feed.setMode('live');
    await loud.feed.ready();
    proxy.silent = true;
    await until('the one in mode live has noticed', () => loud.feed.status.state === 'offline');
    expect(loud.feed.status).to.include({ reason: 'silence' });
    expect(quiet.statuses, 'the one in mode off, which has waited for longer').to.deep.equal(['live']);
  });

  it('says when its position cannot be served, and continues from there', async () => {
    const foreign = '00000000-0000-4000-8000-000000000000';
    const heard = listen({ after: 1, epoch: foreign });
    const ready = await heard.feed.ready();
    expect(heard.resets).to.deep.equal([
      { name: 'reset', seq: ready.seq, epoch: ready.epoch, reason: 'epoch_changed' },
    ]);
    await expectCreated(heard, ready.seq, await write(1));
    expect(heard.feed.position).to.deep.equal({ seq: ready.seq + 1, epoch: ready.epoch });
  });

  it('tells while the server cannot be reached when it tries again, and comes back by itself', async () => {
    const heard = listen();
    const { seq } = await heard.feed.ready();
    proxy.refusing = true;
    proxy.cut();
    await until('two attempts have failed', () => heard.statuses.filter((s) => s === 'offline').length >= 3);
    const { status } = heard.feed;
    expect(status.state === 'offline' && status.retryAt - Date.now() < 500).to.equal(true);
    const ids = await write(2);
    proxy.refusing = false;
    await expectCreated(heard, seq, ids);
    await until('it is live', () => heard.feed.status.state === 'live');
    expect(heard.feed.status).to.deep.equal({ state: 'live' });
  });

  it('tries at once when somebody would not wait', async () => {
    const heard = listen(PATIENT);
    const { seq } = await heard.feed.ready();
    heard.feed.reconnect();
    expect(heard.statuses, 'while it is live there is nothing to do').to.deep.equal(['live']);
    proxy.refusing = true;
    proxy.cut();
    await until('it waits', () => heard.feed.status.state === 'offline');
    const ids = await write(2, 'Meanwhile');
    const { opened } = proxy;
    heard.feed.reconnect();
    const { status } = heard.feed;
    expect(status.state === 'offline' && status.retryAt <= Date.now(), 'it says so').to.equal(true);
    await until('it waits again', () => {
      const now = heard.feed.status;
      return now.state === 'offline' && now.retryAt > Date.now();
    });
    proxy.refusing = false;
    heard.feed.reconnect();
    heard.feed.reconnect();
    await until('it is live', () => heard.feed.status.state === 'live');
    expect(proxy.opened, 'one attempt for two clicks').to.equal(opened + 1);
    await expectCreated(heard, seq, ids);
    heard.feed.close();
    heard.feed.reconnect();
    expect(heard.feed.status.state).to.equal('ended');
  });

  it('keeps of each tally the highest rev, whichever comes last', async () => {
    const [id = 0] = await write(1);
    const heard = listen();
    await heard.feed.ready();
    await writer.votes.cast(id);
    await writer.votes.takeBack(id);
    await writer.votes.cast(id);
    await until('the last tally is there', () => heard.feed.tally(id)?.rev === 3);
    expect(heard.feed.tally(id)).to.deep.equal({ post_id: id, votes: 1, replies: 0, rev: 3 });
    const revs = heard.tallies.filter((tally) => tally.post_id === id).map(({ rev }) => rev);
    expect(revs).to.deep.equal([...revs].sort((a, b) => a - b));
    // An event that is replayed carries an older tally: it must not undo the newer one.
    const late = listen({ after: 0 });
    late.feed.track(id);
    await late.feed.ready();
    await until('the tally is there', () => late.feed.tally(id) !== undefined);
    await until('it is the newest', () => late.feed.tally(id)?.rev === 3);
  });

  for (const tallies of ['all', 'tracked'] as const)
    it(`in mode ${tallies} keeps a tally that came before the post was published again`, async () => {
      const { feed, tallies: told, events } = listen({ tallies });
      await feed.ready();
      const post = await writer.posts.create({ title: 'away and back', content: '' });
      await until('the post', () => events.length === 1);
      feed.track(post.id);
      await writer.votes.cast(post.id);
      await until('the first tally', () => feed.tally(post.id)?.votes === 1);
      // Nothing is numbered meanwhile, so events wait, and tallies do not.
      await whileUnnumbered(world, async () => {
        await writer.posts.update(post.id, { published: false });
        await writer.posts.update(post.id, { published: true });
        await writer.votes.takeBack(post.id);
        await until('the second tally', () => feed.tally(post.id)?.votes === 0);
      });
      await until('the other events', () => events.length === 3);
      expect(events.at(-1)?.data).to.include({ id: post.id, votes: 1, rev: 1 });
      expect(feed.tally(post.id)).to.include({ votes: 0, rev: 2 });
      expect(told.at(-1), 'for who shows it since the last event').to.include({ post_id: post.id, rev: 2 });
    });

  it('tracks a post that was wanted before it could be seen, once it can be', async () => {
    const { id } = await writer.posts.create({ title: 'a draft', content: '', published: false });
    const [there = 0] = await write(1);
    const { feed } = listen({ tallies: 'tracked' });
    await feed.ready();
    feed.track(id);
    feed.track(there);
    await until('the answer', () => feed.tally(there) !== undefined);
    await writer.posts.update(id, { published: true });
    await until('the post', () => feed.tally(id) !== undefined);
    await writer.votes.cast(id);
    await until('the vote is heard', () => feed.tally(id)?.votes === 1);
  });

  it('tracks a post for as long as anybody wants it, also over a lost connection', async () => {
    const [id = 0, other = 0] = await write(2);
    const heard = listen({ tallies: 'tracked' });
    await heard.feed.ready();
    const seen: number[] = [];
    const first = heard.feed.track(id, ({ votes }) => seen.push(votes));
    const second = heard.feed.track(id);
    await until('the tally as it stands', () => seen.length === 1);
    first();
    first();
    await writer.votes.cast(id);
    await until('the second still hears', () => heard.feed.tally(id)?.votes === 1);
    expect(seen).to.deep.equal([0]);
    proxy.cut();
    await writer.votes.takeBack(id);
    await until('what changed meanwhile', () => heard.feed.tally(id)?.votes === 0);
    await writer.votes.cast(id);
    await until('and what changes from then on', () => heard.feed.tally(id)?.votes === 1);
    second();
    // Once untracked the post is silent; another one that is tracked proves that the road is open.
    heard.feed.track(other);
    await until('the other is tracked', () => heard.feed.tally(other) !== undefined);
    await writer.votes.takeBack(id);
    await writer.votes.cast(other);
    await until('the other is heard', () => heard.feed.tally(other)?.votes === 1);
    expect(heard.feed.tally(id)?.votes).to.equal(1);
  });

  it('tracks two thousand posts in a handful of messages', async () => {
    const ids = await write(3);
    const heard = listen({ tallies: 'tracked' });
    heard.feed.on('refused', (error) => {
      throw error;
    });
    await heard.feed.ready();
    let answers = 0;
    proxy.drops = (frame) => {
      if (frame.startsWith('43')) answers += 1;
      return false;
    };
    for (let postId = 1; postId <= 2000; postId += 1) heard.feed.track(postId);
    await until('their tallies are there', () => ids.every((id) => heard.feed.tally(id) !== undefined));
    await until('all are asked for', () => answers >= 4);
    expect(answers).to.equal(4);
    await writer.votes.cast(ids[2]!);
    await until('the vote is heard', () => heard.feed.tally(ids[2]!)?.votes === 1);
  });

  it('counts in mode count, and hands on what it counted when it is live again', async () => {
    const heard = listen({ mode: 'count' });
    const { seq } = await heard.feed.ready();
    const counts: number[] = [];
    heard.feed.on('count', ({ behind }) => counts.push(behind));
    const ids = await write(3);
    await until('three are counted', () => counts.at(-1) === 3);
    expect(heard.feed.behind).to.equal(3);
    expect(heard.events).to.be.empty;
    proxy.cut();
    ids.push(...(await write(1)));
    await until('the fourth is counted, over another connection', () => counts.at(-1) === 4);
    await heard.feed.setMode('live');
    await expectCreated(heard, seq, ids);
    expect(heard.resets).to.be.empty;
  });

  it('passes over what lies in between if that is not wanted', async () => {
    const heard = listen();
    await heard.feed.ready();
    await heard.feed.setMode('off');
    await write(3, 'Unwanted');
    await caughtUp(world);
    await heard.feed.setMode('live', { skip: true });
    const after = heard.feed.position?.seq ?? NaN;
    await expectCreated(heard, after, await write(2));
    expect(proxy.opened).to.equal(1);
  });

  it('says a mode again that the server had no time for', async () => {
    const heard = listen();
    await heard.feed.ready();
    // More than a connection may ask at once.
    await Promise.all(
      Array.from({ length: 60 }, (_, at) => heard.feed.setMode(at % 2 === 0 ? 'off' : 'live')),
    );
    const after = heard.feed.position?.seq ?? NaN;
    await expectCreated(heard, after, await write(2));
    expect(proxy.opened, 'over the same connection').to.equal(1);
  });

  it('passes over nothing that comes after it was live again, where the connection ends before the answer', async () => {
    const heard = listen();
    await heard.feed.ready();
    await heard.feed.setMode('off');
    await write(2, 'Unwanted');
    await caughtUp(world);
    proxy.drops = (frame) => {
      if (!frame.startsWith('43')) return false;
      setTimeout(() => proxy.cut(), 0);
      proxy.drops = () => false;
      return true;
    };
    await heard.feed.setMode('live', { skip: true });
    await until(
      'it is live over another connection',
      () => proxy.opened === 2 && heard.feed.status.state === 'live',
    );
    const after = heard.feed.position?.seq ?? NaN;
    await expectCreated(heard, after, await write(2));
  });

  it('tells a connection the token that came while it was being made', async () => {
    const account = { email: 'renewed@example.org', password: PASSWORD };
    const client = createClient({ url: proxy.url });
    await client.signUp(account);
    const before = new Api(world.url, await client.session.accessToken());
    const { body: tokens } = await world.anonymous.post<Tokens>('/login', account);
    let renewed = false;
    proxy.drops = (frame) => {
      // It has been let in with the token of before, and does not know it yet.
      if (frame.startsWith('40')) client.session.begin(tokens);
      renewed ||= frame.startsWith('43') && frame.includes('expires_at');
      return false;
    };
    const feed = client.feed(QUICK);
    open.push(feed);
    const { seq } = await feed.ready();
    await until('it has been told', () => renewed);
    expect((await before.post('/logout')).status).to.equal(204);
    await write(1);
    await until('it hears on', () => feed.position?.seq === seq + 1);
    expect(proxy.opened, 'over the same connection').to.equal(1);
  });

  it('does not wait for a node that ends the connection during the handshake', async () => {
    const dying = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    let came = 0;
    dying.on('connection', (socket) => {
      came += 1;
      // Before Engine.IO's first word, and after it.
      if (came % 2 === 0) socket.send('0{"sid":"a","upgrades":[],"pingInterval":10000,"pingTimeout":10000}');
      socket.terminate();
    });
    await once(dying, 'listening');
    const { port } = dying.address() as AddressInfo;
    const feed = createClient({ url: `http://127.0.0.1:${port}`, storage: session }).feed({
      ...QUICK,
      transports: ['websocket'],
      after: 0,
    });
    open.push(feed);
    await until('it has tried again and again', () => came > 4, 15_000);
    feed.close();
    dying.close();
  });

  it('asks again for the tallies that it tracks when the database is an older one', async () => {
    const [id = 0] = await write(1);
    const heard = listen({ tallies: 'tracked' });
    await heard.feed.ready();
    heard.feed.track(id);
    await writer.votes.cast(id);
    await writer.votes.takeBack(id);
    await until('the tally of now', () => heard.feed.tally(id)?.rev === 2);
    await world.pool.query(`
      with head as (update feed_head set epoch = gen_random_uuid())
      update post_tallies set votes = 1, rev = 1 where post_id = ${id}`);
    await until('the reset', () => heard.resets.length === 1);
    await until('the tally of then', () => heard.feed.tally(id)?.rev === 1);
    expect(heard.tallies.at(-1)).to.deep.equal({ post_id: id, votes: 1, replies: 0, rev: 1 });
  });

  it('is told of another numbering also when it wants nothing of what was', async () => {
    const heard = listen();
    await heard.feed.ready();
    const before = heard.feed.position?.epoch;
    await heard.feed.setMode('off');
    proxy.refusing = true;
    proxy.cut();
    await until('it is offline', () => heard.feed.status.state !== 'live');
    await heard.feed.setMode('live', { skip: true });
    await world.pool.query(`update feed_head set epoch = gen_random_uuid()`);
    await until('the node to know', () => world.ctx.feed.epoch !== before);
    proxy.refusing = false;
    await until('the reset', () => heard.resets.length === 1);
    expect(heard.resets[0]).to.include({ reason: 'epoch_changed', epoch: world.ctx.feed.epoch });
    expect(heard.feed.position).to.deep.equal({ epoch: world.ctx.feed.epoch, seq: world.ctx.feed.seq });
  });
});

describe('many feeds', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  it('hears the same in twenty clients of one process, through cuts', async () => {
    const proxy = await createFrameProxy(world.url);
    const writer = createClient({ url: world.url });
    const { id: ownerId } = await writer.signUp({ email: 'writer@example.org', password: PASSWORD });
    const session = memoryStorage();
    await createClient({ url: world.url, storage: session }).signUp({
      email: 'reader@example.org',
      password: PASSWORD,
    });
    const feeds = Array.from({ length: 20 }, () =>
      createClient({ url: proxy.url, storage: session }).feed({ ...QUICK, after: 0 }),
    );
    try {
      const heard = feeds.map((feed) => {
        const events: string[] = [];
        feed.on('event', ({ seq, name, data }) => events.push(`${seq} ${name} ${postIdOf(data)}`));
        return events;
      });
      await Promise.all(feeds.map((feed) => feed.ready()));
      for (let at = 0; at < 40; at += 1) {
        await writer.posts.create({ title: `Post ${at}`, content: '' });
        if (at % 10 === 5) proxy.cut();
      }
      await until('all have heard all', () => heard.every((events) => events.length >= 40));
      for (const events of heard) expect(events).to.deep.equal(heard[0]);
      expect(heard[0]).to.have.lengthOf(40);
      expect((await writer.posts.list({ ownerId, limit: 100 })).posts).to.have.lengthOf(40);
    } finally {
      for (const feed of feeds) feed.close();
      await proxy.close();
    }
  });

  it('refuses to wait for a feed that has ended', async () => {
    const client = createClient({ url: world.url });
    const feed = client.feed();
    const error = await refusal(feed.ready());
    expect(error.message).to.contain('logged-out');
    expect(feed.status).to.deep.equal({ state: 'ended', reason: 'logged-out' });
    const reader = feed[Symbol.asyncIterator]();
    expect(await reader.next()).to.deep.equal({ done: true, value: undefined });
  });
});
