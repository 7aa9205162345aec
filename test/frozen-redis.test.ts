import { expect } from 'chai';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import type { RedisStore } from '../server/limits/redis-store.ts';
import { SharedCounts, type Taken } from '../server/limits/shared-counts.ts';
import { openRedisStore } from './support/redis-store.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { Stopwatch, until } from './support/waiting.ts';

const HOUR = 3600;

describe('a count in a Redis that freezes', () => {
  let redis: TestRedis;
  let client: Redis;
  let store: RedisStore;
  let counts: SharedCounts;
  beforeEach(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
    client.on('error', () => undefined); // it is killed while this one is connected
    store = await openRedisStore(redis.url, 'p');
    counts = new SharedCounts([store]);
  });
  afterEach(async () => {
    store.close();
    client.disconnect();
    await redis.stop();
  });

  const inRedis = async (key: string) => Number(await client.get(`p:${key}`));
  /**
   * Takes until Redis has counted one: on a busy machine it may be passed over for a moment.
   * @returns that one, and what Redis has then
   */
  const takenInRedis = async (key: string): Promise<[taken: Taken, count: number]> => {
    let found: [Taken, number] | undefined;
    await until('Redis to count', async () => {
      const before = await inRedis(key);
      found = [await counts.take(key, HOUR), await inRedis(key)];
      return found[1] === before + 1;
    });
    return found!;
  };
  const counted = async (key: string) => (await takenInRedis(key))[1];

  it('is taken no further by what was given up meanwhile, when it wakes', async () => {
    const before = await counted('k');
    await redis.kill('SIGSTOP');
    const given = await Promise.all(Array.from({ length: 20 }, () => counts.take('k', HOUR)));
    expect(new Set(given.map(({ consumedPoints }) => consumedPoints))).to.have.lengthOf(20);
    await pause(300);
    await redis.kill('SIGCONT');
    // One connection answers in the order in which it was asked.
    await until('Redis to count again', async () => (await store.take('other', HOUR)) !== undefined);
    expect(await inRedis('k')).to.equal(before);
  });

  it('is not taken twice by a command that was sent again on a new connection', async () => {
    const before = await counted('k');
    await redis.kill('SIGSTOP');
    const given = counts.take('k', HOUR);
    await pause(300);
    await redis.kill('SIGCONT');
    await given;
    const { clients } = { clients: String(await client.client('LIST')) };
    for (const [, id] of clients.matchAll(/id=(\d+) .*name=tidings-limits/g))
      await client.client('KILL', 'ID', id!);
    await until('Redis to count again', async () => (await store.take('other', HOUR)) !== undefined);
    expect(await inRedis('k')).to.equal(before);
  });

  it('gets back what was taken before, once it wakes, and no more than that', async () => {
    await counted('k');
    const [taken, before] = await takenInRedis('k');
    await redis.kill('SIGSTOP');
    await taken.giveBack();
    // What Redis never counted is not given back to it.
    await (await counts.take('k', HOUR)).giveBack();
    await redis.kill('SIGCONT');
    await until('the point to be back', async () => (await inRedis('k')) === before - 1);
    await pause(1500);
    expect(await inRedis('k')).to.equal(before - 1);
  });

  it('continues in memory, from where it was', async () => {
    const before = await counted('k');
    await redis.kill('SIGSTOP');
    const watch = new Stopwatch();
    let last = 0;
    for (let at = 0; at < 20; at += 1) last = (await counts.take('k', HOUR)).consumedPoints;
    expect(last).to.be.at.least(before + 20);
    // The first is waited for; from then on nobody waits.
    expect(watch.ran).to.be.below(1000);
  });
});

it('a window in Redis is over in its last millisecond', async () => {
  const redis = await startRedis();
  const store = await openRedisStore(redis.url, 'p');
  try {
    let windows = 0;
    await until('many windows', async () => {
      for (let at = 0; at < 100; at += 1) {
        const { consumedPoints, msBeforeNext } = (await store.take('k', 0.003)) ?? {};
        if (consumedPoints === 1) windows += 1;
        expect(msBeforeNext).not.to.equal(0);
      }
      return windows > 300;
    });
  } finally {
    store.close();
    await redis.stop();
  }
});

it('a count that is over in the moment in which it is reached blocks nobody from then on', async () => {
  const ending = { consumedPoints: 11, msBeforeNext: 0 };
  const counts = new SharedCounts([{ take: () => Promise.resolve(ending) } as unknown as RedisStore]);
  await counts.take('k', HOUR, 10);
  ending.consumedPoints = 1;
  expect((await counts.take('k', HOUR, 10)).consumedPoints).to.be.at.most(2);
});

it('a point that is given back after its window is no point of the next one', async () => {
  const counts = new SharedCounts([]);
  const taken = await counts.take('k', 1);
  await pause(1100);
  await taken.giveBack();
  expect((await counts.take('k', 1)).consumedPoints).to.equal(1);
});
