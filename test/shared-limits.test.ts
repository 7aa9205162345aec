import { expect } from 'chai';
import { expectProblem } from './support/problems.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { startTwoNodes, type TwoNodes } from './support/two-nodes.ts';
import { until } from './support/waiting.ts';
import { Api, PASSWORD, signUp, type TestUser } from './support/world.ts';

describe('the limits of two nodes with one Redis', () => {
  let redis: TestRedis;
  let nodes: TwoNodes;
  before(async () => {
    redis = await startRedis();
    nodes = await startTwoNodes({ redis, env: { RATE_LIMITS: 'on' } });
  });
  after(async () => {
    await nodes.stop();
    expect([...nodes.first.misconduct, ...nodes.second.misconduct]).to.deep.equal([]);
  });

  /** Somebody at both nodes. */
  async function somebody(): Promise<{ user: TestUser; at: [first: Api, second: Api] }> {
    const user = await signUp(nodes.first.url);
    return { user, at: [user, new Api(nodes.second.url, user.token)] };
  }

  /** A request that is counted as a write and changes nothing. */
  const write = (api: Api) => api.delete<object>('/posts/999999/vote');
  const policyOf = (headers: Headers) => Number(/q=(\d+)/.exec(headers.get('ratelimit-policy') ?? '')?.[1]);
  const left = (headers: Headers) => Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);

  /** Writes until it is refused, a few at a time, and gives how often it was not. */
  async function flood(api: Api, onRound: (allowed: number) => Promise<void> = () => Promise.resolve()) {
    let allowed = 0;
    for (;;) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => write(api)));
      for (const answer of answers) expectProblem(answer, answer.status === 429 ? 429 : 404);
      const refused = answers.filter(({ status }) => status === 429).length;
      allowed += answers.length - refused;
      if (refused > 0) return allowed;
      await onRound(allowed);
    }
  }

  it('count refreshes by session, apart from logins, so that many can renew behind one address', async () => {
    const people = await Promise.all([1, 2].map(() => signUp(nodes.first.url)));
    const anonymous = new Api(nodes.first.url);
    const refresh = (token: string) => anonymous.post<object>('/refresh', { refresh_token: token });
    const [mine, theirs] = people.map(({ refreshToken }) => refreshToken) as [string, string];
    const limit = policyOf((await refresh(mine)).headers);
    const answers = await Promise.all(Array.from({ length: limit }, () => refresh(mine)));
    expect(answers.filter(({ status }) => status === 200)).to.have.lengthOf(limit - 1);
    expectProblem(await refresh(mine), 429);
    // Neither these nor those of tokens that are nobody's keep anyone else from renewing.
    const garbage = await Promise.all(Array.from({ length: limit + 1 }, () => refresh('nobody-s')));
    expect(new Set(garbage.map(({ status }) => status))).to.deep.equal(new Set([401]));
    expect((await refresh(theirs)).status).to.equal(200);
    const login = await anonymous.post<object>('/login', { email: people[0]?.email, password: PASSWORD });
    expect(login.status).to.equal(200);
  });

  it('are one: what is spent at one is spent at the other', async () => {
    const [first, second] = (await somebody()).at;
    const both = async (one: Api, other: Api) => {
      const before = left((await write(one)).headers);
      return left((await write(other)).headers) === before - 1;
    };
    // A Redis that is slow for a moment is passed over for two seconds, as it is on a busy machine.
    await until('writes at the first to be counted at the second', () => both(first, second));
    await until('writes at the second to be counted at the first', () => both(second, first));
  });

  it('are reached together: anyone who has had all at one gets nothing at the other, but for what Redis has missed', async () => {
    let [first, second] = (await somebody()).at;
    const limit = policyOf((await write(second)).headers);
    // A Redis that is slow for a moment is passed over for two seconds, longer than the flood: then once more, with somebody else.
    await until(
      'a flood that Redis has counted',
      async () => {
        [first, second] = (await somebody()).at;
        expect(await flood(first)).to.be.within(limit / 2, limit);
        return (await write(second)).status === 429;
      },
      40_000,
    );
    // And it stays so, however often it is asked.
    let allowed = 0;
    for (let asked = 0; asked < limit; asked += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => write(second)));
      for (const answer of answers) {
        expectProblem(answer, answer.status === 429 ? 429 : 404);
        if (answer.status !== 429) allowed += 1;
        else expect(Number(answer.headers.get('retry-after'))).to.be.within(1, 60);
      }
    }
    expect(allowed).to.be.below(limit / 2);
    for (const api of (await somebody()).at) expectProblem(await write(api), 404);
  });

  // Last, since it kills what the others need.
  it('are each node’s own when Redis dies during a flood: nobody gets more than that at either, and nothing fails', async () => {
    const { user, at } = await somebody();
    const limit = policyOf((await write(user)).headers);
    let killed: Promise<void> | undefined;
    const [atFirst, atSecond] = await Promise.all(
      at.map((api) =>
        flood(api, async (allowed) => {
          if (allowed > limit / 6) await (killed ??= redis.kill());
        }),
      ),
    );
    expect(killed, 'both were let in before the end of Redis').not.to.equal(undefined);
    // Each continues from what it has counted itself. One was asked for above.
    expect([atFirst! + 1, atSecond]).to.deep.equal([limit, limit]);
    for (const api of at) {
      expectProblem(await write(api), 429);
      expect((await api.get('/posts')).status, 'reading has a limit of its own').to.equal(200);
    }
  });
});
