import { expect } from 'chai';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { EventPage } from '../client/src/client.ts';
import { stickyServer } from '../server/cluster/sticky-sessions.ts';
import { watchConnections } from '../server/http/open-connections.ts';
import { serveInTurn } from '../server/http/pipelining.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { SECRET } from './faults/cluster.ts';
import { shortened } from './faults/population.ts';
import { writePost } from './support/posts.ts';
import { until } from './support/waiting.ts';
import { requestBytes, Wire } from './support/wire.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** A stream has a second to say its last words; then its connection is ended. Milliseconds. */
const LAST_WORDS = 1000;

describe('requests that share a connection with an unanswered one', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  const wires: Wire[] = [];

  before(async () => {
    world = await createWorld({ JWT_SECRET: SECRET });
  });
  beforeEach(async () => {
    ada = await world.user();
    bob = await world.user();
  });
  afterEach(async () => {
    for (const wire of wires.splice(0)) wire.end();
    await Promise.all([ada, bob].map((user) => user.post('/logout')));
    await until('everything to be let go', () => world.ctx.connections.size === 0);
  });
  after(() => world.close());

  const open = (...requests: string[]) => {
    const wire = new Wire(world.url);
    wires.push(wire);
    wire.send(requests.join(''));
    return wire;
  };
  /** A stream of ada's, and what stands behind it. */
  const behindStream = async (...requests: string[]) => {
    const wire = open(requestBytes('/events/stream', ada.token), ...requests);
    await until('the stream', () => wire.said.includes('200 OK'));
    return wire;
  };
  const answersOf = ({ said }: Wire) => said.split(/(?=HTTP\/1\.1 \d{3} )/).filter((answer) => answer !== '');
  const statusesOf = (wire: Wire) => answersOf(wire).map((answer) => Number(answer.slice(9, 12)));
  const bodyOf = (answer = '') => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as unknown;

  it('are looked at in their turn: what they are answered with is of that moment', async () => {
    const { head } = (await bob.get<EventPage>('/events')).body;
    const wire = await behindStream(
      requestBytes(`/events?after=${head}&wait=20`, bob.token),
      requestBytes('/posts', bob.token),
      requestBytes(`/events/stream?after=${head}`, bob.token),
    );
    const post = await writePost(bob);
    await until('the post', () => wire.said.includes(`"id":${post.id},`));
    expect(answersOf(wire)).to.have.lengthOf(1);
    // Neither a place nor the time of an answer is theirs yet.
    expect(world.ctx.connections.size).to.equal(1);
    expect(world.ctx.pendingResponses.count).to.equal(1);

    await ada.post('/logout');
    await until('the last stream', () => answersOf(wire)[3]?.includes(`"id":${post.id},`) === true);
    expect(statusesOf(wire)).to.deep.equal([200, 200, 200, 200]);
    const [first, poll, list] = answersOf(wire);
    expect(first).to.include('event: session:closed').and.include('"revoked"');
    expect((bodyOf(poll) as EventPage).events.map(({ seq }) => seq)).to.deep.equal([head + 1]);
    expect((bodyOf(list) as PostAnswer[])[0]?.id).to.equal(post.id);
    const next = await writePost(bob);
    await until('the next post', () => wire.said.includes(`"id":${next.id},`));
  });

  const endings: Record<string, () => { token: string; ended: () => Promise<unknown> }> = {
    'a logout': () => ({ token: bob.token, ended: () => bob.post('/logout') }),
    'the end of a token': () => {
      const { token, endsAt } = shortened(bob, 1500);
      return { token, ended: () => until('the end', () => Date.now() > endsAt) };
    },
  };
  for (const [what, end] of Object.entries(endings))
    it(`are refused in their turn after ${what}, which costs the one in front nothing`, async () => {
      const { token, ended } = end();
      const wire = await behindStream(
        requestBytes('/events/stream?after=0', token),
        requestBytes('/events?after=0&wait=20', token),
        requestBytes('/events', token),
        requestBytes('/posts', token),
        requestBytes('/events/stream', token, 'HEAD'),
      );
      await ended();
      const endedAt = Date.now();
      let written = 0;
      while (Date.now() < endedAt + 2 * LAST_WORDS) {
        const { id } = await writePost(ada);
        await until('the post', () => wire.said.includes(`"id":${id},`));
        written += 1;
      }
      expect(wire.said.split('event: post:created')).to.have.lengthOf(written + 1);
      expect(answersOf(wire)).to.have.lengthOf(1);
      await ada.post('/logout');
      await until('the other answers', () => answersOf(wire).length === 6);
      expect(statusesOf(wire)).to.deep.equal([200, 401, 401, 401, 401, 401]);
      expect(answersOf(wire)[0]).to.include('"revoked"');
      expect(wire.closed).to.be.false;
    });

  it('are opened behind a request that waits, when that has its answer', async () => {
    const wire = open(
      requestBytes('/events?wait=20', ada.token),
      requestBytes('/events?wait=20', bob.token),
      requestBytes('/events/stream', bob.token),
    );
    await until('the first', () => world.ctx.connections.size === 1);
    await writePost(ada);
    await until('its answer', () => wire.said.endsWith('}'));
    await until('the second', () => world.ctx.connections.size === 1);
    // It waits from when it has been let in, which is some time after it is counted.
    const written: number[] = [];
    await until('the stream', async () => {
      written.push((await writePost(ada)).id);
      return answersOf(wire).length === 3;
    });
    expect(statusesOf(wire)).to.deep.equal([200, 200, 200]);
    expect(answersOf(wire)[1]).to.match(new RegExp(`"id":(${written.join('|')}),`));
  });

  it('are not looked at when their client leaves before their turn', async () => {
    const post = await writePost(bob);
    const wire = await behindStream(
      requestBytes(`/posts/${post.id}`, bob.token, 'DELETE'),
      requestBytes('/events/stream', bob.token).repeat(30),
    );
    wire.end();
    await until('the stream to be let go', () => world.ctx.connections.size === 0);
    expect((await bob.get(`/posts/${post.id}`)).status).to.equal(200);
    expect(world.ctx.pendingResponses.count).to.equal(0);
  });

  it('are done at once where the one in front may wait for them, or where their body is too large to be kept', async () => {
    const content = 'a'.repeat(10_000).replaceAll('a', String.raw`\u0061`);
    const body = JSON.stringify({ title: 'Large', content: '' }).replace('""', `"${content}"`);
    const large =
      `POST /posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bob.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const stream = await behindStream(large);
    await until('the post', () => stream.said.includes('"title":"Large"'));

    const path = '/socket.io/?EIO=4&transport=polling';
    const hello = await bob.get<string>(path);
    const { sid } = JSON.parse(hello.body.slice(1)) as { sid: string };
    const packet = `40${JSON.stringify({ token: bob.token })}`;
    const polling = open(
      requestBytes(`${path}&sid=${sid}`, bob.token),
      `POST ${path}&sid=${sid} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${packet.length}\r\n\r\n${packet}`,
    );
    await until('both answers', () => answersOf(polling).length === 2);
    expect(answersOf(polling)[0]).to.include('40{"sid"');
    expect(polling.said.endsWith('ok')).to.be.true;
  });

  it('are not looked at before their turn by Socket.IO either: the session can be polled on another connection', async () => {
    const path = '/socket.io/?EIO=4&transport=polling';
    const hello = await bob.get<string>(path);
    const { sid } = JSON.parse(hello.body.slice(1)) as { sid: string };
    const wire = await behindStream(requestBytes(`${path}&sid=${sid}`, bob.token));
    const packets = bob.get<string>(`${path}&sid=${sid}`);
    await bob.request('POST', `${path}&sid=${sid}`, `40${JSON.stringify({ token: bob.token })}`, {
      'content-type': 'text/plain',
    });
    expect((await packets).body).to.include('40{"sid"');
    expect(answersOf(wire)).to.have.lengthOf(1);
  });

  it('are not answered in a WebSocket: an upgrade behind an unanswered request ends the connection', async () => {
    const upgrade =
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    const alone = open(requestBytes('/events', bob.token));
    await until('its answer', () => alone.said.endsWith('}'));
    alone.send(upgrade);
    await until('the WebSocket', () => alone.said.includes('101 Switching Protocols'));
    const wire = await behindStream();
    wire.send(requestBytes('/posts', bob.token) + upgrade);
    await until('the end', () => wire.closed);
    expect(statusesOf(wire)).to.deep.equal([200]);
  });

  it('are not read behind one that offers another protocol, which is answered over HTTP/1.1, body and all', async () => {
    const login = JSON.stringify({ email: bob.email, password: bob.password });
    const [h2c, webSocket] = ['Upgrade, HTTP2-Settings\r\nUpgrade: h2c', 'Upgrade\r\nUpgrade: websocket'];
    for (const offer of [h2c, webSocket])
      for (const [path, part, body] of [
        ['/login', '"access_token":', login],
        [`/posts`, '['],
        ['/socket.io/?EIO=4&transport=polling', '0{"sid"'],
      ] as const) {
        if (path.startsWith('/socket.io/') && offer === webSocket) continue;
        const wire = open(
          `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: ${offer}\r\n` +
            `Authorization: Bearer ${bob.token}\r\nContent-Type: application/json\r\n` +
            `${body === undefined ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body ?? ''}`,
          requestBytes('/posts', bob.token),
        );
        await until('the end', () => wire.closed);
        expect(statusesOf(wire), path).to.deep.equal([200]);
        expect(wire.said).to.include(part);
      }
  });

  it('are read no further than a bound while they wait, and all answered in the end', async () => {
    const many = 2000;
    const padding = 'x'.repeat(15_000);
    const wire = open(
      requestBytes('/events?wait=20', ada.token),
      `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: ${padding}\r\n\r\n`.repeat(many),
    );
    let before = Infinity;
    let unchanged = 0;
    await until('nothing more to be read', () => {
      unchanged = wire.tcp.writableLength === before ? unchanged + 1 : 0;
      before = wire.tcp.writableLength;
      return unchanged === 30;
    });
    expect(before).to.be.above(10_000_000);
    await writePost(ada);
    await until('all answers', () => answersOf(wire).length === many + 1);
    expect(new Set(statusesOf(wire))).to.deep.equal(new Set([200]));
  });
});

it('connections that have become WebSockets end with the others', async () => {
  const server = createServer();
  const endConnections = watchConnections(server);
  server.on('upgrade', (_req, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const wire = new Wire(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  wire.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await until('the upgrade', () => wire.said.includes('101'));
  server.close();
  endConnections();
  await until('the end', () => wire.closed);
});

describe('requests behind the last one that their connection was answered', () => {
  const servers: Server[] = [];
  const wires: Wire[] = [];

  afterEach(() => {
    for (const wire of wires.splice(0)) wire.end();
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  const serve = async (listener: RequestListener) => {
    const server = createServer({ keepAliveTimeout: 0, requireHostHeader: false }, listener);
    return listen(server);
  };
  const listen = async (server: Server) => {
    servers.push(server);
    const closePort = serveInTurn(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const open = (bytes: string) => {
      const wire = new Wire(url);
      wires.push(wire);
      wire.send(bytes);
      return wire;
    };
    return { server, closePort, open };
  };

  it('are forgotten with the connection', async () => {
    const responses: WeakRef<ServerResponse>[] = [];
    const { server, open } = await serve((_req, res) => res.setHeader('Connection', 'close').end());
    server.prependListener('request', (_req, res) => responses.push(new WeakRef(res)));
    const wire = open('GET / HTTP/1.1\r\n\r\n'.repeat(500));
    await until('the end of the connection', () => wire.closed);
    expect(responses).to.have.lengthOf.above(100);
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    await until('the responses to be gone', async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      gc();
      return responses.filter((response) => response.deref() !== undefined).length <= 1;
    });
  });

  it('keep no other connection open when the port closes', async () => {
    const answered: string[] = [];
    const { closePort, open } = await serve((req, res) => {
      answered.push(req.url ?? '');
      if (req.url !== '/never') res.end();
    });
    // A POST of Socket.IO does not wait for its turn.
    const gone = open('GET /never HTTP/1.1\r\n\r\nPOST /socket.io/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n');
    await until('both requests', () => answered.length === 2);
    gone.end();
    const idle = open('GET /idle HTTP/1.1\r\n\r\n');
    await until('the answer', () => idle.said.includes('200 OK'));
    let closed = false;
    void closePort().then(() => (closed = true));
    await until('the port to be closed', () => closed);
    expect(idle.closed).to.be.true;
  });

  it('are given up at the worker that they were forwarded to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-slots-'));
    const asked: string[] = [];
    const ended: string[] = [];
    const holder = createServer(({ method = '' }, res) => {
      asked.push(method);
      res.on('close', () => ended.push(method));
    });
    const inner = createServer();
    servers.push(holder, inner);
    try {
      await new Promise<void>((resolve) => holder.listen(join(folder, '2.sock'), resolve));
      const { open } = await listen(await stickyServer(inner, { number: 1, folder }, {}, () => false));
      const wire = open(
        'GET /socket.io/?sid=2.a HTTP/1.1\r\nHost: localhost\r\n\r\n' +
          'POST /socket.io/?sid=2.a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n4',
      );
      await until('both requests', () => asked.length === 2);
      wire.end();
      await until('their end', () => ended.length === 2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
