import { expect } from 'chai';
import express from 'express';
import jwt from 'jsonwebtoken';
import type { Server } from 'node:http';
import pg from 'pg';
import { io } from 'socket.io-client';
import { addressKey } from '../server/limits/address-key.ts';
import { clientAddress } from '../server/http/client-address.ts';
import { endRawClients, openMute, RawClient } from './support/raw-client.ts';
import { rawRequest } from './support/raw-request.ts';
import { readyOf, refusalOf } from './support/sockets.ts';
import { caughtUp } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, logIn, type TestSocket, type TestUser, type World } from './support/world.ts';

const SECRET = 'a secret of a test that is long enough';
const ORIGIN = 'https://app.example.org';

describe('the handshake of a socket', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld({ JWT_SECRET: SECRET, CORS_ORIGINS: ORIGIN });
    alice = await world.user('alice');
  });
  after(() => world.close());

  /** Sockets that Socket.IO keeps between a CONNECT and its answer. */
  const halfOpen = () =>
    (world.server.service.gateway.io.of('/') as unknown as { _preConnectSockets: Map<string, unknown> })
      ._preConnectSockets.size;

  const nothingLeft = () =>
    until('nothing to be left', () => {
      const { gateway, ctx } = world.server.service;
      return gateway.size === 0 && ctx.connections.size === 0 && halfOpen() === 0;
    });

  /** A stock client that begins with long-polling, as one does behind a proxy that knows no WebSocket. */
  const polling = (transports: string[]): TestSocket =>
    io(world.url, { auth: { token: alice.token }, transports, forceNew: true });

  /** The claims of a real token of hers, changed. */
  const forge = (change: object, secret = SECRET, options: jwt.SignOptions = {}) => {
    const claims = jwt.decode(alice.token) as Record<string, unknown>;
    return jwt.sign({ ...claims, ...change }, secret, options);
  };

  describe('is refused with a problem object', () => {
    it('without a token', async () => {
      for (const auth of [{}, { token: '' }]) {
        const problem = await refusalOf(world.socket(auth));
        expect(problem).to.include({ status: 401, type: 'urn:tidings:problem:unauthorized' });
        expect(problem.detail).to.be.a('string').and.not.empty;
      }
    });

    it('with every fault of its fields at once', async () => {
      const auth = {
        token: alice.token,
        after: -1,
        epoch: 'x',
        tallies: 'some',
        feed: 'loud',
        password: 'x',
      } as object;
      const problem = await refusalOf(world.socket(auth));
      expect(problem.status).to.equal(422);
      const faulty = problem.errors?.map(({ loc }) => loc.join('.'));
      expect(faulty).to.have.members([
        'auth.after',
        'auth.epoch',
        'auth.tallies',
        'auth.feed',
        'auth.password',
      ]);
    });

    it('with a position that is text, a fraction or beyond what a number can say', async () => {
      for (const after of ['5', 1.5, 2 ** 60, false, [1]]) {
        const problem = await refusalOf(world.socket({ token: alice.token, after } as object));
        expect(problem.status, JSON.stringify(after)).to.equal(422);
        expect(problem.errors?.[0]?.loc).to.deep.equal(['auth', 'after']);
      }
    });

    it('with a token that is not an access token of ours', async () => {
      const seconds = Math.floor(Date.now() / 1000);
      const tokens = {
        garbage: 'garbage',
        'two parts': alice.token.split('.').slice(0, 2).join('.'),
        expired: forge({ exp: seconds - 1 }),
        'wrong key': forge({}, 'another secret that is long enough too'),
        'another algorithm': forge({}, SECRET, { algorithm: 'HS512' }),
        'no algorithm': jwt.sign(jwt.decode(alice.token) as object, '', { algorithm: 'none' }),
        'no end': jwt.sign({ sub: String(alice.id), use: 'access', iss: 'tidings', aud: 'tidings' }, SECRET),
        'another audience': forge({ aud: 'others' }),
        'another use': forge({ use: 'refresh' }),
        'a refresh token': alice.refreshToken,
        'nobody as its subject': forge({ sub: '1.5' }),
        'an unknown session': forge({ sid: '00000000-0000-4000-8000-000000000000' }),
        "somebody else's session": forge({ sub: String(alice.id + 1) }),
        'more than any token': 'x'.repeat(3000),
      };
      for (const [what, token] of Object.entries(tokens)) {
        const problem = await refusalOf(world.socket({ token }));
        expect(problem.status, what).to.equal(401);
      }
    });

    it('with a token whose session has ended, although it was let in a moment ago', async () => {
      const session = await logIn(world.url, alice);
      const socket = world.socket({ token: session.token });
      await readyOf(socket);
      await session.post('/logout');
      expect((await refusalOf(world.socket({ token: session.token }))).status).to.equal(401);
    });

    it('when its session ends while it is looked up', async () => {
      const session = await logIn(world.url, alice);
      const { connections } = world.ctx;
      const before = connections.countOf(alice.id);
      const client = new pg.Client({ connectionString: world.databaseUrl });
      await client.connect();
      try {
        await client.query('begin');
        await client.query('lock table sessions in access exclusive mode');
        const refusal = refusalOf(world.socket({ token: session.token }));
        await until('the look-up', () => connections.countOf(alice.id) === before + 1);
        connections.endSessions({ userId: alice.id, sessionId: null, exceptSessionId: null });
        await client.query('rollback');
        expect((await refusal).status).to.equal(401);
      } finally {
        await client.end();
      }
      await nothingLeft();
    });
  });

  it('without anything but a token follows the feed from now, live, with all tallies', async () => {
    await alice.post('/posts', { title: 'before', content: '' });
    await caughtUp(world);
    const socket = world.socket({ token: alice.token });
    const ready = await readyOf(socket);
    expect(ready).to.include({ outcome: 'current', user_id: alice.id, epoch: world.ctx.feed.epoch });
    const titles: string[] = [];
    let tallied = 0;
    socket.on('post:created', (post) => titles.push(post.title ?? ''));
    socket.on('votes', (tallies) => (tallied += tallies.length));
    const { body: post } = await alice.post<{ id: number }>('/posts', { title: 'after', content: '' });
    await alice.put(`/posts/${post.id}/vote`);
    await until('the event and the tally', () => titles.length > 0 && tallied > 0);
    expect(titles).to.deep.equal(['after']);
    socket.disconnect();
  });

  it('gives one connection one socket at most, however often it asks', async () => {
    const { gateway } = world.server.service;
    await nothingLeft();
    let most = 0;
    const client = await RawClient.open(world.url);
    for (let ask = 0; ask < 100; ask += 1) client.send(`40${JSON.stringify({ token: alice.token })}`);
    await until('the connection to be closed', () => {
      most = Math.max(most, gateway.size);
      return client.closed;
    });
    expect(most).to.be.at.most(1);
    expect(client.frames.filter((frame) => frame.startsWith('40')).length).to.be.at.most(1);
    await nothingLeft();
  });

  it('gives one connection one socket also when it asks again after it has been let in', async () => {
    const client = await RawClient.join(world.url, { token: alice.token });
    client.send(`40${JSON.stringify({ token: alice.token })}`);
    await until('the connection to be closed', () => client.closed);
    await nothingLeft();
  });

  it('may be tried three times on one connection and no more', async () => {
    const client = await RawClient.open(world.url);
    for (let ask = 0; ask < 3; ask += 1) client.send('40{"token":"wrong"}');
    await until('three refusals', () => client.frames.filter((frame) => frame.startsWith('44')).length === 3);
    expect(client.closed).to.be.false;
    client.send(`40${JSON.stringify({ token: alice.token })}`);
    await until('the connection to be closed', () => client.closed);
    await nothingLeft();
  });

  it('leaves nothing behind when the client goes away in the middle of it', async () => {
    for (let round = 0; round < 30; round += 1) {
      const client = await RawClient.open(world.url);
      client.send(`40${JSON.stringify({ token: alice.token, after: 0 })}`);
      if (round % 3 === 0) client.ws.close();
      else if (round % 3 === 1) client.terminate();
      else setTimeout(() => client.terminate(), round / 3);
      await until('the close', () => client.closed);
    }
    await nothingLeft();
  });

  it('has five seconds, after which the connection is ended, even one that ignores the closing handshake', async () => {
    const watch = new Stopwatch();
    const polite = await RawClient.open(world.url);
    const stranger = await RawClient.open(world.url);
    stranger.send('40/elsewhere,{}');
    const mute = await openMute(world.url);
    await until('the end of all three', () => polite.closed && stranger.closed && mute.closed(), 8000);
    expect(watch.passed).to.be.at.least(4500);
    expect(watch.ran).to.be.below(7000);
    expect(world.server.service.gateway.io.engine.clientsCount).to.equal(0);
  });

  it('is followed by the end of the connection when the client leaves the namespace', async () => {
    const client = await RawClient.join(world.url, { token: alice.token });
    client.send('41');
    await until('the connection to be closed', () => client.closed, 4000);
    await nothingLeft();
  });

  it('does not survive a frame above 16 KiB, before it or after it', async () => {
    const early = await RawClient.open(world.url);
    early.send(`40${JSON.stringify({ token: 'x'.repeat(17_000) })}`);
    await until('the close', () => early.closed);
    expect(early.closeCode).to.equal(1009);
    const late = await RawClient.join(world.url, { token: alice.token });
    late.emit('track', { post_ids: [1], more: 'x'.repeat(17_000) });
    await until('the close', () => late.closed);
    expect(late.closeCode).to.equal(1009);
    await nothingLeft();
  });

  describe('of a browser', () => {
    const outcome = async (origin: string) => {
      const client = new RawClient(world.url, { Origin: origin });
      await until('an answer', () => client.closed || client.frames.length > 0);
      const open = !client.closed;
      client.terminate();
      return open;
    };

    it('is refused from an origin that is not allowed', async () => {
      for (const origin of ['https://evil.example.org', 'http://app.example.org', 'null', 'nonsense']) {
        expect(await outcome(origin), origin).to.be.false;
      }
      const polled = await fetch(`${world.url}/socket.io/?EIO=4&transport=polling`, {
        headers: { origin: 'https://evil.example.org' },
      });
      expect(polled.status).to.equal(403);
    });

    it('is let in from an origin on the list, and from our own page', async () => {
      expect(await outcome(ORIGIN)).to.be.true;
      expect(await outcome(world.url)).to.be.true;
    });
  });

  it('works over long-polling, and the connection upgrades to a WebSocket without losing an event', async () => {
    const socket = polling(['polling', 'websocket']);
    const used = new Set<string>();
    socket.io.on('open', () => used.add(socket.io.engine.transport.name));
    const seqs: number[] = [];
    socket.on('post:created', (_post, { seq }) => seqs.push(seq));
    const ready = await readyOf(socket);
    let writing = true;
    let written = 0;
    const writer = (async () => {
      while (writing) {
        await alice.post('/posts', { title: `post ${written}`, content: '' });
        written += 1;
      }
    })();
    await until('the upgrade', () => socket.io.engine.transport.name === 'websocket');
    expect([...used]).to.deep.equal(['polling']);
    await until('some posts more', () => seqs.length > 20);
    writing = false;
    await writer;
    await until('all posts', () => seqs.length >= written);
    expect(seqs).to.deep.equal(Array.from({ length: written }, (_, at) => ready.seq + 1 + at));
    socket.disconnect();
  });

  it('works over long-polling alone', async () => {
    const socket = polling(['polling']);
    const titles: string[] = [];
    socket.on('post:created', (post) => titles.push(post.title ?? ''));
    await readyOf(socket);
    await alice.post('/posts', { title: 'polled', content: '' });
    await until('the event', () => titles.length > 0);
    const answer = await new Promise((resolve) => socket.emit('feed:mode', { mode: 'count' }, resolve));
    expect(answer).to.deep.include({ ok: true });
    expect(socket.io.engine.transport.name).to.equal('polling');
    socket.disconnect();
    await nothingLeft();
  });
});

describe('the places for sockets', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld({ MAX_CONNECTIONS: '480', TRUST_PROXY: 'loopback' }, undefined, undefined, {
      // All of them have to be here at once, on a busy machine too.
      handshake: 8000,
    });
    alice = await world.user('alice');
  });
  after(() => world.close());

  const knock = (address: string) =>
    rawRequest<{ detail: string }>(world.url, {
      path: '/socket.io/?EIO=4&transport=polling',
      headers: { 'x-forwarded-for': `198.51.100.1, ${address}` },
    });
  const refused = async (reason: string) => {
    const { values } = await world.ctx.metrics.handshakesRefused.get();
    return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  };

  it('are not all taken by one address that does not say who it is', async () => {
    // Who has said it no longer counts.
    const known: RawClient[] = [];
    // Not more at once than may be unauthenticated clients, until the first look at the session has been answered.
    for (const together of [1, 50, 50, 29])
      known.push(
        ...(await Promise.all(
          Array.from({ length: together }, () =>
            RawClient.join(world.url, { token: alice.token, feed: 'off' }),
          ),
        )),
      );
    const knocks = await Promise.all(Array.from({ length: 130 }, () => knock('203.0.113.1')));
    expect(knocks.filter(({ status }) => status === 200)).to.have.lengthOf(120);
    for (const { status, body, headers } of knocks.filter((one) => one.status !== 200)) {
      expect(status).to.equal(429);
      expect(body.detail).to.equal('This address has too many unauthenticated connections.');
      expect(headers.get('retry-after')).to.equal('5');
    }
    expect(await refused('crowded')).to.equal(10);
    expect((await knock('203.0.113.2')).status).to.equal(200);
    expect((await RawClient.join(world.url, { token: alice.token })).closed).to.be.false;
    // When their time is up they are gone, and so is what was counted.
    await until('room', async () => (await knock('203.0.113.1')).status === 200);
    for (const client of known) expect(client.closed).to.be.false;
    endRawClients();
  });

  it('leave room for requests, and for no more than there may be files', () => {
    const { httpServer } = world.server.service.gateway.io as unknown as { httpServer: Server };
    expect(httpServer.maxConnections).to.equal(2480);
  });
});

it('an IPv4 address is counted as one however it is written, and an IPv6 address with its /64', () => {
  const keys = (...addresses: string[]) => [...new Set(addresses.map(addressKey))];
  expect(
    keys('1.2.3.4', '1.2.3.4:567', '::ffff:1.2.3.4', '::FFFF:102:304', '[0:0:0:0:0:ffff:102:304]:567'),
  ).to.deep.equal(['1.2.3.4']);
  expect(keys('64:ff9b::1.2.3.4', '64:ff9b::102:304', '64:ff9b:1:a::1.2.3.4')).to.deep.equal(['1.2.3.4']);
  expect(keys('64:ff9b::1.2.3.5', '::ffff:1.2.3.6')).to.deep.equal(['1.2.3.5', '1.2.3.6']);
  expect(keys('2001:db8:0:1::1', '2001:DB8::1:2:3:4:5', '2001:0db8:0:1:ffff::%eth0')).to.deep.equal([
    '2001:db8:0:1',
  ]);
  expect(keys('::1', '::', '64:ff9b:2::1')).to.deep.equal(['0:0:0:0', '64:ff9b:2:0']);
});

it('an address is told apart before Express sees the request as it is by Express', () => {
  const ask = (trustProxy: boolean | number | string, forwarded?: string) => {
    const app = express().set('trust proxy', trustProxy);
    const req = Object.create(app.request) as express.Request;
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    Object.assign(req, { app, headers, socket: { remoteAddress: '127.0.0.1' } });
    return [clientAddress(trustProxy)(req), addressKey(req.ip ?? '')];
  };
  for (const trustProxy of [false, true, 0, 1, 2, 'loopback', '127.0.0.1,10.0.0.0/8'])
    for (const forwarded of [
      undefined,
      '',
      ' , ,',
      '203.0.113.7',
      '198.51.100.1, 203.0.113.7',
      '198.51.100.1,10.1.2.3 , ',
      'nonsense, 10.1.2.3',
      '2001:db8:0:1::1',
    ]) {
      const [ours, theirs] = ask(trustProxy, forwarded);
      expect(ours, `${trustProxy} ${forwarded}`).to.equal(theirs);
    }
});
