import { expect } from 'chai';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('searches that take long', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on' });
    ada = await world.user();
    await writePost(ada, { title: 'needle' });
  });
  after(() => world.close());

  /** Whatever reads posts while `work` runs waits for its end. */
  async function slowly<T>(work: () => Promise<T>): Promise<T> {
    const client = await world.pool.connect();
    try {
      await client.query('begin; lock table posts in access exclusive mode');
      return await work();
    } finally {
      await client.query('rollback');
      client.release();
    }
  }

  const search = (user: TestUser, n: number) => user.get<unknown[]>(`/posts?search=needl&limit=${1 + n}`);

  it('are four of one user at once, and then those of others are still answered', async () => {
    const bob = await world.user();
    const [own, other] = await slowly(async () => {
      const five = [...[0, 1, 2, 3].map((n) => search(ada, n)), ada.get<unknown[]>('/posts?skip=1001')];
      // Whichever comes last; the others get no answer yet.
      const refused = await Promise.race(five);
      expectProblem(refused, 429, 'too_many_requests');
      expect(refused.headers.get('retry-after')).to.equal('1');
      return [five, search(bob, 1)] as const;
    });
    const answers = await Promise.all(own);
    expect(answers.filter(({ status }) => status === 429)).to.have.lengthOf(1);
    for (const [n, { status, body }] of answers.entries())
      if (status !== 429) expect([status, body.length]).to.deep.equal([200, n < 4 ? 1 : 0]);
    const { status, body: found } = await other;
    expect([status, found.length]).to.deep.equal([200, 1]);
    expect((await search(ada, 1)).status, 'when they are done').to.equal(200);
    const { body } = await world.anonymous.get<string>('/metrics');
    expect(body).to.match(/^tidings_rate_limited_total\{limit="search"\} \d+$/m);
  });

  const users: TestUser[] = [];
  /** The same for both tests: an address makes forty accounts an hour. */
  const crowdOf26 = async () => {
    while (users.length < 26) users.push(await world.user());
    return users;
  };

  it('of twenty-five users do not stop those of another at the same address', async () => {
    const [stranger, ...crowd] = await crowdOf26();
    const [flood, own] = await slowly(async () => {
      const asked = crowd.flatMap((user) => [0, 1, 2, 3].map((n) => search(user, n)));
      await until('the queue to be full', () => world.ctx.feedReader.slowWaiting === 96);
      let refused = 0;
      for (const answer of asked) void answer.then(({ status }) => (refused += Number(status === 503)));
      const late = search(stranger!, 1);
      await until('one of the others to be refused', () => refused === 1);
      return [asked, late] as const;
    });
    expect((await own).status).to.equal(200);
    const all = await Promise.all(flood);
    expect(all.filter(({ status }) => status === 503)).to.have.lengthOf(1);
  });

  it('are a hundred of all together, and the next is told to come back', async () => {
    const crowd = await crowdOf26();
    const answers = await slowly(async () => {
      const asked = crowd.flatMap((user) => [0, 1, 2, 3].map((n) => search(user, n)));
      let answered = 0;
      for (const answer of asked) void answer.then(() => (answered += 1));
      await until('four to be refused', () => answered === 4);
      return asked;
    });
    const all = await Promise.all(answers);
    const refused = all.filter(({ status }) => status !== 200);
    expect(refused).to.have.lengthOf(4);
    for (const answer of refused) {
      expectProblem(answer, 503, 'unavailable');
      expect(answer.headers.get('retry-after')).to.equal('5');
    }
    expect((await search(ada, 1)).status).to.equal(200);
  });
});
