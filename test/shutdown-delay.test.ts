import { expect } from 'chai';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { createDatabase } from './support/postgres.ts';
import { ended, ready, startProgram } from './support/program.ts';
import { RawClient } from './support/raw-client.ts';
import { until } from './support/waiting.ts';
import { requestBytes, Wire } from './support/wire.ts';
import { createWorld, signUp, type World } from './support/world.ts';

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
    world = await createWorld({ SHUTDOWN_DELAY: '2s' });
    const user = await world.user();
    expect((await askOnKept('/readyz')).status).to.equal(200);
    let hasStopped = false;
    const began = Date.now();
    stopped = world.close().then(() => void (hasStopped = true));
    const { status, retryAfter } = await askOnKept('/readyz');
    expect(status).to.equal(503);
    expect(retryAfter).to.equal('2');
    expect((await user.post('/posts', { title: 'still', content: '' })).status).to.equal(201);
    const client = await RawClient.join(world.url, { token: user.token });
    expect(client.closed).to.be.false;
    await until('the socket to be told', () => client.closed, 8000);
    expect(Date.now() - began).to.be.at.least(1900);
    await until('the end', () => hasStopped, 8000);
    expect(Date.now() - began).to.be.below(2000 + 9500);
  });
});

describe('a process that is sent SIGTERM', () => {
  for (const WORKERS of ['1', '2'])
    it(`serves for SHUTDOWN_DELAY, and then refuses what kept connections ask, with WORKERS=${WORKERS}`, async () => {
      const database = await createDatabase();
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const program = startProgram({
        ...{
          NODE_ENV: 'test',
          BCRYPT_COST: '4',
          RATE_LIMITS: 'off',
          LOG_LEVEL: 'warn',
          JWT_SECRET: 'x'.repeat(40),
        },
        ...{ DATABASE_URL: database.url, SHUTDOWN_DELAY: '2s', WORKERS },
      });
      try {
        await ready(program);
        const ada = await signUp(program.url);
        // A request that is in progress keeps a node from ending, and so its other connections open.
        const waiting = new Wire(program.url);
        const ask = (path: string) => askOn(agent, program.url + path, ada.token);
        expect((await ask('/posts')).status).to.equal(200);
        waiting.send(requestBytes('/events?wait=20', ada.token));
        const began = Date.now();
        program.kill('SIGTERM');
        await until('not to be ready', async () => (await ask('/readyz')).status === 503);
        expect((await ada.post('/posts', { title: 'still served', content: '' })).status).to.equal(201);
        let answer: Kept | undefined;
        await until('a refusal', async () => (answer = await ask('/posts')).status !== 200, 10_000);
        expect(Date.now() - began).to.be.at.least(1900);
        // The node may have closed the connection before it read the request: then nothing was done, and nothing is said.
        if (answer?.status !== 'closed') {
          expect(answer).to.deep.include({ status: 503, connection: 'close' });
          expect(answer?.retryAfter).to.match(/^\d+$/);
        }
        expect(waiting.said).to.match(/^HTTP\/1\.1 200 /);
        await ended(program);
        expect(Date.now() - began).to.be.below(2000 + 9500);
        expect(program.code, program.stdout + program.stderr).to.equal(0);
      } finally {
        agent.destroy();
        await program.stop();
        await database.drop();
      }
    });
});
