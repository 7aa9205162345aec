import { expect } from 'chai';
import type { Ready, Subscribed } from '../server/contract.ts';
import { append } from '../server/log/append.ts';
import { postCreated, postDeleted, postUpdated } from '../server/posts/events.ts';
import type { EventType } from '../server/topics/event-type.ts';
import { chainFault, eventsOf, listen, positionOf, type Told } from './support/chain.ts';
import { EventStream } from './support/event-stream.ts';
import { writePost } from './support/posts.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { firstFault, readyOf, refusalOf } from './support/sockets.ts';
import { caughtUp, execute, headOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestSocket, type TestUser, type World } from './support/world.ts';

const ids = (told: readonly Told[]) => eventsOf(told).map(({ id }) => id);

interface Post {
  id: number;
  owner: number;
  topics: string[];
  words: string;
}

/** Events of posts with whatever topics, through the door that all events take. */
const withTopics = (type: typeof postCreated | typeof postUpdated) =>
  ({
    ...type,
    topics: ({ topics }: Post) => topics,
    author: ({ owner }: Post) => owner,
    payload: ({ id, owner, words }: Post) => ({
      id,
      title: words,
      content: words,
      owner_id: owner,
      owner: { id: owner, username: `u${owner}` },
      published: true,
      created_at: '2030-01-01T12:00:00.000Z',
      published_at: '2030-01-01T12:00:00.000Z',
      updated_at: '2030-01-01T12:00:00.000Z',
      version: 1,
      votes: 0,
      rev: 0,
    }),
  }) as unknown as EventType<string, Post, object>;
const created = withTopics(postCreated);
const updated = withTopics(postUpdated);

describe('topics in a fan-out that is written socket by socket', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld({ WRITE_TIME_SLICE: '0ms' });
    alice = await world.user();
  });
  afterEach(endRawClients);
  after(() => world.close());

  it('bring everyone everything once and in order, also while some come, go or stop reading', async () => {
    const join = (more: object = {}) =>
      RawClient.join(world.url, { token: alice.token, topics: ['feed', `author:${alice.id}`], ...more });
    const staying = await Promise.all(Array.from({ length: 40 }, () => join()));
    const slow = await join();
    const start = world.ctx.feed.seq;
    const content = 'x'.repeat(8000);
    let writing = true;
    const writes = (async () => {
      let written = 0;
      for (; writing; written += 5)
        await Promise.all(Array.from({ length: 5 }, () => writePost(alice, { content })));
      return written;
    })();
    slow.pause();
    const passing: { client: RawClient; after: number }[] = [];
    for (let at = 0; at < 12; at += 1) {
      const after = Math.max(start, world.ctx.feed.seq - 7);
      passing.push({ client: await join({ after, epoch: world.ctx.feed.epoch }), after });
      if (at % 4 === 3) passing.shift()?.client.terminate();
    }
    writing = false;
    const end = start + (await writes);
    slow.resume();
    const all = [...[...staying, slow].map((client) => ({ client, after: start })), ...passing];
    await until('everything', () => all.every(({ client }) => client.seqs().at(-1) === end));
    for (const { client, after } of all) expect(firstFault(client.seqs(), after)).to.equal(undefined);
    expect(end).to.be.above(start);
  });
});

describe('topics', () => {
  let world: World;
  let alice: TestUser;
  let bob: TestUser;
  let carol: TestUser;
  let ids0 = 1_000_000;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    bob = await world.user('bob');
    carol = await world.user('carol');
  });
  after(() => world.close());

  /** Appends the event of a post with these topics. */
  async function tell(topics: string[], more: Partial<Post> = {}, type = created): Promise<Post> {
    const post = { id: (ids0 += 1), owner: bob.id, words: 'words', topics, ...more };
    await world.ctx.db.transaction((tx) => append(tx, type, post));
    return post;
  }

  async function join(
    topics: string[],
    more: { after?: number; user?: TestUser } = {},
  ): Promise<{ socket: TestSocket; told: Told[]; ready: Ready; from: number }> {
    const { user = alice, ...position } = more;
    const socket = world.socket({ token: user.token, topics, ...position });
    const told = listen(socket);
    const ready = await readyOf(socket);
    return { socket, told, ready, from: position.after ?? ready.seq };
  }

  const follow = (who: TestUser, whom: TestUser, on = true) =>
    who.request<{ seq: number }>(on ? 'PUT' : 'DELETE', `/users/${whom.id}/follow`);

  /** Waits until a socket has been told of everything there is. */
  async function heardAll(...sockets: { told: Told[]; from: number }[]): Promise<void> {
    const head = await headOf(world);
    await until('everything', () => sockets.every(({ told, from }) => positionOf(told, from) >= head));
    for (const { told, from } of sockets) expect(chainFault(told, from)).to.equal(undefined);
  }

  describe('of a connection', () => {
    it('are what it hears, each event once however many of them it has, and nothing else', async () => {
      const thread = await join(['thread:7']);
      const many = await join(['thread:7', 'tag:coffee', `author:${bob.id}`, 'feed']);
      const nothing = await join(['thread:8']);
      const none = await join([]);
      const all = await join(['public']);
      const posts = [
        await tell(['feed', `author:${bob.id}`, 'thread:7', 'tag:coffee']),
        await tell([`author:${carol.id}`, 'thread:9'], { owner: carol.id }),
        await tell([`author:${bob.id}`, 'thread:7']),
        await tell(['feed', `author:${carol.id}`], { owner: carol.id }),
      ].map(({ id }) => id);
      await heardAll(thread, many, nothing, none, all);
      expect(ids(thread.told)).to.deep.equal([posts[0], posts[2]]);
      expect(ids(many.told)).to.deep.equal([posts[0], posts[2], posts[3]]);
      expect(ids(nothing.told)).to.deep.equal([]);
      expect(ids(none.told)).to.deep.equal([]);
      expect(ids(all.told)).to.deep.equal(posts);
    });

    it('are replayed from a position, by whatever is cheapest, and continue live', async () => {
      const { seq } = await join(['public']).then(({ ready }) => ready);
      const first = await tell(['thread:17', 'tag:tea']);
      await tell(['thread:18']);
      const second = await tell(['tag:tea']);
      await caughtUp(world);
      const both = await join(['thread:17', 'tag:tea'], { after: seq });
      const quiet = await join(['thread:19'], { after: seq });
      expect(both.ready.outcome).to.equal('replayed');
      expect(quiet.ready).to.include({ outcome: 'current', seq: await headOf(world) });
      const third = await tell(['thread:17']);
      await heardAll(both, quiet);
      expect(ids(both.told)).to.deep.equal([first.id, second.id, third.id]);
      expect(ids(quiet.told)).to.deep.equal([]);
    });

    it('that are none are refused by name', async () => {
      for (const [topics, wrong] of [
        [['home', 'friends'], 1],
        [['thread:0'], 0],
        [['thread:1e3'], 0],
        [['thread:'], 0],
        [['author:-1'], 0],
        [['tag:#'], 0],
        [['tag:a b'], 0],
        [['tag:a,b'], 0],
        [['TAG:a'], 0],
        [['__proto__'], 0],
      ] as const) {
        const problem = await refusalOf(world.socket({ token: alice.token, topics: [...topics] }));
        expect(problem.status).to.equal(422);
        expect(problem.errors?.[0]?.loc).to.deep.equal(['auth', 'topics', wrong]);
        expect(problem.detail).to.match(/must be public, feed, home/);
      }
      const mixed = await refusalOf(world.socket({ token: alice.token, topics: ['public', 'feed'] }));
      expect(mixed.detail).to.match(/must not name "public" beside other topics/);
      const many = Array.from({ length: 101 }, (_, at) => `thread:${at + 1}`);
      const tooMany = await refusalOf(world.socket({ token: alice.token, topics: many }));
      expect(tooMany.status).to.equal(422);
      const { ready } = await join(many.slice(1));
      expect(ready.outcome).to.equal('current');
    });

    it('name a tag in any of its forms', async () => {
      const tag = await join(['tag:ＣＯＦＦＥＥ']);
      const { id } = await tell(['tag:coffee']);
      await heardAll(tag);
      expect(ids(tag.told)).to.deep.equal([id]);
    });

    it('that an event leaves are told its departure, and those that it keeps or enters the event', async () => {
      const left = await join(['tag:old']);
      const kept = await join(['tag:old', 'tag:kept']);
      const entered = await join(['tag:new']);
      const all = await join(['public']);
      const from = await headOf(world);
      const post = { id: (ids0 += 1), owner: bob.id, words: 'now new', topics: ['tag:kept', 'tag:new'] };
      const departure = {
        topics: ['tag:old'],
        name: postDeleted.name,
        data: postDeleted.payload({ id: post.id, owner_id: bob.id }),
      };
      await world.ctx.db.transaction((tx) => append(tx, updated, post, departure));
      await heardAll(left, kept, entered, all);
      const again = await join(['tag:old'], { after: from });
      await heardAll(again);
      for (const { told } of [left, again])
        expect(eventsOf(told)).to.deep.include.members([
          { seq: from + 1, prev: eventsOf(told)[0]?.prev, name: 'post:deleted', id: post.id },
        ]);
      for (const { told } of [kept, entered, all])
        expect(eventsOf(told).map(({ name, seq }) => [name, seq])).to.deep.equal([
          ['post:updated', from + 1],
        ]);
    });
  });

  describe('home', () => {
    it('is oneself and whom one follows, from the event of the follow on until that of its end', async () => {
      const dave = await world.user();
      const home = await join(['home'], { user: dave });
      const start = home.ready.seq;
      const heard: number[] = [];
      await writePost(bob);
      const { body: added } = await follow(dave, bob);
      heard.push((await writePost(bob)).id);
      heard.push((await writePost(dave)).id);
      await writePost(carol);
      await tell([`author:${bob.id}`, 'thread:1']);
      const { body: removed } = await follow(dave, bob, false);
      await writePost(bob);
      await heardAll(home);
      const posts = eventsOf(home.told).filter(({ name }) => name === 'post:created');
      expect(posts.map(({ id }) => id)).to.deep.equal(heard);
      expect(posts[0]?.seq).to.be.above(added.seq);
      expect(eventsOf(home.told).map(({ name }) => name)).to.deep.equal([
        'follow:added',
        'post:created',
        'post:created',
        'follow:removed',
      ]);
      expect(eventsOf(home.told).at(-1)?.seq).to.equal(removed.seq);
      // The same afterwards, though by now nobody is followed.
      const later = await join(['home'], { user: dave, after: start });
      await heardAll(later);
      expect(eventsOf(later.told).map(({ seq }) => seq)).to.deep.equal(
        eventsOf(home.told).map(({ seq }) => seq),
      );
    });

    it('is that of all sockets of a user, and a later one needs no look at the database', async () => {
      const erin = await world.user();
      await follow(erin, bob);
      const one = await join(['home'], { user: erin });
      const two = await join(['home', 'tag:tea'], { user: erin });
      await follow(erin, carol);
      const heard = [(await writePost(bob)).id, (await writePost(carol)).id];
      await heardAll(one, two);
      for (const { told } of [one, two])
        expect(
          eventsOf(told)
            .filter(({ name }) => name === 'post:created')
            .map(({ id }) => id),
        ).to.deep.equal(heard);
    });
  });

  describe('over HTTP', () => {
    it('are the same for a page of events, a long-poll and a stream', async () => {
      const from = await headOf(world);
      const stream = await EventStream.open(alice, `?topics=thread:27,tag:mate&after=${from}`);
      const waiting = alice.get<{ events: { seq: number; data: { id: number } }[]; head: number }>(
        `/events?after=${from}&wait=10&topics=thread:27`,
      );
      await tell(['thread:28']);
      const first = await tell(['thread:27']);
      const second = await tell(['tag:mate']);
      expect((await waiting).body.events.map(({ data }) => data.id)).to.deep.equal([first.id]);
      const told = await stream.take(2);
      stream.close();
      expect(told.map(({ data }) => (JSON.parse(data) as { id: number }).id)).to.deep.equal([
        first.id,
        second.id,
      ]);
      const page = await alice.get<{ events: { data: { id: number } }[] }>(
        `/events?after=${from}&topics=thread:27&topics=tag:mate`,
      );
      expect(page.body.events.map(({ data }) => data.id)).to.deep.equal([first.id, second.id]);
      const empty = await alice.get<{ events: unknown[]; head: number }>(
        `/events?after=${from}&topics=thread:29`,
      );
      expect(empty.body).to.deep.include({ events: [], head: await headOf(world) });
      expect((await alice.get(`/events?topics=thread:x`)).status).to.equal(422);
      expect((await alice.get(`/events?topics=public,feed`)).status).to.equal(422);
    });

    it('answer a wait in which nothing came with the position up to which there was nothing', async () => {
      // On a busy machine a wait may be over before the node has the event: then a longer one is tried.
      for (const wait of [1, 5, 30]) {
        const from = await headOf(world);
        let isOver = false;
        const waiting = alice
          .get<{ events: unknown[]; head: number }>(`/events?after=${from}&wait=${wait}&topics=thread:37`)
          .finally(() => (isOver = true));
        await tell(['thread:38']);
        const head = await caughtUp(world);
        const cameInTime = !isOver;
        const { body } = await waiting;
        if (!cameInTime && wait < 30) continue;
        expect(body).to.deep.include({ events: [], head });
        break;
      }
    });
  });

  describe('of an open connection', () => {
    type Answer = { ok: true; data: Subscribed } | { ok: false; error: { status: number; detail: string } };
    /** @param onAnswer is called before anything that comes after the answer is told, which may be in the same packet */
    const subscribe = (
      socket: TestSocket,
      topics: string[],
      from?: number,
      onAnswer: (answer: Answer) => void = () => undefined,
    ): Promise<Answer> =>
      new Promise((resolve) =>
        socket.emit('subscribe', { topics, ...(from !== undefined && { from }) }, (answer: Answer) => {
          onAnswer(answer);
          resolve(answer);
        }),
      );

    it('grow by a topic whose events since a position are in the answer, and no other', async () => {
      const held = await join(['thread:47']);
      const before = await tell(['thread:48']);
      const from = await headOf(world);
      const missed = await tell(['thread:48', 'thread:47']);
      await tell(['thread:49']);
      await heardAll(held);
      const answer = await subscribe(held.socket, ['thread:48'], from);
      expect(answer.ok && answer.data.events.map(({ data }) => (data as { id: number }).id)).to.deep.equal([
        missed.id,
      ]);
      const live = await tell(['thread:48']);
      await heardAll(held);
      expect(ids(held.told)).to.deep.equal([missed.id, live.id]);
      expect(ids(held.told)).not.to.include(before.id);
    });

    it('shrink: nothing of a topic comes after the answer', async () => {
      const held = await join(['thread:57', 'thread:58']);
      const left = await new Promise((resolve) =>
        held.socket.emit('unsubscribe', { topics: ['thread:57', 'thread:1'] }, resolve),
      );
      expect(left).to.deep.equal({ ok: true, data: { topics: ['thread:58'] } });
      await tell(['thread:57']);
      const { id } = await tell(['thread:58']);
      await heardAll(held);
      expect(ids(held.told)).to.deep.equal([id]);
    });

    it('are not mixed with everything public, and bounded', async () => {
      const all = await join(['public']);
      const refused = await subscribe(all.socket, ['thread:1']);
      expect(!refused.ok && refused.error).to.deep.include({ status: 422 });
      expect(!refused.ok && refused.error.detail).to.match(/everything public/);
      const full = await join(Array.from({ length: 100 }, (_, at) => `thread:${at + 1}`));
      expect((await subscribe(full.socket, ['thread:100'])).ok).to.equal(true);
      const tooMany = await subscribe(full.socket, ['thread:101']);
      expect(!tooMany.ok && tooMany.error).to.deep.include({ status: 422 });
      expect((await subscribe(full.socket, ['public'])).ok).to.equal(false);
      expect((await subscribe(full.socket, [])).ok).to.equal(false);
    });

    it('are reset, each by itself, where more came than an answer holds', async () => {
      const from = await headOf(world);
      await execute(
        world,
        `insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
         select 'post:deleted', 'post', 2000000 + n, 'public', '{thread:67}', 'all', '{}', json_build_object('id', n)
         from generate_series(1, 501) n`,
      );
      const few = await tell(['thread:68']);
      await caughtUp(world);
      const held = await join(['thread:69']);
      const answer = await subscribe(held.socket, ['thread:67', 'thread:68'], from);
      expect(answer.ok && answer.data.reset).to.deep.equal(['thread:67']);
      expect(answer.ok && answer.data.events.map(({ data }) => (data as { id: number }).id)).to.deep.equal([
        few.id,
      ]);
      const live = await tell(['thread:67']);
      await heardAll(held);
      expect(ids(held.told)).to.deep.equal([live.id]);
    });

    it('lose nothing and get nothing twice under any interleaving of writes, lists and subscriptions', async () => {
      const held = await join([], { user: carol });
      const threads = Array.from({ length: 24 }, (_, at) => `thread:${700 + at}`);
      let writing = true;
      const threadOf = new Map<number, string>();
      const writes = Array.from({ length: 4 }, async (_, writer) => {
        for (let at = writer; writing; at += 5) {
          const thread = threads[at % threads.length]!;
          const id = (ids0 += 1);
          threadOf.set(id, thread);
          await tell([thread], { id });
        }
      });
      const heard = new Map<string, number[]>(threads.map((thread) => [thread, []]));
      held.socket.on('post:created', ({ id }, { seq }) => heard.get(threadOf.get(id)!)?.push(seq));
      const since = new Map<string, number>();
      await Promise.all(
        threads.map(async (thread, at) => {
          await until('some more events', () => threadOf.size >= at * 2);
          // Where a list stood.
          const from = Math.max(0, world.ctx.feed.seq - at * 2);
          since.set(thread, from);
          const stream = heard.get(thread)!;
          let early: number[] = [];
          const answer = await subscribe(held.socket, [thread], from, (given) => {
            early = [...stream];
            if (given.ok) stream.push(...given.data.events.map(({ seq }) => seq));
          });
          if (!answer.ok) throw new Error(answer.error.detail);
          // None of it came in the stream before the answer.
          expect(early).to.deep.equal([]);
        }),
      );
      writing = false;
      await Promise.all(writes);
      await heardAll(held);
      const log = await rows<{ seq: number; thread: string }>(
        world,
        'select seq, topics[1] as thread from event_log order by seq',
      );
      let total = 0;
      for (const thread of threads) {
        const own = log.filter((row) => row.thread === thread && row.seq > since.get(thread)!);
        expect(heard.get(thread), thread).to.deep.equal(own.map(({ seq }) => seq));
        total += own.length;
      }
      expect(total).to.be.above(0);
    });
  });
});
