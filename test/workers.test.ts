import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { io } from 'socket.io-client';
import type { NodeProcess } from './support/node-process.ts';
import { rawRequest } from './support/raw-request.ts';
import { sharedRedis } from './support/redis.ts';
import { firstFault, readyOf, record } from './support/sockets.ts';
import { type OwnService, startService } from './support/own-service.ts';
import { until } from './support/waiting.ts';
import { signUp, type TestSocket, type TestUser } from './support/world.ts';

const PATH = '/socket.io/?EIO=4&transport=polling';
/** How long an odd request is waited for before it is left in the middle. Milliseconds. */
const TIME_LIMIT = 250;

for (const withRedis of [false, true])
  describe(`two workers ${withRedis ? 'and a Redis' : 'without a Redis'}`, () => {
    let workers: OwnService;
    let service: NodeProcess;
    let alice: TestUser;
    const sockets: TestSocket[] = [];

    before(async () => {
      const redis = withRedis ? await sharedRedis() : undefined;
      workers = await startService({ workers: 2, redis, env: { RATE_LIMITS: 'off' } });
      ({ service } = workers);
      alice = await signUp(service.url);
    });
    after(async () => {
      for (const socket of sockets) socket.disconnect();
      await workers.stop();
      expect(service.misconduct).to.be.empty;
    });

    const listen = async (transports: string[]) => {
      const socket: TestSocket = io(service.url, {
        auth: { token: alice.token },
        transports,
        forceNew: true,
      });
      sockets.push(socket);
      const heard = record(socket);
      const { seq } = await readyOf(socket);
      return { socket, heard, start: seq };
    };
    const write = async () =>
      (await alice.post<{ id: number }>('/posts', { title: 'a post', content: '' })).body.id;

    /** A long-polling session that has said nothing yet. */
    const openSession = async () => {
      const { body } = await rawRequest<string>(service.url, { path: PATH });
      return (JSON.parse(body.slice(1)) as { sid: string }).sid;
    };
    /** One on each worker: the next connection goes to either of them. */
    const sessionOnEach = async () => {
      const found = new Map<string, string>();
      while (found.size < 2) {
        const sid = await openSession();
        found.set(sid.split('.')[0] ?? '', sid);
      }
      return found;
    };

    it('answer for a long-polling session whichever of them is asked', async () => {
      for (const sid of (await sessionOnEach()).values()) {
        const path = `${PATH}&sid=${sid}`;
        const said = await rawRequest(service.url, {
          method: 'POST',
          path,
          headers: { 'content-type': 'text/plain;charset=UTF-8' },
          body: `40${JSON.stringify({ token: alice.token })}`,
        });
        expect(said).to.include({ status: 200, body: 'ok' });
        let told = '';
        // A busy node says it in several answers.
        for (let poll = 0; poll < 20 && !told.includes('"ready"'); poll += 1) {
          const answer = await rawRequest<string>(service.url, { path });
          expect(answer.status).to.equal(200);
          told += answer.body;
        }
        expect(told).to.include('"ready"');
        // What a browser asks first from another origin, and a body whose length nobody has told.
        expect((await rawRequest(service.url, { method: 'OPTIONS', path })).status).to.equal(204);
        const { answer } = await exchange(
          `POST ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n41\r\n0\r\n\r\n`,
          /\r\n\r\n/,
        );
        expect(answer).to.match(/^HTTP\/1\.1 200 /);
      }
    });

    it('answer for it also where HTTP/2 is offered', async () => {
      for (const sid of (await sessionOnEach()).values()) {
        const { answer } = await exchange(
          `POST ${PATH}&sid=${sid} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n` +
            'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: 2\r\n\r\n41',
          /ok$/,
        );
        expect(answer).to.match(/^HTTP\/1\.1 200 [^]*ok$/);
      }
    });

    it('lose nothing of what is said to one by way of the other, however quickly it answers', async () => {
      const talk = async () => {
        const path = `${PATH}&sid=${await openSession()}`;
        // An acknowledgement of nothing is passed over.
        await rawRequest(service.url, {
          method: 'POST',
          path,
          body: `40${JSON.stringify({ token: alice.token })}`,
        });
        for (let at = 0; at < 20; at += 1)
          expect(await rawRequest(service.url, { method: 'POST', path, body: '430[]' })).to.include({
            status: 200,
          });
      };
      await Promise.all(Array.from({ length: 40 }, talk));
    });

    it('serve stock clients that poll, and those that begin so and upgrade, over many connections', async () => {
      const clients = await Promise.all(
        Array.from({ length: 16 }, (_, at) => listen(at % 2 === 0 ? ['polling'] : ['polling', 'websocket'])),
      );
      const ids: number[] = [];
      for (let at = 0; at < 20; at += 1) ids.push(await write());
      for (const [at, { heard, start, socket }] of clients.entries()) {
        await until(`client ${at} to hear all`, () => heard.some(({ post }) => post.id === ids.at(-1)));
        expect(
          firstFault(
            heard.map(({ seq }) => seq),
            start,
          ),
        ).to.be.undefined;
        if (at % 2 === 1) await until('the upgrade', () => socket.io.engine.transport.name === 'websocket');
        socket.disconnect();
      }
    });

    it('both outlive odd requests for sessions of the other, and their clients hear each event meanwhile', async () => {
      const workers = await workersOf(service.pid);
      expect(workers).to.have.lengthOf(2);
      const bystanders = await Promise.all([
        ...Array.from({ length: 4 }, () => listen(['polling'])),
        ...Array.from({ length: 4 }, () => listen(['websocket'])),
      ]);
      const held = [...(await sessionOnEach()).values()];
      const requests = oddRequests([...held, '1.x', '2.x', '3.x', '0.x', '9999.x']);
      expect(requests.length).to.be.above(200);
      let last = 0;
      for (let at = 0; at < requests.length; at += 20) {
        const answers = await Promise.all(requests.slice(at, at + 20).map((bytes) => exchange(bytes)));
        for (const { bytes, answer } of answers) expect(answer, bytes).to.not.match(/^HTTP\/1\.1 5/);
        last = await write();
      }
      for (const { heard, start, socket } of bystanders) {
        await until('the bystander', () => heard.at(-1)?.post.id === last);
        expect(
          firstFault(
            heard.map(({ seq }) => seq),
            start,
          ),
        ).to.be.undefined;
        socket.disconnect();
      }
      expect(await workersOf(service.pid)).to.deep.equal(workers);
    });

    it('are two again after one was killed, and the other serves on', async () => {
      const before = await workersOf(service.pid);
      process.kill(before[0]!, 'SIGKILL');
      await until('another in its place', async () => {
        const now = await workersOf(service.pid);
        return now.length === 2 && !now.includes(before[0]!);
      });
      expect(await workersOf(service.pid)).to.include(before[1]);
      const scrapes: number[] = [];
      let isLoaded = false;
      const scraping = (async () => {
        while (!isLoaded) scrapes.push((await rawRequest(service.url, { path: '/metrics' })).status);
      })();
      const { heard, socket } = await listen(['polling']);
      // Its sessions went with it, and their clients are told so, until it is there again and gives out new ones.
      const id = await write();
      await until('the event', () => heard.some(({ post }) => post.id === id));
      expect([...(await sessionOnEach()).keys()].sort()).to.deep.equal(['1', '2']);
      isLoaded = true;
      await scraping;
      expect([...new Set(scrapes)], 'scrapes, also while it loads').to.deep.equal([200]);
      expect((await rawRequest(service.url, { path: `${PATH}&sid=1.gone` })).status).to.equal(400);
      socket.disconnect();
    });

    it('end in time while one of them is still starting', async () => {
      const before = await workersOf(service.pid);
      process.kill(before[0]!, 'SIGKILL');
      await until('another to start', async () =>
        (await workersOf(service.pid)).some((pid) => !before.includes(pid)),
      );
      // It has not loaded yet what hears the order; unheard, it would be killed only when the ten seconds of a stop are over.
      expect(await service.stop()).to.be.below(9500);
    });

    /** Sends bytes and takes what comes first, or leaves in the middle. For an answer that ends like this it waits. */
    function exchange(bytes: string, whole?: RegExp): Promise<{ bytes: string; answer: string }> {
      const { hostname, port } = new URL(service.url);
      return new Promise((resolve) => {
        const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
        const end = (answer: string) => {
          socket.destroy();
          resolve({ bytes, answer });
        };
        let answer = '';
        socket.setTimeout(whole ? 30_000 : TIME_LIMIT, () => end(answer));
        socket.on('data', (chunk) => {
          answer += chunk.toString('latin1');
          if (whole?.test(answer) !== false) end(answer);
        });
        socket.on('error', () => end(answer)).on('close', () => end(answer));
      });
    }
  });

describe('a worker that cannot be started', () => {
  /** At each signal the next thing keeps the primary from starting one: no program, too long an environment, nothing. */
  const PROVOKE = `
    import cluster from 'node:cluster';
    const { execPath } = process;
    const turns = [
      () => (process.execPath = '/nowhere/node'),
      () => {
        process.execPath = execPath;
        process.env.TOO_LONG = 'x'.repeat(200_000);
      },
      () => delete process.env.TOO_LONG,
    ];
    if (cluster.isPrimary) process.on('SIGUSR2', () => turns.shift()?.());
  `;

  it('is tried again, and the others serve on', async () => {
    const workers = await startService({
      workers: 2,
      redis: undefined,
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PROVOKE)}` },
    });
    const { service } = workers;
    try {
      const [first = 0, second = 0] = await workersOf(service.pid);
      process.kill(service.pid, 'SIGUSR2');
      process.kill(first, 'SIGKILL');
      // As for EAGAIN, it is told later.
      await until('two tries', () => service.output.split('"code":"ENOENT"').length > 2);
      expect((await rawRequest(service.url, { path: '/' })).status).to.equal(200);
      process.kill(service.pid, 'SIGUSR2');
      // As for ENOMEM, it is thrown.
      await until('another try', () => service.output.includes('"code":"E2BIG"'));
      process.kill(service.pid, 'SIGUSR2');
      await until('another one', async () => (await workersOf(service.pid)).length === 2);
      expect(await workersOf(service.pid)).to.include(second);
    } finally {
      await workers.stop();
    }
    expect(service.misconduct).to.be.empty;
  });
});

/** The processes that a primary has started, oldest first. Linux only. */
async function workersOf(primary: number): Promise<number[]> {
  const children = (await readFile(`/proc/${primary}/task/${primary}/children`, 'utf8')).trim().split(' ');
  const workers: number[] = [];
  for (const child of children.filter(Boolean)) {
    const command = await readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('server/main.js')) workers.push(Number(child));
  }
  return workers.sort((a, b) => a - b);
}

const ODD_HEADERS = [
  'Trailer: a',
  'Expect: 100-continue',
  'Expect: the unexpected',
  'TE: trailers, deflate;q=0.5',
  'Connection: Trailer, Cookie',
  'Connection: close\r\nKeep-Alive: timeout=1',
  'Upgrade: h2c',
  'Proxy-Connection: keep-alive',
  'X-Odd: \x80\xa0\xff',
  'Cookie: caf\xe9=\xff',
  'X-Forwarded-For: \xff',
  'Accept-Encoding: \xfe',
  'Origin: \x90',
  'Host: \xff\xfe',
  'Content-Length: 0',
  'Content-Length: 50\r\nContent-Type: text/plain',
  'Content-Type: application/octet-stream',
  'Transfer-Encoding: gzip, chunked',
  'X-A: b\r\n c: d',
  ': none',
];
const ODD_METHODS = ['PUT', 'DELETE', 'PATCH', 'HEAD', 'TRACE', 'PROPFIND', 'OPTIONS', 'CONNECT', 'QUERY'];

/** Requests and upgrades for these sessions that no client sends. */
function oddRequests(sids: readonly string[]): string[] {
  const smuggled =
    'POST /socket.io/?EIO=4&transport=polling&sid=2.x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n41';
  const chunked = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
  const requests: string[] = [];
  for (const sid of sids) {
    const path = `${PATH}&sid=${sid}`;
    const webSocketPath = path.replace('polling', 'websocket');
    for (const header of ODD_HEADERS) {
      requests.push(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`);
      requests.push(
        `GET ${webSocketPath} HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n${header}\r\n\r\n\x81\x01\xff`,
      );
    }
    for (const method of ODD_METHODS) {
      requests.push(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      requests.push(`${method} ${webSocketPath} HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n\r\n`);
    }
    requests.push(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      `GET ${webSocketPath} HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\nContent-Length: 5\r\n\r\n${smuggled}`,
      `GET ${path}&\xff\x80=\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      `GET ${path}&a=\x7f HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf`,
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n3\r\nabc\r\n0\r\na: b\r\n\r\n`,
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n${'x'.repeat(40_000)}`,
      `GET ${path} HTTP/1.0\r\n\r\n`,
    );
  }
  return requests;
}
