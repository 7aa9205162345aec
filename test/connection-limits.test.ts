import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Problem } from '../server/contract.ts';
import { createClient, type FeedStatus } from '../client/src/index.ts';
import { type EngineSocket, engineConnection } from '../server/library-internals/engine-connection.ts';
import type { FastPaths } from '../server/library-internals/fast-paths.ts';
import { Random } from './faults/random.ts';
import { expectProblem } from './support/problems.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { rawRequest } from './support/raw-request.ts';
import { until } from './support/waiting.ts';
import { Wire } from './support/wire.ts';
import { type Answer, createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const TOTAL = 30;
/** Of it: an eighth and a quarter. */
const PER_USER = 3;
const PER_ADDRESS = 7;

type Transport = 'socket' | 'stream' | 'poll';
const TRANSPORTS: readonly Transport[] = ['socket', 'stream', 'poll'];

/** What became of somebody who wanted a place. */
interface Outcome {
  /** 200 with a place. */
  status: number;
  problem?: Problem & { retry_after?: number };
  retryAfter?: string | undefined;
}

describe('the places for connections', () => {
  let world: World;
  let made = 0;
  let open: (() => void)[] = [];
  before(async () => {
    world = await createWorld({
      RATE_LIMITS: 'on',
      MAX_CONNECTIONS: String(TOTAL),
      TRUST_PROXY: 'loopback',
    });
  });
  afterEach(async () => {
    leave();
    await until('no place to be taken', () => world.ctx.connectionLimits.taken === 0);
    expect(world.ctx.connectionLimits.holders).to.equal(0);
  });
  after(() => world.close());

  function leave(): void {
    for (const close of open) close();
    open = [];
    endRawClients();
  }

  /** Somebody who signed up at an address of their own, so that sign-ups of one address are not what is counted. */
  async function user(): Promise<TestUser> {
    const headers = { 'x-forwarded-for': `203.0.${Math.floor((made += 1) / 250)}.${(made % 250) + 1}` };
    const name = `u${randomUUID().slice(0, 8)}`;
    const email = `${name}@example.org`;
    const account = await world.anonymous.post<{ id: number; email: string; username: string }>(
      '/users',
      { email, password: PASSWORD, username: name },
      headers,
    );
    expect(account.status).to.equal(201);
    return logIn(world.url, account.body);
  }
  const users = (many: number) => Promise.all(Array.from({ length: many }, user));

  function enter(transport: Transport, { token }: TestUser, address: string): Promise<Outcome> {
    return transport === 'socket' ? enterBySocket(token, address) : enterByRequest(transport, token, address);
  }

  async function enterBySocket(token: string, address: string): Promise<Outcome> {
    const client = new RawClient(world.url, { 'x-forwarded-for': address });
    let refusal: Outcome | undefined;
    client.ws.on('unexpected-response', (_req, res: IncomingMessage) => {
      void readAll(res).then((text) => {
        refusal = {
          status: res.statusCode ?? 0,
          problem: JSON.parse(text) as Problem,
          retryAfter: res.headers['retry-after'],
        };
        client.terminate();
      });
    });
    await until('an answer', () => client.frames.length > 0 || refusal !== undefined);
    if (refusal) return refusal;
    client.send(`40${JSON.stringify({ token })}`);
    const refused = () => client.frames.find((frame) => frame.startsWith('44'));
    await until('an answer', () => client.heard('ready').length > 0 || refused() !== undefined);
    const frame = refused();
    if (frame === undefined) return { status: 200 };
    const { data } = JSON.parse(frame.slice(2)) as { data: Problem & { retry_after?: number } };
    return { status: data.status, problem: data, retryAfter: String(data.retry_after) };
  }

  async function enterByRequest(
    transport: 'stream' | 'poll',
    token: string,
    address: string,
  ): Promise<Outcome> {
    const path = transport === 'stream' ? '/events/stream' : '/events?wait=30';
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': address };
    const before = world.ctx.delivery.size;
    const req = request(world.url + path, { headers, agent: false });
    let outcome: Outcome | undefined;
    req.on('error', () => undefined);
    req.on('response', (res) => {
      if (res.statusCode === 200) {
        res.resume();
        outcome = { status: 200 };
        return;
      }
      void readAll(res).then((text) => {
        outcome = {
          status: res.statusCode ?? 0,
          problem: JSON.parse(text) as Problem,
          retryAfter: res.headers['retry-after'],
        };
      });
    });
    req.end();
    open.push(() => req.destroy());
    // A long-poll that has been let in is not answered: it waits.
    await until('an answer', () => outcome !== undefined || world.ctx.delivery.size > before);
    return outcome ?? { status: 200 };
  }

  async function readAll(res: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of res) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  }

  async function counted(series: string): Promise<number> {
    const { body } = await world.anonymous.get<string>('/metrics');
    const line = body.split('\n').find((text) => text.startsWith(`${series} `));
    return line === undefined ? 0 : Number(line.slice(series.length));
  }

  /** Lets somebody in as often as it goes, but not more than this; gives what refused the next. */
  async function fill(
    who: TestUser,
    address: string,
    most: number,
  ): Promise<[let_in: number, last?: Outcome]> {
    for (let at = 0; at < most; at += 1) {
      const outcome = await enter(TRANSPORTS[at % 3]!, who, address);
      if (outcome.status !== 200) return [at, outcome];
    }
    return [most];
  }

  for (const transport of TRANSPORTS)
    it(`are not all taken by one token with a ${transport} each`, async () => {
      const [ada, bob] = await users(2);
      const before = await counted('tidings_connection_limit_refused_total{reason="user"}');
      const outcomes = [];
      for (let at = 0; at < TOTAL; at += 1) outcomes.push(await enter(transport, ada!, '198.51.100.1'));
      expect(outcomes.filter(({ status }) => status === 200)).to.have.lengthOf(PER_USER);
      for (const { status, problem, retryAfter } of outcomes.slice(PER_USER)) {
        expect(status).to.equal(429);
        expect(problem).to.include({
          type: 'urn:tidings:problem:too_many_requests',
          detail: 'This user has too many open connections.',
          retry_after: 30,
        });
        expect(retryAfter).to.equal('30');
      }
      expect(await counted('tidings_connection_limit_refused_total{reason="user"}')).to.equal(
        before + TOTAL - PER_USER,
      );
      // Nor what others have at the same address.
      for (const each of TRANSPORTS)
        expect(await enter(each, bob!, '198.51.100.1')).to.include({ status: 200 });
    });

  it('count a user’s sockets, streams and waiting requests together, and give back what has ended', async () => {
    const ada = await user();
    const [letIn, refusal] = await fill(ada, '198.51.100.1', TOTAL);
    expect(letIn).to.equal(PER_USER);
    expect(refusal?.status).to.equal(429);
    // What does not wait is a request like any other.
    expect((await ada.get('/events')).status).to.equal(200);
    leave();
    await until('the places to be free', () => world.ctx.connectionLimits.taken === 0);
    expect(await fill(ada, '198.51.100.1', PER_USER)).to.deep.equal([PER_USER]);
  });

  it('are left to others by eighteen accounts of one address', async () => {
    const crowd = await users(18);
    const stranger = await user();
    const before = await counted('tidings_handshakes_refused_total{reason="crowded"}');
    let letIn = 0;
    const refusals: Outcome[] = [];
    for (const one of crowd) {
      const [many, refusal] = await fill(one, '198.51.100.1', PER_USER);
      letIn += many;
      if (refusal) refusals.push(refusal);
    }
    expect(letIn).to.equal(PER_ADDRESS);
    for (const { status, problem, retryAfter } of refusals) {
      expect(status).to.equal(429);
      expect(problem).to.include({ detail: 'This address has too many open connections.' });
      expect(retryAfter).to.equal('30');
    }
    expect(await counted('tidings_connection_limit_refused_total{reason="address"}')).to.be.at.least(
      refusals.length,
    );
    expect(await counted('tidings_handshakes_refused_total{reason="crowded"}')).to.be.above(before);
    for (const transport of TRANSPORTS)
      expect(await enter(transport, stranger, '198.51.100.2')).to.include({ status: 200 });
  });

  it('are as many as MAX_CONNECTIONS, over all transports together', async () => {
    const crowd = await users(11);
    for (const [at, one] of crowd.slice(0, 10).entries())
      expect(await fill(one, `198.51.100.${at}`, PER_USER)).to.deep.equal([PER_USER]);
    for (const transport of TRANSPORTS) {
      const { status, problem, retryAfter } = await enter(transport, crowd[10]!, '198.51.100.99');
      expect(status).to.equal(503);
      expect(problem).to.include({ detail: 'The node has reached its connection limit.' });
      expect(retryAfter).to.equal('5');
    }
    expect(await counted('tidings_connection_limit_refused_total{reason="full"}')).to.equal(3);
    await until('the gauge', async () => (await counted('tidings_connection_slots_used')) === TOTAL);
  });

  it('are not more for requests that come in one packet', async () => {
    const { hostname, port } = new URL(world.url);
    const tcp = connect(Number(port), hostname);
    open.push(() => tcp.destroy());
    const handshake =
      'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n';
    tcp.write(handshake.repeat(TOTAL));
    let said = '';
    tcp.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the answers', () => said.split('HTTP/1.1 ').length === TOTAL + 1);
    expect(said.split('HTTP/1.1 200 ')).to.have.lengthOf(PER_ADDRESS + 1);
    expect(said.split('HTTP/1.1 429 ')).to.have.lengthOf(TOTAL - PER_ADDRESS + 1);
  });

  it('are waited for by the client package for as long as it is told to', async () => {
    const client = createClient({ url: world.url });
    const email = `${randomUUID()}@example.org`;
    await client.signUp({ email, password: PASSWORD, username: `u${randomUUID().slice(0, 8)}` });
    const account = { id: 0, username: '', email };
    const same = await logIn(world.url, account);
    const [bob, eve, zoe] = await users(3);
    // By the user's share it is refused with the socket's handshake, by the address's before there is a socket.
    const fillers: (() => Promise<unknown>)[] = [
      () => fill(same, '198.51.100.1', PER_USER),
      async () => {
        for (const one of [bob!, eve!, zoe!]) await fill(one, '127.0.0.1', PER_USER);
      },
    ];
    for (const taken of fillers) {
      await taken();
      const before = await counted('tidings_handshakes_refused_total{reason="crowded"}');
      const feed = client.feed({ reconnect: { base: 50, cap: 400 } });
      try {
        let status: FeedStatus | undefined;
        feed.on('status', (now) => (status = now));
        await until('the refusal', () => status?.state === 'offline');
        expect(status).to.include({ state: 'offline', reason: 'refused' });
        expect(status).to.have.nested.property('problem.status', 429);
        if (status?.state === 'offline') expect(status.retryAt - Date.now()).to.be.within(20_000, 31_000);
        const after = await counted('tidings_handshakes_refused_total{reason="crowded"}');
        expect(after - before).to.be.within(1, 2); // over a WebSocket and by polling
        leave();
        await until('the places to be free', () => world.ctx.connectionLimits.taken === 0);
        feed.reconnect();
        await feed.ready();
      } finally {
        feed.close();
      }
      await until('the feed to be gone', () => world.ctx.connectionLimits.taken === 0);
    }
  });

  it('are given back by a handshake whose connection has closed before it is looked at', async () => {
    const { hostname, port } = new URL(world.url);
    const ada = await user();
    const one = async () => {
      const tcp = connect(Number(port), hostname);
      open.push(() => tcp.destroy());
      tcp.write(
        'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n' +
          'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      );
      await once(tcp, 'data');
      tcp.on('error', () => undefined); // a close follows
      const closed = new Promise((resolve) => tcp.once('close', resolve));
      tcp.write(Buffer.concat([frameOf(`40${JSON.stringify({ token: ada.token })}`), frameOf('41')]));
      tcp.resume();
      await closed;
    };
    await Promise.all(Array.from({ length: 5 }, one));
    expect(world.ctx.delivery.size).to.equal(0);
    expect(world.ctx.connections.size).to.equal(0);
    expect(world.server.service.gateway.size).to.equal(0);
    expect(await fill(ada, '198.51.100.1', PER_USER)).to.deep.equal([PER_USER]);
  });

  it('are given back wherever a connection breaks off', async () => {
    const { hostname, port } = new URL(world.url);
    const [ada, bob] = await users(2);
    const gone = await user();
    await gone.post('/logout');
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = new Random(seed);
    const head = (line: string, more = '') => `${line} HTTP/1.1\r\nHost: localhost\r\n${more}`;
    const upgrade = (query: string, key = 'AAAAAAAAAAAAAAAAAAAAAA==') =>
      head(
        `GET /socket.io/?EIO=4&${query}`,
        `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
      );
    const withToken = (line: string, token: string) => head(line, `Authorization: Bearer ${token}\r\n\r\n`);
    const joining = (token: string) => frameOf(`40${JSON.stringify({ token })}`);
    const polling = head('GET /socket.io/?EIO=4&transport=polling', '\r\n');
    /** What a client says, piece by piece: after each it may break off. */
    const programs = (token: string): readonly (readonly (string | Buffer)[])[] => [
      [upgrade('transport=websocket'), joining(token), frameOf('3'), frameOf('41')],
      [upgrade('transport=websocket'), joining(token), joining(token)],
      [upgrade('transport=websocket'), joining('nonsense'), joining('nonsense'), joining(token)],
      [upgrade('transport=websocket'), frameOf('1')],
      [upgrade('transport=websocket'), Buffer.from([0xff, 0xff, 0xff])],
      [upgrade('transport=polling')],
      [upgrade('transport=carrier-pigeon')],
      [upgrade('transport=websocket', 'short')],
      [upgrade('transport=websocket').slice(0, 40), upgrade('transport=websocket').slice(40), joining(token)],
      [polling, polling],
      [polling.repeat(4)],
      [head('POST /socket.io/?EIO=4&transport=polling', 'Content-Length: 1\r\n\r\n1')],
      [withToken('GET /events/stream', token), withToken('GET /events', token)],
      [withToken('HEAD /events/stream', token), withToken('HEAD /events/stream', token)],
      [withToken('GET /events/stream?after=x', token)],
      [withToken('GET /events/stream?after=0', token)],
      [withToken('GET /events?wait=30', token), withToken('GET /events?wait=30', token)],
      [withToken('GET /events?wait=1', token)],
      [withToken('GET /events?wait=30&after=999999999', token)],
    ];
    const runOne = async () => {
      const { token } = random.pick([ada!, bob!, gone]);
      const program = random.pick(programs(token));
      const steps = 1 + random.below(program.length);
      const tcp: Socket = connect(Number(port), hostname);
      tcp.on('error', () => undefined); // a close follows
      const waits = random.chance(0.5);
      for (const piece of program.slice(0, steps)) {
        const answered = once(tcp, 'data').catch(() => undefined);
        tcp.write(piece);
        if (waits) await Promise.race([answered, turns(40)]);
      }
      if (!waits) await turns(random.below(20));
      const breakOff = random.pick(['destroy', 'resetAndDestroy', 'end'] as const);
      tcp[breakOff]();
      open.push(() => tcp.destroy());
    };
    try {
      for (let round = 0; round < 40; round += 1) await Promise.all(Array.from({ length: 12 }, runOne));
      leave();
      await until('no place to be taken', () => world.ctx.connectionLimits.taken === 0);
      expect(world.ctx.connectionLimits.holders).to.equal(0);
      // A read that does not wait takes no place, and may be in progress still.
      await until('nobody to be there', () => world.ctx.delivery.size === 0);
    } catch (error) {
      throw new Error(`seed ${seed}: ${world.ctx.connectionLimits.taken} places are taken`, { cause: error });
    }
    // And they can be taken again.
    for (const transport of TRANSPORTS)
      expect(await enter(transport, ada!, '198.51.100.7')).to.include({ status: 200 });
  });
});

describe('the place of a connection that Engine.IO closes', () => {
  const PATH = '/socket.io/?EIO=4&transport=';
  let world: World;
  const wires: Wire[] = [];
  before(async () => {
    world = await createWorld();
  });
  afterEach(() => {
    for (const wire of wires.splice(0)) wire.end();
  });
  after(() => world.close());

  const nextSession = () =>
    new Promise<EngineSocket>((resolve) => {
      world.server.service.gateway.io.engine.once('connection', resolve);
    });
  const openSession = async () => {
    const opened = nextSession();
    const { body } = await rawRequest<string>(world.url, { path: `${PATH}polling` });
    return { ...(JSON.parse(body.slice(1)) as { sid: string }), conn: await opened };
  };

  it('is given back soon though the peer does not answer the closing frame', async () => {
    /** A WebSocket whose peer says nothing but this. */
    const upgrade = async (query: string, says: Buffer | string = '') => {
      const wire = new Wire(world.url);
      wires.push(wire);
      wire.send(
        `GET ${PATH}${query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      );
      await until('the upgrade', () => wire.said.includes('101 Switching Protocols'));
      wire.tcp.write(says);
      return wire;
    };
    const { sid } = await openSession();
    const unsuited = await upgrade('polling');
    const failed = await upgrade(`websocket&sid=${sid}`, frameOf('4no probe'));
    // Less than the half minute for which ws waits by itself.
    await until('the end of both', () => unsuited.closed && failed.closed, 15_000);
    const first = await upgrade(`websocket&sid=${sid}`);
    const second = await upgrade(`websocket&sid=${sid}`);
    await until('the end of the second', () => second.closed, 15_000);
    expect(first.closed).to.be.false;
    await until('the places of those without a session', () => world.ctx.connectionLimits.taken <= 1);
  });

  for (const isDirect of [true, false])
    it(`is given back at once when it is discarded while it is closing${isDirect ? '' : ', without the fast path'}`, async () => {
      const { conn } = await openSession();
      const { taken } = world.ctx.connectionLimits;
      conn.close();
      expect(conn.readyState).to.equal('closing');
      engineConnection(conn, { uses: () => isDirect } as unknown as FastPaths).discard();
      expect(conn.readyState).to.equal('closed');
      expect(world.ctx.connectionLimits.taken).to.equal(taken - 1);
    });
});

describe('with RATE_LIMITS=off', () => {
  it('places have no shares, but an end', async () => {
    const world = await createWorld({ MAX_CONNECTIONS: '12' });
    try {
      const ada = await world.user();
      const streams = new AbortController();
      const stream = () =>
        fetch(`${world.url}/events/stream`, {
          headers: { authorization: `Bearer ${ada.token}` },
          signal: streams.signal,
        });
      for (let at = 0; at < 12; at += 1) expect((await stream()).status).to.equal(200);
      const full = await stream();
      expect(full.status).to.equal(503);
      await full.text();
      streams.abort();
      await until('no place to be taken', () => world.ctx.connectionLimits.taken === 0);
    } finally {
      await world.close();
    }
  });
});

describe('TCP connections of one address', () => {
  let world: World;
  const lines: string[] = [];
  /** A hundredth of the places and of what is kept for requests. */
  const MOST = 20;
  /** In place of ten seconds. Milliseconds. */
  const HEADERS = 2000;
  before(async () => {
    world = await createWorld(
      { RATE_LIMITS: 'on', MAX_CONNECTIONS: '30', ADDRESS_SHARE: '1' },
      undefined,
      (line) => lines.push(line),
      { headers: HEADERS },
    );
  });
  after(() => world.close());

  it('that say nothing are bounded, and end by themselves', async () => {
    const { hostname, port } = new URL(world.url);
    let closed = 0;
    const silent = Array.from({ length: 3 * MOST }, () => {
      const tcp = connect({ port: Number(port), host: hostname, localAddress: '127.0.0.9' });
      tcp.on('error', () => undefined); // a close follows
      tcp.on('close', () => (closed += 1));
      tcp.resume();
      return tcp;
    });
    const began = performance.now();
    await until('those over the bound to be refused', () => closed >= 2 * MOST);
    // Others are served meanwhile.
    const metrics: Answer<string> = await world.anonymous.get<string>('/metrics');
    expect(metrics.body).to.match(
      new RegExp(`^tidings_tcp_connections_refused_total\\{reason="address"\\} ${2 * MOST}$`, 'm'),
    );
    expect(lines.filter((line) => line.includes('an address has used up its share'))).to.have.lengthOf(1);
    await until('the silent ones to be ended', () => closed === silent.length);
    expect(performance.now() - began).to.be.above(HEADERS / 2);
    // What has gone is not counted any more.
    const again = connect({ port: Number(port), host: hostname, localAddress: '127.0.0.9' });
    again.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const [answer] = (await once(again, 'data')) as [Buffer];
    expect(answer.toString()).to.match(/^HTTP\/1\.1 200 /);
    again.destroy();
  });

  it('have a place of a share that is too small to be one', async () => {
    const ada = await world.user();
    const abort = new AbortController();
    const stream = () =>
      fetch(`${world.url}/events/stream`, {
        headers: { authorization: `Bearer ${ada.token}` },
        signal: abort.signal,
      });
    expect((await stream()).status).to.equal(200);
    const refused = await stream();
    expect(refused.status).to.equal(429);
    expect(((await refused.json()) as Problem).detail).to.equal(
      'This address has too many open connections.',
    );
    abort.abort();
    await until('no place to be taken', () => world.ctx.connectionLimits.taken === 0);
    expectProblem(await world.anonymous.get<object>('/events/stream'), 401);
  });
});

/** A text frame as a client masks it (RFC 6455, 5.2), of at most 64 KiB; the mask is zero. */
function frameOf(text: string): Buffer {
  const body = Buffer.from(text);
  const length =
    body.length < 126
      ? Buffer.from([0x80 | body.length])
      : Buffer.from([0xfe, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([0x81]), length, Buffer.alloc(4), body]);
}

/** So many turns of the event loop. */
async function turns(many: number): Promise<void> {
  for (let at = 0; at < many; at += 1) await new Promise((resolve) => setImmediate(resolve));
}
