import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { PostView } from '../server/contract.ts';
import { MemoryStore } from '../server/limits/memory-store.ts';
import { SharedCounts } from '../server/limits/shared-counts.ts';
import { VoteLimit } from '../server/limits/vote-limit.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { openRedisStore } from './support/redis-store.ts';
import { startRedis } from './support/redis.ts';
import { execute, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const ALLOWED = 3;

describe('votes for one post from one address', () => {
  let world: World;
  /** Accounts of this hour, and an author elsewhere. */
  let ring: TestUser[];
  let author: TestUser;
  before(async () => {
    world = await createWorld({
      RATE_LIMITS: 'on',
      TRUST_PROXY: 'loopback',
      VOTES_PER_ADDRESS: String(ALLOWED),
    });
    author = await world.user();
    ring = await Promise.all(Array.from({ length: ALLOWED + 4 }, () => world.user()));
  });
  after(() => world.close());

  let places = 0;
  const somewhere = () => `203.0.113.${(places += 1)}`;
  const vote = (user: TestUser, post: PostView, address: string) =>
    user.put<{ votes: number }>(`/posts/${post.id}/vote`, undefined, { 'x-forwarded-for': address });
  const takeBack = (user: TestUser, post: PostView, address: string) =>
    user.delete<{ votes: number }>(`/posts/${post.id}/vote`, undefined, { 'x-forwarded-for': address });
  const votesOf = (post: PostView) =>
    numberOf(world, 'select votes from post_tallies where post_id = $1', [post.id]);

  it('of a ring of new accounts are refused beyond so many in an hour, however many come at once', async () => {
    const post = await writePost(author);
    const address = somewhere();
    const answers = await Promise.all(ring.map((user) => vote(user, post, address)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).to.have.lengthOf(ring.length - ALLOWED);
    for (const answer of refused) {
      const { detail } = expectProblem(answer, 429, 'too_many_requests');
      expect(detail).to.match(/^Too many votes for this post have come from your address/);
      expect(Number(answer.headers.get('retry-after'))).to.be.within(3500, 3600);
    }
    expect(await votesOf(post)).to.equal(ALLOWED);
    const { body } = await world.anonymous.get<string>('/metrics');
    expect(body).to.include(`tidings_rate_limited_total{limit="votes"} ${refused.length}\n`);
    // By the other road as well; from elsewhere, and for another post, they are let in.
    const late = ring[answers.findIndex(({ status }) => status === 429)]!;
    const strict = await late.post<object>(
      '/vote',
      { post_id: post.id, dir: 1 },
      { 'x-forwarded-for': address },
    );
    expectProblem(strict, 429, 'too_many_requests');
    expect((await vote(late, await writePost(author), address)).status).to.equal(200);
    expect((await vote(late, post, somewhere())).status).to.equal(200);
  });

  it('count each user once, and not what adds no vote', async () => {
    const post = await writePost(author);
    const address = somewhere();
    const [ada, bob, carol, dora] = ring as [TestUser, TestUser, TestUser, TestUser];
    for (let again = 0; again < 5; again += 1) {
      expect((await vote(ada, post, address)).status).to.equal(200);
      expect((await vote(ada, post, address)).status).to.equal(200);
      expect((await takeBack(ada, post, address)).status).to.equal(200);
    }
    for (let again = 0; again < 5; again += 1) {
      const answer = await bob.put<object>('/posts/999999/vote', undefined, { 'x-forwarded-for': address });
      expectProblem(answer, 404);
    }
    expect((await vote(bob, post, address)).status).to.equal(200);
    expect((await vote(carol, post, address)).status).to.equal(200);
    expectProblem(await vote(dora, post, address), 429);
    // Whose vote is there may say so again, also from where no more are taken.
    const elsewhere = await writePost(author);
    expect((await vote(dora, elsewhere, somewhere())).status).to.equal(200);
    expect((await takeBack(dora, post, address)).status).to.equal(200);
  });

  it('that are there already may be said again where no more are taken', async () => {
    const post = await writePost(author);
    const address = somewhere();
    const [there, ...others] = ring as [TestUser, ...TestUser[]];
    await execute(world, `insert into votes (user_id, post_id) values (${there.id}, ${post.id})`);
    await execute(world, `update post_tallies set votes = 1, rev = rev + 1 where post_id = ${post.id}`);
    for (const user of others.slice(0, ALLOWED))
      expect((await vote(user, post, address)).status).to.equal(200);
    expectProblem(await vote(others.at(-1)!, post, address), 429);
    expect((await vote(there, post, address)).body.votes).to.equal(ALLOWED + 1);
  });

  it('of accounts that have been there for a week are thirty times as many', async () => {
    const older = await createWorld({ RATE_LIMITS: 'on', VOTES_PER_ADDRESS: '1' });
    try {
      const writer = await older.user();
      // One after the other: so many at once from one address are refused while they wait for their hash.
      const voters: TestUser[] = [];
      while (voters.length < 31) voters.push(await older.user());
      await execute(older, `update users set created_at = now() - interval '8 days'`);
      const young = await older.user();
      const post = await writePost(writer);
      for (const user of voters.slice(0, 30))
        expect((await user.put(`/posts/${post.id}/vote`)).status).to.equal(200);
      expectProblem(await voters[30]!.put<object>(`/posts/${post.id}/vote`), 429);
      expectProblem(await young.put<object>(`/posts/${post.id}/vote`), 429);
    } finally {
      await older.close();
    }
  });
});

describe('attempts to vote that are not decided yet', () => {
  const PLACE = '203.0.113.1';
  let shared: MemoryStore;
  /** Of one node; nodes count together in `shared`. */
  const node = (isNew: () => Promise<boolean> = () => Promise.resolve(true)) =>
    new VoteLimit({
      counts: new SharedCounts([shared]),
      votes: ALLOWED,
      secret: 'a secret',
      isNew,
      onRefused: () => undefined,
    });
  const attempt = (
    limit: VoteLimit,
    userId: number,
    added = true,
    isThere: () => Promise<boolean> = () => Promise.resolve(false),
  ) => limit.attempt({ userId, postId: 1, address: PLACE }, () => Promise.resolve({ added }), isThere);
  const refused = (attempts: PromiseSettledResult<unknown>[]) =>
    attempts.filter(({ status }) => status === 'rejected').length;
  const pointsOfPlace = async () => {
    const limit = node();
    let room = 0;
    while (refused(await Promise.allSettled([attempt(limit, 1000 + room)])) === 0) room += 1;
    return ALLOWED - room;
  };

  beforeEach(() => {
    shared = new MemoryStore();
  });

  it('free no other one of the same user where no more are taken, on one node or two', async () => {
    const nodes = [node(), node()] as const;
    for (let user = 1; user <= ALLOWED; user += 1) await attempt(nodes[0], user);
    for (const other of nodes) {
      // Both have asked whether they may before either is refused.
      const asked: (() => void)[] = [];
      const both = [nodes[0], other].map((limit) =>
        attempt(
          limit,
          77,
          true,
          () =>
            new Promise((resolve) => {
              asked.push(() => resolve(false));
            }),
        ),
      );
      const settled = Promise.allSettled(both);
      let done = false;
      void settled.then(() => (done = true));
      await until('both to be decided', () => {
        if (other === nodes[0] || asked.length === 2) while (asked.length > 0) asked.shift()!();
        return done;
      });
      expect(refused(await settled)).to.equal(2);
      expect(refused(await Promise.allSettled([attempt(nodes[0], 77)]))).to.equal(1);
    }
    // Whose vote has been counted is free of the limit.
    expect(await attempt(nodes[1], 1)).to.deep.equal({ added: true });
  });

  it('take the last place once, and a repeated one is let in with the first', async () => {
    const limit = node();
    for (let user = 1; user < ALLOWED; user += 1) await attempt(limit, user);
    const added = [true, false];
    const cast = () => Promise.resolve({ added: added.shift()! });
    const twice = [1, 2].map(() =>
      limit.attempt({ userId: 77, postId: 1, address: PLACE }, cast, () => Promise.resolve(false)),
    );
    expect(await Promise.all(twice)).to.deep.equal([{ added: true }, { added: false }]);
    expect(await pointsOfPlace()).to.equal(ALLOWED);
  });

  it('are counted once when they are tried again after a failure', async () => {
    let works = false;
    const limit = node(() => (works ? Promise.resolve(true) : Promise.reject(new Error('no answer'))));
    expect(refused(await Promise.allSettled([attempt(limit, 77)]))).to.equal(1);
    works = true;
    const lost = limit.attempt(
      { userId: 77, postId: 1, address: PLACE },
      () => Promise.reject(new Error('lost')),
      () => Promise.resolve(false),
    );
    expect(refused(await Promise.allSettled([lost]))).to.equal(1);
    await attempt(limit, 77);
    await attempt(limit, 77);
    for (let user = 1; user < ALLOWED; user += 1) await attempt(limit, user);
    const unanswered = attempt(limit, 78, true, () => Promise.reject(new Error('no answer')));
    expect(refused(await Promise.allSettled([unanswered]))).to.equal(1);
    expect(refused(await Promise.allSettled([attempt(limit, 78)]))).to.equal(1);
    expect(await pointsOfPlace()).to.equal(ALLOWED);
  });
});

it('votes that add none leave no count behind, however many posts they name', async () => {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  const store = await openRedisStore(redis.url, 'tidings', 30_000);
  const memory = new MemoryStore();
  try {
    const limit = new VoteLimit({
      counts: new SharedCounts([memory, store]),
      votes: ALLOWED,
      secret: 'a secret',
      isNew: () => Promise.resolve(true),
      onRefused: () => undefined,
    });
    const posts = Array.from({ length: 50 }, (_, at) => at + 1);
    const began = Date.now();
    for (const postId of posts)
      await limit.attempt(
        { userId: 1, postId, address: '203.0.113.1' },
        () => Promise.resolve({ added: false }),
        () => Promise.resolve(false),
      );
    await until('the clock to go on', () => Date.now() > began + 10);
    // Redis may have been passed over for a moment on a busy machine, and is given back what it counted later.
    await until('nothing to be in Redis', async () => (await client.keys('*limit*')).length === 0);
    const { msBeforeNext: whole } = await memory.take('another', 3600);
    for (const postId of posts)
      expect(await memory.take(`limit:vote-once:${postId}:u1`, 3600)).to.deep.equal({
        consumedPoints: 1,
        msBeforeNext: whole,
      });
  } finally {
    client.disconnect();
    store.close();
    await redis.stop();
  }
});
