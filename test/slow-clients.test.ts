import { expect } from 'chai';
import type { Subscriber } from '../server/transports/socketio/subscriber.ts';
import { engineConnection, type EngineSocket } from '../server/library-internals/engine-connection.ts';
import { FAST_PATHS, FastPaths } from '../server/library-internals/fast-paths.ts';
import { appendPosts } from './support/append-sql.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { rawRequest } from './support/raw-request.ts';
import { firstFault } from './support/sockets.ts';
import { caughtUp } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** The most that may wait for one socket. Bytes. */
const BOUND = 256 * 1024;

describe('clients that do not read', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    // Those who send without having logged in are to be closed as slow, however long that takes.
    world = await createWorld({}, undefined, undefined, { handshake: 60_000 });
    alice = await world.user('alice');
  });
  afterEach(async () => {
    endRawClients();
    await until('all to be forgotten', () => world.server.service.gateway.size === 0);
  });
  // What the test before has written may not have its number yet.
  beforeEach(() => caughtUp(world));
  after(() => world.close());

  const head = () => world.ctx.feed.seq;

  /** Events of some ten kilobytes each, committed as another node would. */
  const flow = (many: number) =>
    world.ctx.db.share('service').query(`
      ${appendPosts(`select 'post:updated', 1000000 + n, json_build_object('id', 1000000 + n, 'title', 't', 'content', repeat('x', 10000),
        'published', true, 'created_at', '2026-01-01T00:00:00.000Z', 'updated_at', '2026-01-01T00:00:00.000Z', 'version', 1,
        'owner_id', 1, 'owner', json_build_object('id', 1, 'username', 'u'), 'votes', 0, 'rev', 0) from generate_series(1, ${many}) n`)}`);

  const subscribers = () =>
    [...world.server.service.gateway.io.of('/').sockets.values()].map((socket) => socket.data as Subscriber);
  const join = (auth: object = {}) =>
    RawClient.join(world.url, { token: alice.token, epoch: world.ctx.feed.epoch, ...auth });
  const slowClosed = async () => {
    const { values } = await world.ctx.metrics.sessionsClosed.get();
    return values.find(({ labels }) => labels.code === 'slow_consumer')?.value ?? 0;
  };

  it('are closed some ten seconds later, cost little until then and nobody else anything, and have no hole afterwards', async () => {
    const start = head();
    const [mute, chatty] = [await join(), await join()];
    const healthy = await join();
    const server = subscribers().slice(0, 2);
    // One answers pings all the same: Socket.IO alone would keep it forever.
    const pings = setInterval(() => chatty.send('3'), 1000);
    const ended = await slowClosed();
    let most = 0;
    let slow: Stopwatch | undefined;
    const watch = setInterval(() => {
      for (const subscriber of server) most = Math.max(most, subscriber.pending);
      if (server.every(({ pending }) => pending > 64 * 1024)) slow ??= new Stopwatch();
    }, 5);
    try {
      mute.pause();
      chatty.pause();
      const before = process.memoryUsage().arrayBuffers;
      await flow(1200);
      await until('the healthy client to have all', () => healthy.seqs().length === 1200);
      expect(firstFault(healthy.seqs(), start)).to.be.undefined;
      await until('the slow ones to fill their queues', () => slow !== undefined);
      while (server.some(({ ended }) => !ended)) {
        const { length } = healthy.events;
        await flow(1);
        await until('the healthy client', () => healthy.events.length > length);
        if (slow!.ran > 20_000) throw new Error('the slow ones are still there');
      }
      expect(slow!.passed).to.be.at.least(8000);
      expect(slow!.ran).to.be.at.most(14_000);
      expect(await slowClosed()).to.equal(ended + 2);
      expect(most).to.be.within(64 * 1024, BOUND);
      // No more than the ring keeps for everyone and the queues of two.
      expect(process.memoryUsage().arrayBuffers - before).to.be.below(64 * 1024 * 1024);
      // The TCP connections are gone on the server's side: what is read now ends.
      mute.resume();
      chatty.resume();
      await until('both connections to have ended', () => mute.closed && chatty.closed);
      for (const client of [mute, chatty]) {
        const seen = client.seqs();
        expect(firstFault(seen, start)).to.be.undefined;
        const position = seen.at(-1) ?? start;
        expect(position).to.be.below(head());
        const back = await join({ after: position });
        await until('the rest', () => back.seqs().at(-1) === head());
        expect(firstFault(back.seqs(), position)).to.be.undefined;
      }
    } finally {
      clearInterval(pings);
      clearInterval(watch);
    }
  });

  it('hear nothing of what waits for them any more once their session has ended', async () => {
    const bob = await world.user('bob');
    const client = await RawClient.join(world.url, { token: bob.token, epoch: world.ctx.feed.epoch });
    const [subscriber] = subscribers();
    client.pause();
    await flow(1000);
    await until('its queue to fill', () => subscriber!.pending > 64 * 1024);
    // Events of ten kilobytes each: the newest that were written to it have not left the node.
    const waiting = Math.floor(subscriber!.pending / 11_000);
    const { seq } = subscriber!;
    await bob.post('/logout');
    await until('the end of its session', () => subscriber!.ended, 2000);
    client.resume();
    await until('the end of its connection', () => client.closed);
    expect(waiting).to.be.at.least(5);
    expect(client.seqs().at(-1) ?? 0).to.be.at.most(seq - waiting);
  });

  it('for three seconds and then do, get everything once and in order', async () => {
    const start = head();
    const client = await join();
    const [subscriber] = subscribers();
    client.pause();
    await flow(1000);
    await until('its queue to fill', () => subscriber!.pending > 64 * 1024);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const flowing = flow(200);
    client.resume();
    await flowing;
    await until('all', () => client.seqs().length >= 1200);
    expect(firstFault(client.seqs(), start)).to.be.undefined;
    expect(client.closed).to.be.false;
    // It is live again, not merely caught up.
    await flow(1);
    await until('the next one', () => client.seqs().at(-1) === start + 1201);
    client.terminate();
  });

  it('again and again, by turns, have neither hole nor double', async () => {
    const start = head();
    const clients = await Promise.all(Array.from({ length: 8 }, () => join()));
    const turns = clients.map(async (client, at) => {
      for (let turn = 0; turn < 4; turn += 1) {
        client.pause();
        await new Promise((resolve) => setTimeout(resolve, 300 + at * 40));
        client.resume();
        await new Promise((resolve) => setTimeout(resolve, 100 * (turn + 1)));
      }
    });
    for (let batch = 0; batch < 10; batch += 1) {
      await flow(100);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await Promise.all(turns);
    for (const client of clients) {
      await until('all', () => client.seqs().length >= 1000);
      expect(firstFault(client.seqs(), start)).to.be.undefined;
    }
  });

  it('get on, wherever in a large batch the kernel stopped to take what they do not read', async () => {
    const start = head();
    const healthy = await join();
    const clients: RawClient[] = [];
    let written = 0;
    /** One batch, which has left for anyone who reads. */
    const batch = async (events: number) => {
      written += events;
      await flow(events);
      await until('the one who reads to have the batch', () => healthy.seqs().length === written);
    };
    for (let at = 0; at < 12; at += 1) {
      const client = await join({ after: start });
      await until('its beginning', () => client.seqs().length === written);
      client.pause();
      clients.push(client);
      await batch(2); // so that each has a little more room left than the one before
    }
    const paused = subscribers().slice(1);
    // Each batch is more than fits into a queue at once: the first part of it, and then what is left out of memory.
    while (!paused.every(({ pending }) => pending > 0)) await batch(25);
    for (const client of clients) client.resume();
    for (const client of clients) {
      await until('all', () => client.seqs().length >= written);
      expect(firstFault(client.seqs(), start)).to.be.undefined;
    }
    await batch(1);
    for (const client of clients) await until('the next one', () => client.seqs().at(-1) === start + written);
  });

  describe('what Socket.IO answers by itself', () => {
    /** Refused by Socket.IO with its own length and some. */
    const elsewhere = `40/${'x'.repeat(15_000)},`;
    /** Fewer than would fill the whole room between two looks. */
    const AT_ONCE = 8;
    const connections = () => {
      const engine = world.server.service.gateway.io.engine as unknown as {
        clients: Record<string, EngineSocket>;
      };
      return Object.values(engine.clients);
    };
    const fastPaths = new FastPaths({ wanted: FAST_PATHS, onFailed: () => undefined });
    const heaviest = () =>
      Math.max(0, ...connections().map((socket) => engineConnection(socket, fastPaths).pending));

    /** Asks and does not read until it is ended; the most that ever waited for it. */
    const provoke = async (send: () => unknown, gone: () => boolean) => {
      let most = 0;
      const began = Date.now();
      while (!gone() && Date.now() - began < 30_000) {
        for (let at = 0; at < AT_ONCE; at += 1) send();
        await new Promise((resolve) => setTimeout(resolve, 25));
        most = Math.max(most, heaviest());
      }
      expect(gone(), 'it is ended').to.be.true;
      return most;
    };

    it('is bounded for a socket that follows nothing', async () => {
      const client = await join({ feed: 'off', tallies: 'none' });
      const ended = await slowClosed();
      client.pause();
      const most = await provoke(
        () => client.send(elsewhere),
        () => world.server.service.gateway.size === 0,
      );
      expect(most).to.be.within(BOUND / 2, BOUND + AT_ONCE * 16_000);
      expect(await slowClosed()).to.equal(ended + 1);
    });

    it('is bounded for a connection that has not authenticated', async () => {
      const client = await RawClient.open(world.url);
      const ended = await slowClosed();
      client.pause();
      const most = await provoke(
        () => client.send(elsewhere),
        () => connections().length === 0,
      );
      expect(most).to.be.below(64 * 1024 + AT_ONCE * 16_000);
      expect(await slowClosed()).to.equal(ended + 1);
    });

    it('is bounded also where ws answers, to pings of its own', async () => {
      const client = await join({ feed: 'off', tallies: 'none' });
      client.pause();
      const payload = Buffer.alloc(125);
      let most = 0;
      for (
        let round = 0;
        round < 3000 && !client.closed && world.server.service.gateway.size > 0;
        round += 1
      ) {
        for (let at = 0; at < 500; at += 1) client.ws.ping(payload);
        await new Promise((resolve) => setImmediate(resolve));
        most = Math.max(most, heaviest());
      }
      expect(world.server.service.gateway.size).to.equal(0);
      expect(most).to.be.below(BOUND);
    });

    it('is bounded for a long-polling session that does not poll', async () => {
      const { body } = await rawRequest<string>(world.url, { path: '/socket.io/?EIO=4&transport=polling' });
      const { sid } = JSON.parse(body.slice(1)) as { sid: string };
      const path = `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
      let status = 200;
      for (let at = 0; at < 20 && status === 200; at += 1) {
        ({ status } = await rawRequest(world.url, { method: 'POST', path, body: elsewhere }));
        expect(heaviest()).to.be.below(64 * 1024 + 16_000);
      }
      expect(status).to.equal(400);
      expect(connections()).to.be.empty;
    });
  });

  it('are not followed by a leak when they go away during a replay', async () => {
    const start = head() - 800;
    for (let round = 0; round < 20; round += 1) {
      const client = await RawClient.open(world.url);
      client.send(`40${JSON.stringify({ token: alice.token, after: start })}`);
      await until('a part of the replay', () => client.seqs().length > 0);
      client.pause();
      setTimeout(() => client.terminate(), round * 5);
    }
    await until('nobody to be left', () => world.server.service.gateway.size === 0);
    expect(world.ctx.connections.size).to.equal(0);
  });
});
