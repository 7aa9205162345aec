import { expect } from 'chai';
import { Redis } from 'ioredis';
import { mkdtemp, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedRedis, startRedis, type TestRedis } from './support/redis.ts';
import { systemBinary } from './support/system-binary.ts';

describe('a Redis of the test’s own', () => {
  const started: TestRedis[] = [];
  const start = async (...args: Parameters<typeof startRedis>) => {
    const redis = await startRedis(...args);
    started.push(redis);
    return redis;
  };
  afterEach(async () => {
    await Promise.all(started.splice(0).map((redis) => redis.stop()));
  });

  it('answers, and two of them share nothing', async () => {
    const [one, other] = await Promise.all([start(), start()]);
    expect(one.port).to.not.equal(other.port);
    await using(one.url, (client) => client.set('key', 'value'));
    expect(await using(other.url, (client) => client.get('key'))).to.equal(null);
    expect(await using(one.url, (client) => client.get('key'))).to.equal('value');
  });

  it('is gone after a kill, and comes back empty under the same address', async () => {
    const redis = await start();
    const { url, pid } = redis;
    await using(url, (client) => client.set('key', 'value'));
    await redis.kill('SIGKILL');
    expect(await failureOf(using(url, (client) => client.ping()))).to.be.an('error');
    await redis.restart();
    expect(redis.url).to.equal(url);
    expect(redis.pid).to.not.equal(pid);
    expect(await using(url, (client) => client.get('key'))).to.equal(null);
  });

  it('can be frozen and thawed, and stopped while frozen', async () => {
    const redis = await start();
    await redis.kill('SIGSTOP');
    expect(await failureOf(using(redis.url, (client) => client.ping(), 300))).to.be.an('error');
    await redis.kill('SIGCONT');
    expect(await using(redis.url, (client) => client.ping())).to.equal('PONG');
    await redis.kill('SIGSTOP');
    await redis.stop();
    await redis.stop();
  });

  it('asks for the password it was given, and its url carries it', async () => {
    const redis = await start({ password: 'secret' });
    expect(await using(redis.url, (client) => client.ping())).to.equal('PONG');
    const without = redis.url.replace(':secret@', '');
    expect((await failureOf(using(without, (client) => client.get('key'))))?.message).to.match(/NOAUTH/);
  });

  it('passes arguments on, and says why a server did not start', async () => {
    const redis = await start({ args: ['--maxmemory', '10mb'] });
    const memory = await using(redis.url, (client) => client.config('GET', 'maxmemory'));
    expect(memory).to.deep.equal(['maxmemory', String(10 * 1024 * 1024)]);
    expect((await failureOf(startRedis({ port: redis.port })))?.message).to.match(/Address already in use/);
  });

  it('is the one of TEST_REDIS_URL where that is enough, which has to be there', async () => {
    const redis = await start();
    const before = process.env.TEST_REDIS_URL;
    try {
      process.env.TEST_REDIS_URL = redis.url;
      const shared = await sharedRedis();
      expect(shared.url).to.equal(redis.url);
      await shared.stop();
      expect(await using(redis.url, (client) => client.ping())).to.equal('PONG');
      await redis.stop();
      expect((await failureOf(sharedRedis()))?.message).to.match(/TEST_REDIS_URL/);
    } finally {
      if (before === undefined) delete process.env.TEST_REDIS_URL;
      else process.env.TEST_REDIS_URL = before;
    }
  });

  it('runs from a private copy where none is installed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-empty-'));
    try {
      const redis = await start({ env: { PATH: folder } });
      expect(await readlink(`/proc/${redis.pid}/exe`)).to.include('/.cache/binaries/');
      expect(await using(redis.url, (client) => client.ping())).to.equal('PONG');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a program that the tests need', () => {
  it('fails with the line to type where it can’t be had', async () => {
    const wanted = {
      names: ['no-such-server'],
      packages: ['no-such-package'],
      hint: 'Install it with: magic',
    };
    expect((await failureOf(systemBinary(wanted)))?.message).to.match(
      /^No no-such-server on the PATH, .*Install it with: magic$/s,
    );
  });
});

/** One client for one question: it gives up in time and leaves nothing behind. */
async function using<T>(
  url: string,
  question: (client: Redis) => Promise<T>,
  commandTimeout = 5000,
): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, commandTimeout });
  client.on('error', () => undefined); // the command's own rejection tells it
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

async function failureOf(promise: Promise<unknown>): Promise<Error | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => error as Error,
  );
}
