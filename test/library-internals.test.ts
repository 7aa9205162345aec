import { expect } from 'chai';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Socket } from 'socket.io';
import { io } from 'socket.io-client';
import { FAST_PATHS, type FastPath } from '../server/library-internals/fast-paths.ts';
import { type Checked, selfCheck } from '../server/library-internals/self-check.ts';
import { textFrame } from '../server/library-internals/text-frame.ts';
import { encodeEvent, encodeMessage } from '../server/transports/socketio/encoding.ts';
import type { Subscriber } from '../server/transports/socketio/subscriber.ts';
import { readSources } from './support/import-graph.ts';
import { undocumentedUses } from './support/library-members.ts';
import { postEntry } from './support/log-entries.ts';
import { type LogLine, logLines } from './support/log-lines.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { firstFault } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const FENCE = 'server/library-internals/';

/** A message of the server that one client is to acknowledge. The service itself asks for none. */
function ask(socket: object, expiresAt: string): Promise<unknown> {
  return (socket as Socket).emitWithAck('session:expiring', { expires_at: expiresAt });
}

const FIRST = '2030-01-01T00:00:00.000Z';
const SECOND = '2031-01-01T00:00:00.000Z';
/** The number of the question that a client was asked. */
async function questionOf(client: RawClient, expiresAt: string): Promise<string> {
  const question = () => client.frames.find((frame) => frame.includes(expiresAt));
  await until('the question', () => question() !== undefined);
  return /^42(\d+)/.exec(question()!)![1]!;
}

describe('what libraries do not document', () => {
  it('is used in one folder alone', async () => {
    const sources = await readSources(join(import.meta.dirname, '..'), ['server', 'models', 'load']);
    const uses = [...sources]
      .filter(([path]) => !path.startsWith(FENCE))
      .flatMap(([path, text]) => undocumentedUses(path, text).map((use) => `${path} uses ${use}`));
    expect(uses).to.deep.equal([]);
    const fenced = [...sources].filter(([path]) => path.startsWith(FENCE));
    expect(fenced.flatMap(([path, text]) => undocumentedUses(path, text))).to.include.members([
      '_socket',
      'writeBuffer',
      'connectionParameters',
    ]);
  });

  for (const [use, text] of [
    ['_socket', 'webSocket._socket.write(bytes);'],
    ['_socket', `(webSocket as unknown as { _socket: Socket })`],
    ['_invalid', `if ('_invalid' in connection) return;`],
    ['_events', `emitter['_events'] = {};`],
    ['_sender', 'const { _sender: sender } = webSocket;'],
    ['writeBuffer', 'const { writeBuffer } = conn;'],
    ['connectionParameters', `client.connectionParameters.options = '';`],
    ['Sender', `import { Sender } from 'ws';`],
    ['Sender', 'ws.Sender.frame(data, options);'],
    ['prototype', 'Socket.prototype.emit = function () {};'],
    ['trust proxy fn', `app.get('trust proxy fn');`],
    ['engine.io/build/socket.js', `import { Socket } from 'engine.io/build/socket.js';`],
  ] as const)
    it(`would be seen in: ${text}`, () => {
      expect(undocumentedUses('server/http/planted.ts', text)).to.include(use);
    });
});

describe('the self-check of the fast paths', () => {
  /** What is found wrong with libraries of which something was changed. */
  const faultsWith = async (change?: string) => {
    const preload = new URL(`./support/changed-libraries.ts?${change}`, import.meta.url);
    const faults = await selfCheck(['pg', ...FAST_PATHS], change === undefined ? undefined : preload.href);
    return Object.fromEntries(faults) as Partial<Record<Checked, string>>;
  };

  it('finds nothing wrong with the libraries that are installed', async () => {
    expect(await faultsWith()).to.deep.equal({});
    expect(await faultsWith('nothing'), 'with a module that changes nothing').to.deep.equal({});
  });

  for (const [change, name, fault] of [
    ['a queue that Engine.IO keeps elsewhere', 'direct-writes', /in the queue/],
    ['a WebSocket without its connection', 'direct-writes', /frame is written/],
    ['a queue of bytes that is not told', 'direct-writes', /counted|property/],
    ['a request that pings need', 'slim-connections', /needs its request/],
    ['a driver that takes its address at once', 'pg', /address that was set/],
    ['a driver without its stream', 'pg', /reason of the cut/],
    ['rooms that are needed to leave', 'slim-connections', /rooms are gone/],
  ] as const)
    it(`does without what is used of ${name} for ${change}`, async () => {
      const faults = await faultsWith(encodeURIComponent(change));
      expect(faults[name]).to.match(fault);
    });

  it('tells those that could not be tried', async () => {
    const faults = await faultsWith('no%20server');
    expect(Object.keys(faults)).to.have.members(['pg', ...FAST_PATHS]);
  });
});

describe('a message', () => {
  it('is a Socket.IO packet in one frame, with its size in bytes', () => {
    const { packet, frame, size } = encodeMessage('feed:head', { seq: 7, prev: 7 });
    expect(packet).to.equal('2["feed:head",{"seq":7,"prev":7}]');
    expect(frame.subarray(2).toString()).to.equal(`4${packet}`);
    expect(size).to.equal(packet.length + 1);
    const entry = postEntry(3, { name: 'post:deleted', postId: 1 });
    const event = { entry, prev: 2 };
    expect(encodeEvent(event).packet).to.equal('2["post:deleted",{"id":1},{"seq":3,"prev":2}]');
    expect(encodeEvent(event)).to.equal(encodeEvent({ entry, prev: 2 }));
    expect(encodeEvent({ entry, prev: 1 }).packet).to.equal('2["post:deleted",{"id":1},{"seq":3,"prev":1}]');
    expect(encodeMessage('votes', [{ post_id: 1, votes: 1, replies: 0, rev: 1 }]).size).to.be.above(20);
  });

  it('has the header that RFC 6455 wants for its length, and memory of its own', () => {
    for (const [length, header] of [
      [0, [0x81, 0]],
      [125, [0x81, 125]],
      [126, [0x81, 126, 0, 126]],
      [65_535, [0x81, 126, 255, 255]],
      [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
    ] as const) {
      const frame = textFrame('x'.repeat(length));
      expect([...frame.subarray(0, header.length)]).to.deep.equal(header);
      expect(frame.length).to.equal(header.length + length);
      expect(frame.buffer.byteLength).to.equal(frame.length);
    }
    expect([...textFrame('\u20ac')]).to.deep.equal([0x81, 3, 0xe2, 0x82, 0xac]);
  });
});

/** How the service runs: with the fast paths, with one of them, and with what the libraries document alone. */
for (const fastPaths of ['on', 'direct-writes', 'slim-connections', 'off'])
  describe(`a connection with FAST_PATHS=${fastPaths}`, () => {
    const log = logLines();
    const uses = (name: FastPath) => fastPaths === 'on' || fastPaths === name;
    let world: World;
    let alice: TestUser;

    before(async () => {
      world = await createWorld({ FAST_PATHS: fastPaths }, undefined, log.read);
      alice = await world.user('alice');
    });
    afterEach(async () => {
      endRawClients();
      await until('the sockets to be forgotten', () => world.server.service.gateway.size === 0);
      expect(world.server.service.gateway.io.of('/').sockets.size).to.equal(0);
      expect(warnings()).to.deep.equal([]);
    });
    after(() => world.close());

    const warnings = (): LogLine[] => log.all().filter(({ level, fast_path }) => level > 30 && fast_path);
    /** The server's side of the newest connection. */
    const serverSide = () => [...world.server.service.gateway.io.of('/').sockets.values()].at(-1)!;
    const post = (title: string) => alice.post('/posts', { title, content: 'x' });

    it('gets every event once and in order, over a WebSocket and over polling that is upgraded', async () => {
      const start = world.ctx.feed.seq;
      const clients = await Promise.all(
        Array.from({ length: 5 }, () => RawClient.join(world.url, { token: alice.token })),
      );
      const seqs: number[] = [];
      const stock = io(world.url, { transports: ['polling', 'websocket'], auth: { token: alice.token } });
      try {
        stock.on('post:created', (_post: unknown, { seq }: { seq: number }) => seqs.push(seq));
        await until('it is admitted', () => stock.connected);
        await Promise.all(Array.from({ length: 30 }, (_, at) => post(`one ${at}`)));
        await until('the upgrade', () => stock.io.engine.transport.name === 'websocket');
        // The client is there before the server.
        await until(
          'its request to be released, or kept',
          () => (serverSide().conn.request === undefined) === uses('slim-connections'),
        );
        await Promise.all(Array.from({ length: 30 }, (_, at) => post(`two ${at}`)));
        const all = () => [seqs, ...clients.map((client) => client.seqs())];
        await until('everything', () => all().every(({ length }) => length === 60));
        for (const one of all()) expect(firstFault(one, start)).to.be.undefined;
      } finally {
        stock.close();
      }
    });

    it('that does not read is counted, falls behind, and has everything in order afterwards', async () => {
      const start = world.ctx.feed.seq;
      const client = await RawClient.join(world.url, { token: alice.token });
      const subscriber = serverSide().data as Subscriber;
      expect(subscriber.pending).to.equal(0);
      client.pause();
      let written = 0;
      for (; subscriber.pending <= 64 * 1024 && written < 3000; written += 20)
        await Promise.all(
          Array.from({ length: 20 }, () =>
            alice.post('/posts', { title: 't', content: '\u20ac'.repeat(10_000) }),
          ),
        );
      expect(subscriber.pending).to.be.within(64 * 1024, 256 * 1024);
      client.resume();
      await until('everything', () => client.seqs().length === written);
      expect(firstFault(client.seqs(), start)).to.be.undefined;
      await until('nothing to wait for it', () => subscriber.pending === 0);
    });

    it('is answered, also when it asks with its number', async () => {
      const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
      client.emit('track', { post_ids: [] }, 5);
      expect(await client.acknowledged(5)).to.deep.equal({ ok: true, data: { tallies: [] } });
      client.send('421e3["track",{"post_ids":[]}]');
      await until('the end of what sends an illegal number', () => client.closed);
    });

    it('answers what the server asks it, and nothing that is asked of another', async () => {
      const [one, other] = [
        await RawClient.join(world.url, { token: alice.token, feed: 'off' }),
        await RawClient.join(world.url, { token: alice.token, feed: 'off' }),
      ];
      const sides = [...world.server.service.gateway.io.of('/').sockets.values()];
      const answers = sides.map((socket) => ask(socket, FIRST));
      const ids = [await questionOf(one, FIRST), await questionOf(other, FIRST)];
      one.send(`43${ids[1]}["of another"]`);
      other.send(`43${ids[0]}["of another"]`);
      one.send(`43${ids[0]}["one"]`);
      other.send(`43${ids[1]}["other"]`);
      expect(await Promise.all(answers)).to.deep.equal(['one', 'other']);
      // The end of one leaves what is asked of another.
      const asked = ask(sides[1]!, SECOND);
      one.terminate();
      await until('one to be forgotten', () => world.server.service.gateway.size === 1);
      other.send(`43${await questionOf(other, SECOND)}["still here"]`);
      expect(await asked).to.equal('still here');
    });

    it('hears nothing more when its session has ended', async () => {
      const bob = await world.user();
      const client = await RawClient.join(world.url, { token: bob.token });
      await post('before');
      await until('an event', () => client.seqs().length === 1);
      expect((await bob.post('/logout')).status).to.equal(204);
      await until('the end', () => client.closed);
      expect(client.heard('session:closed')).to.have.lengthOf(1);
      expect(client.events.at(-1)?.name).to.equal('session:closed');
    });

    if (uses('slim-connections'))
      it('lets go of the request that it came with, and of what hangs on it', async () => {
        const { io: server } = world.server.service.gateway;
        let request: WeakRef<object> | undefined;
        server.engine.once(
          'connection',
          (conn: { request: object }) => (request = new WeakRef(conn.request)),
        );
        const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
        expect(request, 'the request of the handshake').to.be.an.instanceOf(WeakRef);
        expect(serverSide().handshake).to.deep.include({ auth: {}, headers: {}, query: {}, url: '' });
        setFlagsFromString('--expose-gc');
        const collectGarbage = runInNewContext('gc') as () => void;
        await until('it is collected', () => {
          collectGarbage();
          return request?.deref() === undefined;
        });
        (serverSide().data as Subscriber).write(encodeMessage('feed:head', { seq: 97, prev: 97 }));
        await until('a frame all the same', () => client.heard('feed:head').length > 0);
      });
  });

describe('a fast path that fails while the service runs', () => {
  const log = logLines();
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, log.read);
    alice = await world.user('alice');
  });
  afterEach(endRawClients);
  after(() => world.close());

  const warnings = () => log.all().filter(({ level, fast_path }) => level > 30 && fast_path);
  const sockets = () => [...world.server.service.gateway.io.of('/').sockets.values()];
  const fail = () => {
    throw new Error('planted');
  };

  it('closes that one connection, is logged once, and new connections take the public API', async () => {
    const start = world.ctx.feed.seq;
    const [broken, healthy] = [
      await RawClient.join(world.url, { token: alice.token }),
      await RawClient.join(world.url, { token: alice.token }),
    ];
    const { transport } = sockets()[0]!.conn as unknown as { transport: { socket: object } };
    Object.defineProperty(transport.socket, 'bufferedAmount', { get: fail });
    await alice.post('/posts', { title: 'one', content: 'x' });
    await until('the end of the broken one', () => broken.closed);
    const back = await RawClient.join(world.url, {
      token: alice.token,
      after: broken.seqs().at(-1) ?? start,
      epoch: world.ctx.feed.epoch,
    });
    await alice.post('/posts', { title: 'two', content: 'x' });
    await until('the second post', () => healthy.seqs().length === 2);
    await until('both posts', () => broken.seqs().length + back.seqs().length === 2);
    expect(firstFault(healthy.seqs(), start)).to.be.undefined;
    expect(firstFault([...broken.seqs(), ...back.seqs()], start)).to.be.undefined;
    expect(warnings().map(({ fast_path }) => fast_path)).to.deep.equal(['direct-writes']);
    expect(warnings()[0]?.libraries).to.have.keys(
      'socket.io',
      'engine.io',
      'socket.io-parser',
      'socket.io-adapter',
      'ws',
      'pg',
    );
    expect((await world.ctx.metrics.fastPathsFailed.get()).values[0]?.value).to.equal(1);
  });

  it('closes the connection that could not be made smaller, and leaves the next as they are', async () => {
    const { adapter } = world.server.service.gateway.io.of('/');
    const delAll = adapter.delAll.bind(adapter);
    adapter.delAll = () => {
      adapter.delAll = delAll;
      fail();
    };
    const client = await RawClient.open(world.url);
    client.send(`40${JSON.stringify({ token: alice.token })}`);
    await until('the server to have met it', () => warnings().length === 2);
    await until('its end', () => client.closed);
    expect(warnings()[1]?.fast_path).to.equal('slim-connections');
    const next = await RawClient.join(world.url, { token: alice.token });
    expect(sockets().at(-1)!.conn.request).to.not.equal(undefined);
    next.emit('track', { post_ids: [] }, 1);
    expect(await next.acknowledged(1)).to.deep.include({ ok: true });
  });
});
