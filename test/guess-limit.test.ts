import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { AppError } from '../server/errors.ts';
import { GuessLimit } from '../server/limits/guess-limit.ts';
import type { RedisStore } from '../server/limits/redis-store.ts';
import { SharedCounts } from '../server/limits/shared-counts.ts';
import { expectProblem } from './support/problems.ts';
import { openRedisStore } from './support/redis-store.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const ALLOWED = 5;
/** How long Redis is waited for where a test counts on it, on a busy machine too. Milliseconds. */
const PATIENT = 30_000;

/** Documentation's own addresses: each test has its own, and the proxy here is trusted to tell them. */
let lastAddress = 0;
const elsewhere = () => `203.0.113.${(lastAddress += 1)}`;

for (const redisIs of ['not configured', 'there', 'dead'] as const)
  describe(`wrong passwords for one account, with a Redis that is ${redisIs}`, () => {
    let redis: TestRedis | undefined;
    let world: World;
    let ada: TestUser;
    before(async () => {
      redis = redisIs === 'not configured' ? undefined : await startRedis();
      world = await createWorld({
        RATE_LIMITS: 'on',
        TRUST_PROXY: 'loopback',
        LOGIN_FAILURES: String(ALLOWED),
        ...(redis ? { REDIS_URL: redis.url } : {}),
      });
      if (redisIs === 'dead') await redis?.kill();
    });
    after(async () => {
      await world.close();
      await redis?.stop();
    });
    beforeEach(async () => {
      ada = await world.user();
    });

    const login = (email: string, password: string, address: string) =>
      world.anonymous.post('/login', { email, password }, { 'x-forwarded-for': address });
    /** Guesses from a new address each time until the account is shut. */
    async function shut(email: string): Promise<void> {
      for (let at = 0; at < ALLOWED; at += 1)
        expectProblem(await login(email, 'a guess', elsewhere()), 403, 'invalid_credentials');
      expectProblem(await login(email, 'a guess', elsewhere()), 429, 'too_many_requests');
    }

    it('are refused after the last one allowed, from whatever address and however it is written', async () => {
      const refused = async () =>
        Number(
          /^tidings_rate_limited_total\{limit="guess"\} (\d+)$/m.exec(
            (await world.anonymous.get<string>('/metrics')).body,
          )?.[1] ?? 0,
        );
      const before = await refused();
      await shut(ada.email);
      const right = await login(ada.email.toUpperCase(), PASSWORD, elsewhere());
      expectProblem(right, 429, 'too_many_requests');
      expect(Number(right.headers.get('retry-after'))).to.be.within(1, 900);
      expect(await refused()).to.equal(before + 2);
    });

    it('are refused in the same way for an account that does not exist', async () => {
      await shut('nobody-at-all@example.org');
      expectProblem(await login('Nobody-at-all@example.org', PASSWORD, elsewhere()), 429);
    });

    it('shut out neither the owner where they have been, nor anybody else', async () => {
      const home = elsewhere();
      expect((await login(ada.email, PASSWORD, home)).status).to.equal(200);
      await shut(ada.email);
      expect((await login(ada.email, PASSWORD, home)).status).to.equal(200);
      const bob = await world.user();
      expect((await login(bob.email, PASSWORD, elsewhere())).status).to.equal(200);
      // There as well they are counted.
      for (let at = 0; at < ALLOWED; at += 1) expectProblem(await login(ada.email, 'a guess', home), 403);
      expectProblem(await login(ada.email, PASSWORD, home), 429);
    });

    it('cannot be tried past the limit all at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: ALLOWED * 5 }, () => login(ada.email, 'a guess', elsewhere())),
      );
      expect(answers.filter(({ status }) => status === 403)).to.have.length.within(1, ALLOWED);
      expect(answers.filter(({ status }) => status !== 403 && status !== 429)).to.be.empty;
    });

    it('of other people keep no owner who is logged in from changing the password or deleting the account', async () => {
      const other = await logIn(world.url, ada);
      await shut(ada.email);
      for (let at = 0; at < ALLOWED; at += 1)
        expectProblem(await ada.delete<object>('/users/me', { password: 'a typo' }), 403);
      expectProblem(await ada.delete<object>('/users/me', { password: PASSWORD }), 429, 'too_many_requests');
      // Another session of the owner's has guesses of its own.
      const changed = await other.patch<object>('/users/me', {
        password: 'another horse',
        current_password: PASSWORD,
      });
      expect(changed.status).to.equal(200);
      expect((await other.delete('/users/me', { password: 'another horse' })).status).to.equal(204);
    });

    it('count with a stolen token as they do at the login', async () => {
      const thief = await logIn(world.url, ada);
      for (let at = 0; at < ALLOWED; at += 1)
        expectProblem(
          await thief.patch<object>(
            '/users/me',
            { email: 'thief@example.org', current_password: 'a guess' },
            { 'x-forwarded-for': elsewhere() },
          ),
          403,
        );
      expectProblem(
        await thief.delete<object>('/users/me', { password: PASSWORD }, { 'x-forwarded-for': elsewhere() }),
        429,
      );
    });

    it('are all that counts: right ones may come as often as the address may ask', async () => {
      for (let at = 0; at < ALLOWED * 2; at += 1)
        expect((await login(ada.email, PASSWORD, elsewhere())).status).to.equal(200);
    });
  });

it('nodes with one Redis count wrong passwords together, and know each other’s familiar addresses', async () => {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  const stores = await Promise.all([
    openRedisStore(redis.url, 'tidings', PATIENT),
    openRedisStore(redis.url, 'tidings', PATIENT),
  ]);
  try {
    const [one, two] = stores.map(
      (store) => new GuessLimit(2, new SharedCounts([store]), ['a secret'], () => undefined),
    ) as [GuessLimit, GuessLimit];
    const wrong = (limit: GuessLimit, address: string) =>
      limit
        .attempt({ account: 7, address }, () => Promise.reject(new AppError('invalid_credentials', 'no')))
        .catch((error: unknown) => (error as AppError).code);
    await one.welcome({ account: 7, address: '203.0.113.200' });
    expect(await wrong(one, '203.0.113.201')).to.equal('invalid_credentials');
    expect(await wrong(two, '203.0.113.202')).to.equal('invalid_credentials');
    expect(await wrong(one, '203.0.113.203')).to.equal('too_many_requests');
    expect(await wrong(two, '203.0.113.203')).to.equal('too_many_requests');
    expect(await wrong(two, '203.0.113.200')).to.equal('invalid_credentials');
    const code = (limit: GuessLimit, hash: string) =>
      limit
        .attemptCode(
          { account: 7, address: '203.0.113.201' },
          hash,
          () => Promise.reject(new AppError('otp_invalid', 'no')),
          () => Promise.resolve(),
        )
        .catch((error: unknown) => (error as AppError).code);
    const tried = [];
    for (let at = 0; at < 12; at += 1) tried.push(await code(at % 2 === 0 ? one : two, 'hash'));
    expect(tried.filter((answer) => answer === 'otp_invalid')).to.have.lengthOf(10);
    expect(tried.slice(-2)).to.deep.equal(['too_many_requests', 'too_many_requests']);
    expect(await code(two, 'hash of another password')).to.equal('otp_invalid');
    for (const key of await client.keys('*')) expect(await client.ttl(key), key).to.be.greaterThan(0);
  } finally {
    client.disconnect();
    for (const store of stores) store.close();
    await redis.stop();
  }
});

describe('what is kept of the addresses that somebody logs in from', () => {
  let redis: TestRedis;
  let client: Redis;
  let store: RedisStore;
  before(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
    store = await openRedisStore(redis.url, 'tidings', PATIENT);
  });
  after(async () => {
    client.disconnect();
    store.close();
    await redis.stop();
  });
  const limitOf = (...secrets: string[]) =>
    new GuessLimit(1, new SharedCounts([store]), secrets, () => undefined);
  const guess = (limit: GuessLimit, account: number, address: string) =>
    limit
      .attempt({ account, address }, () => Promise.reject(new AppError('invalid_credentials', 'no')))
      .catch((error: unknown) => (error as AppError).code);
  const kept = (account: number) => client.zrange(`tidings:familiar:u${account}`, '0', '-1');

  it('stands for an address only to anyone who has the key, and is found under an older one', async () => {
    await limitOf('old').welcome({ account: 8, address: '203.0.113.1' });
    const [before] = await kept(8);
    expect(before).to.match(/^[\w-]{22}$/);
    for (const plain of ['203.0.113.1', 'tidings: guesses203.0.113.1'])
      expect(before).not.to.equal(createHash('sha256').update(plain).digest('base64url').slice(0, 22));
    const strange = limitOf('another');
    await guess(strange, 8, '203.0.113.2');
    expect(await guess(strange, 8, '203.0.113.1'), 'to another key').to.equal('too_many_requests');
    expect(await guess(limitOf('new', 'old'), 8, '203.0.113.1'), 'after a rotation').to.equal(
      'invalid_credentials',
    );
    await limitOf('new', 'old').welcome({ account: 8, address: '203.0.113.1' });
    expect(await kept(8)).to.have.lengthOf(2);
  });

  it('is a hundred at most, the newest, and what is over is forgotten', async () => {
    const limit = limitOf('key');
    await client.zadd('tidings:familiar:u9', String(Date.now() - 1), 'long ago');
    for (let n = 0; n < 105; n += 1) {
      await limit.welcome({ account: 9, address: `203.0.113.${n}` });
      // Of those of one millisecond Redis does not know the newest.
      if (n === 4) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await kept(9))
      .to.have.lengthOf(100)
      .and.not.include('long ago');
    expect(await client.ttl('tidings:familiar:u9')).to.be.within(1, 14 * 86_400);
    const other = limitOf('key');
    await guess(other, 9, '198.51.100.1');
    expect(await guess(other, 9, '203.0.113.104')).to.equal('invalid_credentials');
    expect(await guess(other, 9, '203.0.113.1')).to.equal('too_many_requests');
  });

  it('goes with the account', async () => {
    const limit = limitOf('key');
    await limit.welcome({ account: 10, address: '203.0.113.1' });
    await limit.welcome({ account: 100, address: '203.0.113.1' });
    await limit.forget(10);
    expect(await kept(10)).to.be.empty;
    expect(await kept(100)).to.have.lengthOf(1);
    expect(await guess(limit, 10, '203.0.113.2')).to.equal('invalid_credentials');
    expect(await guess(limit, 10, '203.0.113.1'), 'in memory').to.equal('too_many_requests');

    const world = await createWorld({ RATE_LIMITS: 'on', REDIS_URL: redis.url, REDIS_PREFIX: 'tidings' });
    try {
      // Redis is not waited for: on a busy machine what is to be kept or forgotten may not reach it.
      await until(
        'the addresses of one who was known to go',
        async () => {
          const ada = await world.user();
          if ((await kept(ada.id)).length !== 1) return false;
          expect((await ada.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
          return until('them to be gone', async () => (await kept(ada.id)).length === 0, 1000).then(
            () => true,
            () => false,
          );
        },
        15_000,
      );
    } finally {
      await world.close();
    }
  });
});
