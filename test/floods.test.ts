import { expect } from 'chai';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { TIME_LIMITS } from '../server/time-limits.ts';
import { expectProblem } from './support/problems.ts';
import { query } from './support/postgres.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { Stopwatch } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

/** What a counter of `/metrics` stands at, by its name with labels. */
async function counted({ anonymous }: World, series: string): Promise<number> {
  const { body } = await anonymous.get<string>('/metrics');
  const line = body.split('\n').find((text) => text.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

for (const redisIs of ['not configured', 'there', 'dead'] as const)
  describe(`a flood of requests, with a Redis that is ${redisIs}`, () => {
    let redis: TestRedis | undefined;
    let world: World;
    let flooder: TestUser;
    let bystander: TestUser;
    before(async () => {
      redis = redisIs === 'not configured' ? undefined : await startRedis();
      world = await createWorld({ RATE_LIMITS: 'on', ...(redis ? { REDIS_URL: redis.url } : {}) });
      flooder = await world.user();
      bystander = await world.user();
      if (redisIs === 'dead') await redis?.kill();
    });
    after(async () => {
      await world.close();
      await redis?.stop();
    });

    /** Asks until it is refused, a few at a time, and gives how often it was not. */
    async function flood(ask: (at: number) => Promise<Answer>, policy: RegExp): Promise<number> {
      let allowed = 0;
      for (let at = 0; ; at += 20) {
        const answers = await Promise.all(Array.from({ length: 20 }, (_, one) => ask(at + one)));
        const refused = answers.filter(({ status }) => status === 429);
        allowed += answers.length - refused.length;
        for (const answer of answers) {
          expect(answer.headers.get('ratelimit-policy')).to.match(policy);
          if (answer.status !== 429) continue;
          expectProblem(answer, 429, 'too_many_requests');
          expect(Number(answer.headers.get('retry-after'))).to.be.within(1, 60);
        }
        if (refused.length > 0) return allowed;
      }
    }

    it('from one user ends in 429 at the number that was told, and touches nobody else', async () => {
      const { headers } = await flooder.delete('/posts/999999/vote');
      const told = Number(/q=(\d+)/.exec(headers.get('ratelimit-policy') ?? '')?.[1]);
      const allowed = await flood(() => flooder.delete('/posts/999999/vote'), /^"write";/);
      expect(allowed + 1).to.equal(told);
      expectProblem(await flooder.post<object>('/posts', { title: 'one more', content: '' }), 429);
      expect((await bystander.post('/posts', { title: 'not I', content: '' })).status).to.equal(201);
      expect((await flooder.get('/posts')).status, 'reading has a limit of its own').to.equal(200);
      expect(await counted(world, 'tidings_rate_limited_total{limit="write"}')).to.be.above(0);
    });

    it('from one address ends in 429, whatever it says of other addresses, and spares anyone who has a token', async () => {
      const started = await counted(world, 'tidings_rate_limited_total{limit="refresh-address"}');
      const claiming = (at: number) =>
        world.anonymous.post(
          '/refresh',
          { refresh_token: 'nobody’s' },
          { 'x-forwarded-for': `203.0.113.${at}`, 'x-real-ip': `198.51.100.${at}` },
        );
      const before = await claiming(0);
      const [, told, left] = /q=(\d+).*?r=(\d+)/
        .exec(`${before.headers.get('ratelimit-policy')} ${before.headers.get('ratelimit')}`)!
        .map(Number);
      expect(told).to.be.within(5, 1000);
      expect(await flood(claiming, /^"refresh-address";/)).to.equal(left);
      for (const user of [bystander, flooder]) expect((await user.get('/users/me')).status).to.equal(200);
      expect(await counted(world, 'tidings_rate_limited_total{limit="refresh-address"}')).to.be.above(
        started,
      );
    });
  });

describe('a request', () => {
  it('has ten seconds for its headers and fifteen in all', async () => {
    const world = await createWorld();
    try {
      const { httpServer } = world.server.service.gateway.io as unknown as { httpServer: Server };
      expect(httpServer).to.include({ headersTimeout: 10_000, requestTimeout: 15_000 });
    } finally {
      await world.close();
    }
  });
});

describe('a hundred requests that never end', () => {
  const EACH = 50;
  /** A fifth of the service's own, so that nobody waits for those. Milliseconds. */
  const LIMITS = { headers: TIME_LIMITS.headers / 5, request: TIME_LIMITS.request / 5 };
  /** What a busy machine may take to act on them. Milliseconds. */
  const ENDED_WITHIN = LIMITS.request + 3000;
  let world: World;
  before(async () => {
    world = await createWorld({}, undefined, undefined, LIMITS);
  });
  after(() => world.close());

  /**
   * A request that continues, a byte a second, until its connection is closed; gives how long that took, also without what
   * this process was held up meanwhile, and what was answered.
   */
  function trickle(beginning: string): Promise<{ took: number; ran: number; said: string }> {
    const { hostname, port } = new URL(world.url);
    const watch = new Stopwatch();
    return new Promise((resolve) => {
      const tcp = connect(Number(port), hostname, () => tcp.write(beginning));
      const dripping = setInterval(() => tcp.write('x'), 1000);
      let said = '';
      tcp.on('data', (chunk) => (said += chunk.toString()));
      tcp.on('error', () => undefined); // a close follows
      tcp.on('close', () => {
        clearInterval(dripping);
        resolve({ took: watch.passed, ran: watch.ran, said });
      });
    });
  }

  it('are each answered with 408 and closed when their time is over, while others are served', async () => {
    const user = await world.user();
    const headersOnly = 'GET /posts HTTP/1.1\r\nHost: localhost\r\nX-Slow: ';
    const noEnd =
      `POST /posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${user.token}\r\n` +
      'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"title":"';
    // A bystander waits for the database as well, where that is on this machine.
    const backends = await query(world.databaseUrl, 'select pid from pg_stat_activity');
    const pids = (backends as { pid: number }[]).map(({ pid }) => pid);
    const slow = [headersOnly, noEnd].flatMap((text) => Array.from({ length: EACH }, () => trickle(text)));
    let over = false;
    const watching = (async () => {
      let longest = 0;
      while (!over) {
        const watch = new Stopwatch(pids);
        expect((await user.get('/posts')).status).to.equal(200);
        longest = Math.max(longest, watch.ran);
        await pause(250);
      }
      return longest;
    })();
    const ended = await Promise.all(slow);
    over = true;
    for (const { took, ran, said } of ended) {
      expect(took).to.be.at.least(LIMITS.headers - 100);
      expect(ran).to.be.at.most(ENDED_WITHIN);
      expect(said)
        .to.match(/^HTTP\/1\.1 408 /)
        .and.to.contain('urn:tidings:problem:request_timeout');
    }
    expect(await watching, 'the slowest answer to a bystander').to.be.below(1000);
    expect(await counted(world, 'tidings_requests_malformed_total{status="408"}')).to.equal(2 * EACH);
  });
});
