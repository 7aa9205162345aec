import { expect } from 'chai';
import type { NodeProcess } from './support/node-process.ts';
import { rawRequest } from './support/raw-request.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { type OwnService, startService } from './support/own-service.ts';
import { inOneTry } from './support/tries.ts';
import { until } from './support/waiting.ts';
import { Api, PASSWORD, signUp, type TestUser } from './support/world.ts';

const ALLOWED = 6;

for (const redisIs of ['not configured', 'dead'] as const)
  describe(`the limits of two workers, with a Redis that is ${redisIs}`, () => {
    let workers: OwnService;
    let redis: TestRedis | undefined;
    let service: NodeProcess;
    let ada: TestUser;

    before(async () => {
      redis = redisIs === 'dead' ? await startRedis() : undefined;
      workers = await startService({
        workers: 2,
        redis,
        env: { TRUST_PROXY: 'loopback', LOGIN_FAILURES: String(ALLOWED) },
      });
      ({ service } = workers);
      await redis?.kill();
    });
    after(async () => {
      await workers.stop();
      expect(service.misconduct).to.be.empty;
    });
    /** With an account that has not been counted before. */
    const withNewcomer = (once: () => Promise<void>) =>
      inOneTry(async () => {
        ada = await signUp(service.url);
        await once();
      });

    let lastAddress = 0;
    const elsewhere = () => `203.0.113.${(lastAddress += 1)}`;
    /** On a connection of its own: the primary hands them to its workers in turn. */
    const send = (method: string, path: string, headers: Record<string, string>, body?: object) =>
      rawRequest(service.url, {
        method,
        path,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    const login = async (password: string, address: string) =>
      (await send('POST', '/login', { 'x-forwarded-for': address }, { email: ada.email, password })).status;

    it('are one: an account is offered no more wrong passwords than one process would offer', () =>
      withNewcomer(async () => {
        const statuses: number[] = [];
        for (let at = 0; at < 2 * ALLOWED; at += 1) statuses.push(await login('a guess', elsewhere()));
        expect(statuses).to.deep.equal([
          ...Array<number>(ALLOWED).fill(403),
          ...Array<number>(ALLOWED).fill(429),
        ]);
      }));

    it('are one for guesses that come all at once', () =>
      withNewcomer(async () => {
        const statuses = await Promise.all(
          Array.from({ length: 4 * ALLOWED }, () => login('a guess', elsewhere())),
        );
        expect(statuses.filter((status) => status === 403)).to.have.length.within(1, ALLOWED);
        expect(statuses.filter((status) => status !== 403 && status !== 429)).to.be.empty;
      }));

    it('let the owner in at either worker where they have been, while the account is shut', () =>
      withNewcomer(async () => {
        const home = elsewhere();
        expect(await login(PASSWORD, home)).to.equal(200);
        for (let at = 0; at < 2 * ALLOWED; at += 1) await login('a guess', elsewhere());
        expect(await login(PASSWORD, elsewhere())).to.equal(429);
        for (let at = 0; at < 2 * ALLOWED; at += 1) expect(await login(PASSWORD, home)).to.equal(200);
      }));

    it('are one for requests of one user', () =>
      withNewcomer(async () => {
        const left = async () => {
          const { headers } = await send('DELETE', '/posts/999999/vote', {
            authorization: `Bearer ${ada.token}`,
          });
          return Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);
        };
        const seen: number[] = [];
        for (let at = 0; at < 6; at += 1) seen.push(await left());
        expect(seen[0]).to.be.above(0);
        expect(seen).to.deep.equal(seen.map((_, at) => seen[0]! - at));
      }));

    if (redisIs === 'dead')
      it('are said to be the machine’s own', async () => {
        await until('both workers to tell', async () => {
          const { body } = await new Api(service.url).get<string>('/metrics');
          return (
            /^tidings_redis_degraded 1$/m.test(body) && /^tidings_rate_limits_local_total [1-9]/m.test(body)
          );
        });
        const { body } = await new Api(service.url).get<object>('/readyz');
        expect(body).to.deep.include({ status: 'degraded' });
        expect(body).to.have.nested.property('parts.redis.reason', 'Redis cannot be reached.');
      });
  });
