import { expect } from 'chai';
import pg from 'pg';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { packageRoot } from '../server/paths.ts';
import { findEmbedded } from '../server/database/embedded.ts';
import { compiledProgram } from './support/compiled-service.ts';
import { appendPosts } from './support/append-sql.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { ended, type Program, ready, startProgram } from './support/program.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { requestBytes, Wire } from './support/wire.ts';
import { signUp, type TestUser } from './support/world.ts';

/** The server's own limit is 9.5 s; a little for the exit itself on a busy machine. */
const ENDS_WITHIN = 12_000;

const environment = { NODE_ENV: 'test', BCRYPT_COST: '4', RATE_LIMITS: 'off', LOG_LEVEL: 'warn' };

describe('streams and waiting requests of a node that stops or whose sessions end', () => {
  let database: TestDatabase;
  let program: Program;
  let ada: TestUser;
  let bob: TestUser;
  const wires: Wire[] = [];

  before(async () => {
    database = await createDatabase();
  });
  beforeEach(async () => {
    program = startProgram({ ...environment, DATABASE_URL: database.url, JWT_SECRET: 'x'.repeat(40) });
    await ready(program);
    ada = await signUp(program.url);
    bob = await signUp(program.url);
  });
  afterEach(async () => {
    for (const wire of wires.splice(0)) wire.end();
    await program.stop();
    expect(program.code, program.stdout + program.stderr).to.equal(0);
    expect(program.stderr).to.equal('');
  });
  after(() => database.drop());

  const open = (bytes: string) => {
    const wire = new Wire(program.url);
    wires.push(wire);
    wire.send(bytes);
    return wire;
  };
  const expectRefused = (answer: string) => {
    expect(answer).to.match(/^HTTP\/1\.1 503 /);
    expect(answer)
      .to.match(/\r\nRetry-After: \d+\r\n/i)
      .and.match(/\r\nConnection: close\r\n/i);
  };

  it('are refused when they begin while it stops, also on a connection that it has kept, and it ends in time', async () => {
    const idle = ['/events/stream', '/events?wait=20', '/events'].map((path) => ({
      path,
      wire: open(requestBytes('/events?wait=20', bob.token)),
    }));
    // Connections that nothing is in progress on would be closed at once.
    const stream = open(requestBytes('/events/stream', ada.token));
    await until('the stream', () => stream.said.includes('200 OK'));
    // One whose place in the feed is not yet known would be refused.
    const admitted = 'tidings_resumes_total{outcome="current",source="none"} 4';
    await until('all of them to wait', async () =>
      (await (await fetch(`${program.url}/metrics`)).text()).includes(admitted),
    );
    const watch = new Stopwatch([program.pid]);
    program.kill('SIGTERM');
    await until('the answers to those who wait', () => idle.every(({ wire }) => wire.said.endsWith('}')));
    for (const { wire, path } of idle) {
      expect(wire.said).to.match(/^HTTP\/1\.1 200 [^]*"events":\[\]/);
      wire.said = '';
      wire.send(requestBytes(path, bob.token));
    }
    await until('the end of their connections', () => idle.every(({ wire }) => wire.closed));
    for (const { wire } of idle) if (wire.said !== '') expectRefused(wire.said);
    await ended(program);
    expect(stream.said).to.include('event: session:closed').and.include('"draining"');
    expect(watch.ran).to.be.below(ENDS_WITHIN);
  });

  it('may be ended while they are being opened, or wait for their turn behind an unanswered request', async () => {
    await writePost(ada);
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
    // Anyone who looks into the log waits: so the session ends before a stream knows where it stands.
    await client.query('begin; lock table feed_head in access exclusive mode');
    const held = open(
      requestBytes('/events?wait=20', bob.token) +
        requestBytes('/events/stream?after=999999999', ada.token) +
        requestBytes('/events/stream?after=0', ada.token) +
        requestBytes('/posts', bob.token),
    );
    const alone = open(requestBytes('/events/stream?after=999999999', ada.token));
    await until('a stream', () => alone.said.includes('200 OK'));
    expect((await ada.post('/logout')).status).to.equal(204);
    await until('its end', () => alone.said.includes('"revoked"'));
    await client.query('rollback');
    await client.end();
    await writePost(bob);
    await until('the last answer', () => held.said.endsWith(']'));
    const statuses = [...held.said.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status);
    expect(statuses).to.deep.equal(['200', '401', '401', '200']);
  });

  it('wait behind a stream: when the node stops, it says so, and they are refused or not looked at', async () => {
    const wire = open(
      requestBytes('/events/stream', ada.token) +
        requestBytes('/events/stream', bob.token) +
        requestBytes('/events?wait=20', bob.token) +
        requestBytes('/events', bob.token),
    );
    await until('the stream', () => wire.said.includes('200 OK'));
    program.kill('SIGTERM');
    await until('the end of the connection', () => wire.closed);
    const [stream, refusal, ...others] = wire.said.split(/(?=HTTP\/1\.1 \d{3} )/);
    expect(stream)
      .to.match(/^HTTP\/1\.1 200 /)
      .and.include('"draining"')
      .and.match(/\r\n0\r\n\r\n$/);
    if (refusal !== undefined) expectRefused(refusal);
    expect(others).to.deep.equal([]);
    await ended(program);
  });

  it('are sent whole to a client that reads slowly when the node stops, as is every other answer', async () => {
    const { head } = (await ada.get<{ head: number }>('/events')).body;
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    // Each character is six bytes of JSON: a page, or the log, is more than the sockets' buffers hold.
    await client.query(`
      with written as (
        insert into posts (owner_id, title, content)
        select ${ada.id}, 'large ' || n, repeat(chr(1), 10000) from generate_series(1, 150) n returning id
      ), tallied as (insert into post_tallies (post_id, hot) select id, 0 from written)
      ${appendPosts(`select 'post:created', w.id, json_build_object('id', w.id, 'title', 't', 'content', repeat(chr(1), 10000))
        from written w order by w.id`)}`);
    await client.end();
    const slow = (bytes: string) => {
      const wire = open(bytes);
      wire.tcp.setEncoding('latin1').pause();
      return wire;
    };
    const page = slow(requestBytes('/posts?limit=100', ada.token));
    const polls = slow(requestBytes(`/events?after=${head}&limit=500&wait=1`, ada.token).repeat(8));
    const documents = slow(requestBytes('/documents/redoc.js', ada.token).repeat(8));
    const stream = slow(requestBytes(`/events/stream?after=${head}`, bob.token));
    await until('all to be asked, and given what they take', async () => {
      const metrics = await (await fetch(`${program.url}/metrics`)).text();
      return /^tidings_http_responses_in_progress [4-9]/m.test(metrics);
    });
    expect((await ada.get('/posts?limit=100')).status).to.equal(200);
    program.kill('SIGTERM');
    const isClosed = () =>
      fetch(`${program.url}/healthz`).then(
        () => false,
        () => true,
      );
    await until('its port to be closed', isClosed);
    for (const { tcp } of [page, polls, documents, stream]) tcp.resume();
    await until('the end of their connections', () =>
      [page, polls, documents, stream].every(({ closed }) => closed),
    );
    expect(wholeAnswers(page.said)).to.deep.equal([200]);
    for (const { said } of [polls, documents]) {
      const statuses = wholeAnswers(said);
      expect(statuses.filter((status) => status === 200)).to.have.length.above(1);
      expect(statuses.slice(0, -1)).not.to.include(503);
    }
    expect(stream.said)
      .to.include('"draining"')
      .and.match(/\r\n0\r\n\r\n$/);
  });

  it('are a thousand, and Node warns of no listeners', async () => {
    for (let at = 0; at < 500; at += 1) {
      open(requestBytes('/events/stream', ada.token));
      open(requestBytes('/events?wait=30', bob.token));
    }
    // Pipelined, they share a connection.
    open(requestBytes('/events?wait=30', bob.token) + requestBytes('/events/stream', ada.token).repeat(30));
    await until('the streams', () => wires.filter(({ said }) => said.includes('200 OK')).length === 500);
    // A poll whose place is found after the post would never answer with it.
    const admitted = 'tidings_resumes_total{outcome="current",source="none"} 1001\n';
    await until('all of them to wait', async () =>
      (await (await fetch(`${program.url}/metrics`)).text()).includes(admitted),
    );
    const post = await writePost(ada);
    await until('the post at everybody', () => wires.every(({ said }) => said.includes(`"id":${post.id},`)));
    expect(program.stderr).to.equal('');
  });
});

it('workers whose primary process is killed end in order, without SHUTDOWN_DELAY', async () => {
  const database = await createDatabase();
  const program = startProgram({
    ...{ ...environment, WORKERS: '2', SHUTDOWN_DELAY: '1m', LOG_LEVEL: 'info' },
    ...{ DATABASE_URL: database.url, JWT_SECRET: 'x'.repeat(40) },
  });
  const wires: Wire[] = [];
  try {
    await ready(program);
    const ada = await signUp(program.url);
    // The next connection goes to the other worker.
    for (let at = 0; at < 4; at += 1) {
      const wire = new Wire(program.url);
      wires.push(wire);
      wire.send(requestBytes('/events/stream', ada.token));
      await until('the stream', () => wire.said.includes('200 OK'));
    }
    program.kill('SIGKILL');
    await until('the streams to end', () => wires.every(({ closed }) => closed));
    for (const { said } of wires) expect(said).to.include('event: session:closed').and.include('"draining"');
    // The pipes of its output close with the last process.
    await ended(program);
    expect(program.stderr).to.equal('');
  } finally {
    for (const wire of wires) wire.end();
    await database.drop();
  }
});

describe('a node with its embedded database', () => {
  let dataDir: string;
  let program: Program;
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'tidings-stopping-'));
    // As root, the database runs as another user: in a folder of ours alone it would be put elsewhere, and left there.
    await chmod(dataDir, 0o755);
  });
  after(() => rm(dataDir, { recursive: true, force: true }));

  const start = async (env: NodeJS.ProcessEnv = {}, more?: string) => {
    program = startProgram({ ...environment, DATA_DIR: dataDir, ...env }, more);
    await ready(program);
  };
  const postmaster = async () =>
    Number((await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n', 1)[0]);
  const alive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  for (const [signal, workers] of [
    ['SIGHUP', '1'],
    ['SIGHUP', '2'],
    ['SIGQUIT', '1'],
  ] as const)
    it(`ends in order on ${signal}, with WORKERS=${workers}`, async () => {
      await start({ WORKERS: workers });
      const pid = await postmaster();
      const ada = await signUp(program.url);
      const stream = new Wire(program.url);
      stream.send(requestBytes('/events/stream', ada.token));
      await until('the stream', () => stream.said.includes('200 OK'));
      program.kill(signal);
      await ended(program);
      expect(program.code).to.equal(0);
      expect(stream.said).to.include('"draining"');
      expect(alive(pid)).to.be.false;
      expect(await findEmbedded(dataDir)).to.be.undefined;
    });

  it('ends in order when its terminal is closed', async () => {
    // `script` gives it a terminal, and takes that away with its own end.
    const command = `exec ${process.execPath} ${compiledProgram('server/main.ts')}`;
    const terminal = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment, PORT: '0', DATA_DIR: dataDir },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let said = '';
    terminal.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the service', () => said.includes('Tidings is ready'));
    const pid = await postmaster();
    terminal.kill('SIGKILL');
    await until('its database to have ended', () => !alive(pid), ENDS_WITHIN);
    await until('it to have let the folder go', async () => (await findEmbedded(dataDir)) === undefined);
  });

  // It is thrown by what the service's own code calls: its functions are in the stack.
  const thrown = `
    const { setTimeout } = globalThis;
    globalThis.setTimeout = () => {
      globalThis.setTimeout = setTimeout;
      throw new Error('planted');
    };
    process.emit('SIGTERM');`;
  for (const [what, code, message, workers] of [
    ['an exception that nobody catches', thrown, 'uncaught exception', '1'],
    ['a rejection that nobody handles', `(async () => { ${thrown} })();`, 'unhandled rejection', '2'],
  ] as const)
    it(`logs ${what} as one line of JSON with lines of the TypeScript, and ends with an error, with WORKERS=${workers}`, async () => {
      await start({ WORKERS: workers, SHUTDOWN_DELAY: '20s' }, onSignal('SIGUSR1', code));
      const pid = await postmaster();
      const before = program.stdout.length;
      program.kill('SIGUSR1');
      await ended(program);
      expect(program.code).to.equal(1);
      expect(program.stderr).to.equal('');
      // Nobody waits for SHUTDOWN_DELAY, for which there is no time.
      expect(program.stdout).not.to.include('the shutdown took too long');
      const lines = program.stdout
        .slice(before)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { level: number; msg: string; err?: { stack: string } });
      const fatal = lines.filter(({ level }) => level >= 60);
      expect(fatal).to.have.lengthOf(1);
      expect(fatal[0]).to.include({ msg: message });
      const frames = fatal[0]?.err?.stack.match(/\/server\/\S+/g) ?? [];
      expect(frames.map((frame) => frame.replace(/\d+:\d+\)$/, 'LINE'))).to.deep.equal([
        '/server/shutdown.ts:LINE',
        '/server/shutdown.ts:LINE',
        '/server/program.ts:LINE',
      ]);
      for (const frame of frames) {
        const [, file = '', line] = /^\/(.+):(\d+):\d+\)$/.exec(frame) ?? [];
        const source = (await readFile(join(packageRoot, file), 'utf8')).split('\n')[Number(line) - 1];
        expect(source, frame).to.match(/setTimeout\(|#limit\(|shutdown\.begin\(/);
      }
      await until('its database to have ended', () => !alive(pid));
    });

  it('is ended by force, and its database with it, when its event loop is starved while it stops', async () => {
    await start({}, onSignal('SIGTERM', 'const spin = async () => { for (;;) await null; }; void spin();'));
    const pid = await postmaster();
    const watch = new Stopwatch([program.pid]);
    program.kill('SIGTERM');
    await ended(program);
    expect(watch.ran).to.be.below(ENDS_WITHIN);
    expect(program.code).to.equal(null);
    expect(program.stdout).to.include('the shutdown took too long');
    await until('its database to have ended', () => !alive(pid));
  });
});

/** The statuses of answers, of which none may be cut off. */
function wholeAnswers(said: string): number[] {
  const statuses: number[] = [];
  for (let at = 0; at < said.length;) {
    const head = /^HTTP\/1\.1 (\d{3}) [^]*?\r\n\r\n/.exec(said.slice(at, at + 4000));
    if (!head) throw new Error(`no answer at ${at}: ${said.slice(at, at + 200)}`);
    const length = /\r\nContent-Length: (\d+)\r\n/i.exec(head[0])?.[1];
    const start = at + head[0].length;
    const last = said.indexOf('0\r\n\r\n', start);
    at = length === undefined ? (last < 0 ? Infinity : last + 5) : start + Number(length);
    expect(at, `the end of an answer ${head[1]}`).to.be.at.most(said.length);
    statuses.push(Number(head[1]));
  }
  return statuses;
}

/** Code for the process: at this signal, after the service's own listeners have been called, it does something foul. */
function onSignal(signal: string, code: string): string {
  return `if (!process.env.TIDINGS_WORKER_SLOT) process.on('${signal}', () => setImmediate(() => { ${code} }));`;
}
