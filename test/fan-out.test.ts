import { expect } from 'chai';
import type { Socket as TcpSocket } from 'node:net';
import type { Follower } from '../server/log/follower.ts';
import type { LogEntry } from '../server/log/reader.ts';
import { RingBuffer } from '../server/log/ring-buffer.ts';
import type { BatchView } from '../server/delivery/batch.ts';
import type { RelationSource } from '../server/delivery/relation-memory.ts';
import { Delivery } from '../server/delivery/delivery.ts';
import { type Encoded, encodeMessage, framesOf, Run } from '../server/transports/socketio/encoding.ts';
import { Subscription } from '../server/topics/subscription.ts';
import { TimeSlices } from '../server/delivery/time-slices.ts';
import type { Subscriber } from '../server/transports/socketio/subscriber.ts';
import type { Greeting } from '../server/delivery/subscriber.ts';
import { TallyDelivery } from '../server/transports/socketio/tally-delivery.ts';
import { type EngineConnection, engineConnection } from '../server/library-internals/engine-connection.ts';
import { FAST_PATHS, FastPaths } from '../server/library-internals/fast-paths.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { firstFault } from './support/sockets.ts';
import { type PostEvent, postEntry } from './support/log-entries.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('what falls together', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
  });
  afterEach(async () => {
    endRawClients();
    await until('the sockets to be forgotten', () => world.server.service.gateway.size === 0);
  });
  after(() => world.close());

  /** The server's side of the newest connection. */
  function serverSide(): {
    subscriber: Subscriber;
    connection: EngineConnection;
    tcp: TcpSocket;
    transport: { writable: boolean };
  } {
    const socket = [...world.server.service.gateway.io.of('/').sockets.values()].at(-1)!;
    const { transport } = socket.conn as unknown as {
      transport: { writable: boolean; socket: { readyState: number; _socket: TcpSocket } };
    };
    // What the direct road looks at, in the versions that are installed.
    expect(transport.socket.readyState).to.equal(1);
    expect(transport.socket._socket.writableLength).to.equal(0);
    const connection = engineConnection(
      socket.conn,
      new FastPaths({ wanted: FAST_PATHS, onFailed: () => undefined }),
    );
    return { subscriber: socket.data as Subscriber, connection, tcp: transport.socket._socket, transport };
  }

  const heads = (from: number, count: number) =>
    new Run(
      Array.from({ length: count }, (_, at) =>
        encodeMessage('feed:head', { seq: from + at, prev: from + at }),
      ),
    );
  const heard = (client: RawClient) =>
    client.heard('feed:head').map(([head]) => (head as { seq: number }).seq);

  it('leaves in one write, past Engine.IO', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { subscriber, tcp, transport } = serverSide();
    await until('Engine.IO to be idle', () => transport.writable);
    let writes = 0;
    const write = tcp.write.bind(tcp);
    tcp.write = ((...args: Parameters<TcpSocket['write']>) => {
      writes += 1;
      return write(...args);
    }) as TcpSocket['write'];
    subscriber.writeRun(heads(1, 50), 10, 40);
    await until('all of it', () => heard(client).length === 30);
    expect(heard(client)).to.deep.equal(Array.from({ length: 30 }, (_, at) => 11 + at));
    expect(writes).to.equal(1);
  });

  it('keeps its order when Engine.IO is still writing, and when the client does not read', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { subscriber, transport, connection } = serverSide();
    await until('Engine.IO to be idle', () => transport.writable);
    client.pause();
    let seq = 0;
    for (let round = 0; round < 400 && subscriber.pending < 200_000; round += 1) {
      // One that only the public API takes, and then some that could take the direct one.
      connection.send(encodeMessage('feed:head', { seq: seq + 1, prev: seq + 1 }).packet);
      subscriber.writeRun(heads(seq + 2, 1000), 0, 1000);
      seq += 1001;
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(subscriber.pending).to.be.above(200_000);
    client.resume();
    await until('all of it', () => heard(client).length === seq);
    expect(firstFault(heard(client), 0)).to.be.undefined;
  });

  it('is shared by the sockets at the same place', () => {
    const run = heads(1, 4);
    expect(run.bytes(1, 4)).to.equal(run.bytes(1, 4));
    expect(run.bytes(0, 1)).to.equal(run.messages[0]?.frame);
  });

  it('comes in rounds under load, to every client everything once and in order', async () => {
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => RawClient.join(world.url, { token: alice.token })),
    );
    const start = world.ctx.feed.seq;
    await Promise.all(
      Array.from({ length: 120 }, (_, at) => alice.post('/posts', { title: `Post ${at}`, content: 'x' })),
    );
    const late = await RawClient.join(world.url, {
      token: alice.token,
      after: start,
      epoch: world.ctx.feed.epoch,
    });
    await until('everything', () => [...clients, late].every((client) => client.seqs().length >= 120));
    for (const client of [...clients, late]) {
      expect(client.seqs()).to.have.lengthOf(120);
      expect(firstFault(client.seqs(), start)).to.be.undefined;
    }
  });
});

describe('stretches', () => {
  it('do what fits into the first at once, and let others have their turn between two', async () => {
    const met: number[] = [];
    void new TimeSlices(60_000).each([1, 2, 3], (item) => met.push(item));
    expect(met).to.deep.equal([1, 2, 3]);

    const doings: string[] = [];
    const other = setInterval(() => doings.push('other'), 0);
    const worked = await new TimeSlices(5).each(['a', 'b', 'c', 'd'], (item) => {
      doings.push(item);
      const began = performance.now();
      while (performance.now() - began < 3);
    });
    clearInterval(other);
    expect(worked).to.be.at.least(12);
    expect(doings.join(' ')).to.match(/^a .*other.* d/);
  });

  it('meet of a set that changes meanwhile each that is still in it, once', async () => {
    const items = new Set([1, 2, 3, 4]);
    const met: number[] = [];
    await new TimeSlices(0).each(items, (item) => {
      met.push(item);
      if (item === 2) {
        setImmediate(() => items.delete(3));
        setImmediate(() => items.add(5));
      }
    });
    expect(met).to.deep.equal([1, 2, 4, 5]);
  });
});

describe('a round that is written socket by socket, with everything else between', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld({ WRITE_TIME_SLICE: '0ms' });
    alice = await world.user('alice');
  });
  afterEach(endRawClients);
  after(() => world.close());

  const join = (more: object = {}) => RawClient.join(world.url, { token: alice.token, ...more });

  it('reaches everyone once and in order, whoever comes, goes, or stops listening during it', async () => {
    const staying = await Promise.all(Array.from({ length: 60 }, () => join()));
    const start = world.ctx.feed.seq;
    let joined = 0;
    const writes = (async () => {
      let written = 0;
      for (; joined < 15; written += 5)
        await Promise.all(
          Array.from({ length: 5 }, () => alice.post('/posts', { title: 'a post', content: 'x' })),
        );
      return written;
    })();
    const passing: { client: RawClient; after: number }[] = [];
    for (; joined < 15; joined += 1) {
      const after = Math.max(start, world.ctx.feed.seq - 7);
      passing.push({ client: await join({ after, epoch: world.ctx.feed.epoch }), after });
      const fickle = await join({ feed: joined % 2 ? 'live' : 'off' });
      const mode = joined % 2 ? 'count' : 'live';
      fickle.emit('feed:mode', { mode }, 1);
      expect(await fickle.acknowledged(1))
        .to.deep.include({ ok: true })
        .and.to.have.nested.property('data.mode', mode);
      if (joined % 3 === 0) passing.shift()?.client.terminate();
      else if (joined % 3 === 1) fickle.terminate();
    }
    const end = start + (await writes);
    await until('everything', () =>
      [...staying, ...passing.map(({ client }) => client)].every((client) => client.seqs().at(-1) === end),
    );
    for (const client of staying) {
      expect(client.seqs()).to.have.lengthOf(end - start);
      expect(firstFault(client.seqs(), start)).to.be.undefined;
    }
    for (const { client, after } of passing) expect(firstFault(client.seqs(), after)).to.be.undefined;
  });

  /** The two that write, stretch by stretch, on a feed of the test's own, and what each socket was written. */
  function rig() {
    const heard: string[] = [];
    const listeners: {
      events?: (entries: PostEvent[]) => void;
      epoch?: (head: { seq: number }) => void;
      read?: () => void;
    } = {};
    const feed = {
      epoch: 'old',
      ring: new RingBuffer(0, 1000, 1e9),
      get seq(): number {
        return this.ring.last;
      },
      get remembered() {
        return this.ring.after(this.ring.floor);
      },
      /** Whether it has read the log just now. */
      isFresh: true,
      get knownAt(): number {
        return this.isFresh ? performance.now() : -Infinity;
      },
      wake: () => undefined,
      recent(after: number, limit?: number) {
        return this.ring.after(after, limit);
      },
      current(entry: LogEntry) {
        return this.ring.current(entry);
      },
      hasPassedSince(position: number) {
        return position >= this.ring.floor;
      },
      entryAt(seq: number) {
        return this.ring.at(seq);
      },
      on: (event: keyof typeof listeners, listener: () => void) => (listeners[event] = listener),
    };
    const options = { ...world.ctx, slices: new TimeSlices(0) };
    const tallies = new TallyDelivery({
      ...options,
      missedTallies: () => Promise.resolve({ tallies: [], incomplete: false }),
      end: () => undefined,
    });
    const nothing = () => Promise.reject(new Error('nothing is read from the log here'));
    const withoutAny: RelationSource['relations'] = (users) =>
      Promise.resolve({
        head: 0,
        rows: users.map(({ userId }) => ({
          userId,
          follows: [],
          blocks: [],
          blockedBy: [],
          mutes: [],
          moderatesSince: null,
        })),
      });
    const delivery = new Delivery({
      ...options,
      feed: feed as unknown as Follower,
      usesReplicas: false,
      readLog: nothing,
      probeLog: nothing,
      relationSource: { relations: withoutAny, followChanges: nothing },
    });
    return {
      heard,
      tallies,
      delivery,
      admit: async (
        name: string,
        greet: (greeting: Greeting) => void = () => undefined,
        subscription?: Subscription,
      ) => {
        const one = {
          subscription,
          feed: 'live',
          tallies: 'all',
          open: true,
          greeted: true,
          pending: 0,
          seq: 0,
          told: 0,
          held: 0,
          queued: [],
          standAt(seq: number) {
            Object.assign(this, { seq, told: seq });
          },
          identity: { id: 1 },
          greet,
          end: () => undefined,
          write: ({ packet }: Encoded) => heard.push(`${name}: ${packet}`),
          writeEvents: (view: BatchView, from: number, to: number) => {
            const { messages } = view.as(framesOf);
            heard.push(...messages.slice(from, to).map(({ packet }) => `${name}: ${packet}`));
            return to - from;
          },
        } as unknown as Subscriber;
        tallies.admit(one);
        if (subscription) delivery.enter(one);
        delivery.admit(one, undefined, undefined);
        // Its relations are looked up first; it has none.
        await new Promise((resolve) => setImmediate(resolve));
        return one;
      },
      remove: (one: Subscriber) => {
        delivery.remove(one);
        tallies.remove(one);
      },
      /** What the follower does with a batch. */
      take: (...events: PostEvent[]) => {
        const entries = events.map((event, at) => postEntry(feed.seq + 1 + at, { ...event, at: Date.now() }));
        for (const entry of entries) feed.ring.push(entry);
        listeners.events!(entries);
      },
      /** Whether the log can be read. */
      read: (isFresh: boolean) => {
        feed.isFresh = isFresh;
        listeners.read!();
      },
      renumber: () => {
        Object.assign(feed, { epoch: 'new', ring: new RingBuffer(0, 1000, 1e9) });
        listeners.epoch!({ seq: 0 });
        tallies.forget();
      },
    };
  }
  const created = (postId: number, content: string) =>
    ({
      name: 'post:created',
      postId,
      json: JSON.stringify({ id: postId, content, owner: { id: 1, username: 'alice' } }),
    }) as const;

  it('begins where the node stood when a subscriber came, however long its relations take', async () => {
    const { heard, admit, take } = rig();
    const greetings: Greeting[] = [];
    const coming = admit('new', (greeting) => greetings.push(greeting));
    take(created(1, 'written meanwhile'));
    expect(greetings).to.deep.equal([]);
    await coming;
    expect(greetings).to.deep.equal([{ epoch: 'old', seq: 0, outcome: 'current' }]);
    await until('the event', () => heard.length === 1);
    expect(heard[0]).to.match(/^new: 2\["post:created",.*written meanwhile/);
    take(created(2, 'written later'));
    await until('the next one', () => heard.length === 2);
  });

  it('ends where the numbering ends: anyone who comes in the new one hears nothing of the old, neither events nor tallies', async () => {
    const { heard, tallies, admit, remove, take, renumber } = rig();
    const old = await admit('old');
    take(created(1, 'old text'));
    const told = tallies.deliver([{ post_id: 1, votes: 9, replies: 0, rev: 9 }], false);
    expect(heard).to.have.lengthOf(2);
    renumber();
    remove(old);
    await admit('new');
    await told;
    expect(heard).to.have.lengthOf(2);

    take(created(1, 'new text'));
    await until('an event of the new one', () => heard.length === 3);
    expect(heard[2]).to.match(/^new: 2\["post:created",.*new text/);
    await tallies.deliver([{ post_id: 1, votes: 1, replies: 0, rev: 1 }], false);
    expect(heard[3]).to.equal('new: 2["votes",[{"post_id":1,"votes":1,"replies":0,"rev":1}]]');
  });

  it('tells nobody the text of a post once the node knows that it is deleted', async () => {
    const { heard, admit, take } = rig();
    await admit('first');
    await admit('second');
    take(created(1, 'a secret'), created(2, 'no secret'));
    expect(heard).to.have.lengthOf(2);
    take({ name: 'post:deleted', postId: 1, json: '{"id":1}' });
    await until('all three at both', () => heard.length === 6);
    expect(heard.filter((message) => message.includes('a secret'))).to.have.lengthOf(1);
    expect(heard.filter((message) => message.includes('no secret'))).to.have.lengthOf(2);
    expect(heard[2]).to.match(/^second: 2\["post:created",.*"redacted":true/);
    expect(heard.slice(4).map((message) => message.slice(0, 23))).to.deep.equal([
      'first: 2["post:deleted"',
      'second: 2["post:deleted',
    ]);
  });

  it('says first that a topic is given up, and then goes on without it', async () => {
    const { heard, delivery, admit, take } = rig();
    const topics = Subscription.of(['thread:1', 'thread:2']);
    await admit('first', undefined, topics);
    const second = await admit('second', undefined, topics);
    take({ ...created(11, 'one'), topics: ['thread:1'] }, { ...created(12, 'two'), topics: ['thread:2'] });
    // It has been handed neither; what comes ahead of the answer would say that there was nothing of the first thread.
    expect(heard.filter((message) => message.startsWith('second'))).to.deep.equal([]);
    expect(delivery.unsubscribe(second, ['thread:1'])).to.deep.equal(['thread:2']);
    expect(heard.filter((message) => message.startsWith('second'))).to.deep.equal([]);
    await until('what is left', () => heard.length === 3);
    expect(heard[2]).to.match(/^second: 2\["post:created",.*two/);
  });

  it('waits while the log has not been read for a second, and loses nothing', async () => {
    const { heard, admit, take, read } = rig();
    await admit('first');
    await admit('second');
    read(false);
    take(created(1, 'one'));
    take(created(2, 'two'));
    read(false);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(heard).to.deep.equal([]);
    read(true);
    await until('both events at both', () => heard.length === 4);
    expect(heard.filter((message) => message.includes('"prev":1'))).to.have.lengthOf(2);
  });

  it('is written whole to anyone who reads, however large, and from the same bytes', async () => {
    const { heard, admit, take } = rig();
    for (const name of ['first', 'second']) await admit(name);
    take(...Array.from({ length: 400 }, (_, at) => created(at, 'x'.repeat(1000))));
    // At one stretch each: anyone who was left behind would be served apart.
    expect(heard).to.have.lengthOf(400);
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).to.have.lengthOf(800);
    for (const name of ['first', 'second'])
      expect(
        heard
          .filter((message) => message.startsWith(name))
          .map((message) => Number(/"seq":(\d+)/.exec(message)?.[1])),
      ).to.deep.equal(Array.from({ length: 400 }, (_, at) => at + 1));
  });
});
