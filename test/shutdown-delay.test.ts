import { expect } from 'chai';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { createDatabase } from './support/postgres.ts';
import { ended, ready, startProgram } from './support/program.ts';
import { RawClient } from './support/raw-client.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { requestBytes, Wire } from './support/wire.ts';
import { createWorld, signUp, type World } from './support/world.ts';

/** Long enough that a machine which stands still for a while has something served all the same. Milliseconds. */
const DELAY = 6000;
/** What a node promises that its end takes from there, and a little for the exit. Milliseconds. */
const ENDS_WITHIN = 9500;

interface Kept {
  /** Of the answer, or that the connection was closed without one. */
  status: number | 'closed' | undefined;
  retryAfter?: string | undefined;
  connection?: string | undefined;
}

/** Asks on the one connection that the agent keeps. */
async function askOn(agent: Agent, url: string, token?: string): Promise<Kept> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const req = request(url, { agent, headers }).end();
  try {
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    res.resume();
    await once(res, 'end');
    return {
      status: res.statusCode,
      retryAfter: res.headers['retry-after'],
      connection: res.headers.connection,
    };
  } catch {
    return { status: 'closed' };
  }
}

describe('a node that was told to stop', () => {
  let world: World;
  let stopped: Promise<void> | undefined;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  after(async () => {
    agent.destroy();
    await (stopped ?? world.close());
  });

  const askOnKept = (path: string) => askOn(agent, world.url + path);

  it('is not ready at once, and serves everything for SHUTDOWN_DELAY before it refuses anything', async () => {
    world = await createWorld({ SHUTDOWN_DELAY: `${DELAY}ms` });
    const user = await world.user();
    expect((await askOnKept('/readyz')).status).to.equal(200);
    let hasStopped = false;
    const watch = new Stopwatch();
    stopped = world.close().then(() => void (hasStopped = true));
    const { status, retryAfter } = await askOnKept('/readyz');
    expect(status).to.equal(503);
    expect(retryAfter).to.equal('2');
    expect((await user.post('/posts', { title: 'still', content: '' })).status).to.equal(201);
    const client = await RawClient.join(world.url, { token: user.token });
    expect(client.closed).to.be.false;
    await until('the socket to be told', () => client.closed);
    expect(watch.passed).to.be.at.least(DELAY - 100);
    await until('the end', () => hasStopped);
    expect(watch.ran).to.be.below(DELAY + ENDS_WITHIN);
  });
});

const HANDSHAKE = '/socket.io/?EIO=4&transport=';
const environment = {
  ...{ NODE_ENV: 'test', BCRYPT_COST: '4', RATE_LIMITS: 'off', LOG_LEVEL: 'warn' },
  JWT_SECRET: 'x'.repeat(40),
};

/** The bytes of a request for a session of Engine.IO. */
function handshakeBytes(transport: 'polling' | 'websocket'): string {
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
  return `GET ${HANDSHAKE}${transport} HTTP/1.1\r\nHost: localhost\r\n${transport === 'websocket' ? upgrade : ''}\r\n`;
}

/** Whether nobody listens any more, in none of the workers. */
async function isPortClosed(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

describe('a process that is sent SIGTERM', () => {
  it('serves handshakes for SHUTDOWN_DELAY, and then refuses them with a 503, with WORKERS=2', async () => {
    const database = await createDatabase();
    const program = startProgram({
      ...environment,
      ...{ DATABASE_URL: database.url, SHUTDOWN_DELAY: `${DELAY}ms`, WORKERS: '2' },
    });
    const wires: Wire[] = [];
    const open = (bytes: string) => {
      const wire = new Wire(program.url);
      wires.push(wire);
      wire.send(bytes);
      return wire;
    };
    const expectRefused = (answer: string | undefined) => {
      expect(answer)
        .to.match(/^HTTP\/1\.1 503 /)
        .and.match(/\r\nRetry-After: 2\r\n/i);
      expect(answer).to.include('"retry_after":2');
    };
    try {
      await ready(program);
      const ada = await signUp(program.url);
      // The handshake behind it is looked at when the end of the node has answered it.
      const waiting = Array.from({ length: 4 }, () =>
        open(requestBytes('/events?wait=30', ada.token) + handshakeBytes('polling')),
      );
      const metrics = async () => (await fetch(`${program.url}/metrics`)).text();
      const admitted = 'tidings_resumes_total{outcome="current",source="none"} 4';
      await until('all of them to wait', async () => (await metrics()).includes(admitted));
      // The rest of its body comes when the port is closed, and what is asked next on the connection with it.
      const body = JSON.stringify({ title: 'slow', content: '' });
      const slow = Array.from({ length: 2 }, () =>
        open(
          `POST /posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ada.token}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
        ),
      );
      const kept = Array.from({ length: 4 }, () => open(requestBytes('/healthz', ada.token)));
      await until('the answers', () => kept.every(({ said }) => said.endsWith('}')));
      const clients = await Promise.all(Array.from({ length: 2 }, () => RawClient.open(program.url)));

      program.kill('SIGTERM');
      await until('not to be ready', async () => (await fetch(`${program.url}/readyz`)).status === 503);
      const served = open(handshakeBytes('polling'));
      await until('its session', () => served.said.includes('"sid"') || served.closed);
      expect(served.said).to.match(/^HTTP\/1\.1 200 /);

      await until('the first refusal', () => waiting.some(({ said }) => said.includes('"retry_after"')));
      // The workers end at about the same time: one may still serve, and its connections may be closed already.
      const answers = kept.map((wire, at) => {
        wire.said = '';
        wire.send(handshakeBytes(at % 2 === 0 ? 'polling' : 'websocket'));
        return wire;
      });
      await until('the end of the port', () => isPortClosed(program.url));
      for (const wire of slow) wire.send(body.slice(5) + handshakeBytes('polling'));
      for (const client of clients) client.send(`40${JSON.stringify({ token: ada.token })}`);
      await until('the end of all connections', () => [...wires, ...clients].every(({ closed }) => closed));
      const split = ({ said }: Wire) => said.split(/(?=HTTP\/1\.1 \d{3} )/);
      for (const wire of waiting) {
        const [answer, refusal, ...others] = split(wire);
        expect(answer).to.match(/^HTTP\/1\.1 200 [^]*"events":\[\]/);
        expectRefused(refusal);
        expect(others).to.deep.equal([]);
      }
      for (const wire of slow) {
        const [answer, refusal] = split(wire);
        if (answer) expect(answer).to.match(/^HTTP\/1\.1 201 /);
        if (refusal !== undefined) expectRefused(refusal);
      }
      for (const { said } of answers) if (!/^(?:$|HTTP\/1\.1 (?:200|101) )/.test(said)) expectRefused(said);
      // A stock client that is refused by name stays away; one whose transport closes comes back, to another node.
      for (const { frames } of clients) expect(frames.filter((frame) => /^4[04]/.test(frame))).to.be.empty;
      await ended(program);
      expect(program.code, program.stdout + program.stderr).to.equal(0);
      expect(program.stderr).to.equal('');
    } finally {
      for (const wire of wires) wire.end();
      await program.stop();
      await database.drop();
    }
  });

  for (const WORKERS of ['1', '2'])
    it(`serves for SHUTDOWN_DELAY, and then refuses what kept connections ask, with WORKERS=${WORKERS}`, async () => {
      const database = await createDatabase();
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const program = startProgram({
        ...environment,
        ...{ DATABASE_URL: database.url, SHUTDOWN_DELAY: `${DELAY}ms`, WORKERS },
      });
      try {
        await ready(program);
        const ada = await signUp(program.url);
        // A request that is in progress keeps a node from ending, and so its other connections open.
        const waiting = new Wire(program.url);
        const ask = (path: string) => askOn(agent, program.url + path, ada.token);
        expect((await ask('/posts')).status).to.equal(200);
        waiting.send(requestBytes('/events?wait=20', ada.token));
        const watch = new Stopwatch([program.pid]);
        program.kill('SIGTERM');
        await until('not to be ready', async () => (await ask('/readyz')).status === 503);
        expect((await ada.post('/posts', { title: 'still served', content: '' })).status).to.equal(201);
        let answer: Kept | undefined;
        await until('a refusal', async () => (answer = await ask('/posts')).status !== 200);
        expect(watch.passed).to.be.at.least(DELAY - 100);
        // The node may have closed the connection before it read the request: then nothing was done, and nothing is said.
        if (answer?.status !== 'closed') {
          expect(answer).to.deep.include({ status: 503, connection: 'close' });
          expect(answer?.retryAfter).to.match(/^\d+$/);
        }
        expect(waiting.said).to.match(/^HTTP\/1\.1 200 /);
        await ended(program);
        expect(watch.ran).to.be.below(DELAY + ENDS_WITHIN);
        expect(program.code, program.stdout + program.stderr).to.equal(0);
      } finally {
        agent.destroy();
        await program.stop();
        await database.drop();
      }
    });
});
