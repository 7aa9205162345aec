import { expect } from 'chai';
import { blockAdded, followRemoved } from '../server/relations/events.ts';
import { rowOf } from '../server/topics/event-type.ts';
import type { VoteView } from '../server/votes/commands.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, withoutRequestId } from './support/problems.ts';
import { headOf, numberOf, tellVotes } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

describe('between two of whom one blocks the other', () => {
  let world: World;
  let ada: TestUser;
  let ben: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 20 });
  });
  beforeEach(async () => {
    ada = await world.user();
    ben = await world.user();
  });
  after(() => world.close());

  async function block(user: TestUser, other: TestUser): Promise<void> {
    expect((await user.put(`/users/${other.id}/block`)).status).to.equal(200);
  }

  /**
   * A block that has been written and not yet committed, while `during` is asked; it is committed when what was asked
   * waits for a lock.
   * @returns the answer
   */
  async function duringBlock<T>(
    user: TestUser,
    other: TestUser,
    during: () => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    const client = await world.pool.connect();
    try {
      const both = { follower: { id: user.id, username: 'a' }, followee: { id: other.id, username: 'b' } };
      const ended = JSON.stringify(rowOf(followRemoved, { ...both, to: 'follower', takesEffect: true }));
      const told = JSON.stringify(rowOf(blockAdded, { userId: user.id, target: both.followee }));
      await client.query('begin');
      await client.query('select * from set_relation($1, $2, $3, true, 5000, $4, $5, $6)', [
        'block',
        user.id,
        other.id,
        told,
        [ended, ended],
        ['"x"', '"y"'],
      ]);
      let answered = false;
      const answer = during().finally(() => (answered = true));
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      await until(
        'the other write to wait for the block',
        async () =>
          answered ||
          (await numberOf(
            world,
            'select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))',
            [rows[0]?.pid],
          )) > 0,
      );
      expect(answered, 'answered before the block was committed').to.be.false;
      await client.query('commit');
      return await answer;
    } finally {
      await client.query('rollback');
      client.release();
    }
  }

  /** What a block forbids: each as one user does it to the other. */
  const acts: Record<string, (user: TestUser, other: TestUser) => Promise<() => Promise<Answer<object>>>> = {
    follow: (user, other) => Promise.resolve(() => user.put(`/users/${other.id}/follow`)),
    'vote (PUT)': async (user, other) => {
      const { id } = await writePost(other);
      return () => user.put<VoteView>(`/posts/${id}/vote`);
    },
    'vote (POST)': async (user, other) => {
      const { id } = await writePost(other);
      return () => user.post<VoteView>('/vote', { post_id: id, dir: 1 });
    },
    reply: async (user, other) => {
      const { id } = await writePost(other);
      return () => user.post<object>(`/posts/${id}/replies`, { content: 'an answer' });
    },
    'reply to a reply': async (user, other) => {
      const post = await writePost(await world.user());
      const { body } = await other.post<{ id: number }>(`/posts/${post.id}/replies`, { content: 'first' });
      return () => user.post<object>(`/posts/${body.id}/replies`, { content: 'second' });
    },
    mention: (user, other) =>
      Promise.resolve(() => user.post<object>('/posts', { title: 'Hello', content: `@${other.username}` })),
    'mention in an edit': async (user, other) => {
      const { id } = await writePost(user);
      return () => user.patch<object>(`/posts/${id}`, { content: `@${other.username}` });
    },
    'mention by publishing a draft': async (user, other) => {
      const { id } = await writePost(user, { content: `@${other.username}`, published: false });
      return () => user.patch<object>(`/posts/${id}`, { published: true });
    },
    'mention by publishing again': async (user, other) => {
      const { id } = await writePost(user, { content: `@${other.username}` });
      await user.patch(`/posts/${id}`, { published: false });
      return () => user.put<object>(`/posts/${id}`, { title: 'Hello', content: `@${other.username}` });
    },
  };

  for (const [name, prepare] of Object.entries(acts)) {
    it(`neither may ${name}, and the refusal is one text on either side`, async () => {
      const [byBlocker, byBlocked] = [await prepare(ada, ben), await prepare(ben, ada)];
      await block(ada, ben);
      // Of those of the test before their owners are told some time later.
      await tellVotes(world);
      const before = await headOf(world);
      const answers = [await byBlocker(), await byBlocked()];
      for (const answer of answers)
        expect(withoutRequestId(answer)).to.deep.equal({
          type: 'urn:tidings:problem:forbidden',
          title: 'Forbidden',
          status: 403,
          detail: 'You may not do this.',
        });
      expect(await headOf(world)).to.equal(before);
      expect((await ada.delete(`/users/${ben.id}/block`)).status).to.equal(200);
      for (const act of [byBlocker, byBlocked]) expect((await act()).status).to.be.oneOf([200, 201]);
    });

    for (const who of ['the blocker', 'the blocked'] as const)
      it(`a ${name} of ${who} that waits for a block is refused by it`, async () => {
        const act = await (who === 'the blocker' ? prepare(ada, ben) : prepare(ben, ada));
        expectProblem(await duringBlock(ada, ben, act), 403, 'forbidden');
      });
  }

  it('a vote from before stays, may be taken back, and not be given again', async () => {
    const { id } = await writePost(ada);
    await ben.put(`/posts/${id}/vote`);
    await block(ada, ben);
    expectProblem(await ben.put(`/posts/${id}/vote`), 403);
    expectProblem(await ben.post('/vote', { post_id: id, dir: 1 }), 403);
    const taken = await ben.delete<VoteView>(`/posts/${id}/vote`);
    expect(taken.body).to.include({ votes: 0, voted: false });
    expectProblem(await ben.put(`/posts/${id}/vote`), 403);
    expect(await numberOf(world, 'select count(*) from votes where post_id = $1', [id])).to.equal(0);
  });

  it('a draft is a 404 as ever, and votes of others count while one is refused', async () => {
    const draft = await writePost(ada, { published: false });
    const { id } = await writePost(ada);
    await block(ada, ben);
    expectProblem(await ben.put(`/posts/${draft.id}/vote`), 404);
    const others = await Promise.all(Array.from({ length: 10 }, () => world.user()));
    const answers = await Promise.all(
      [ben, ...others].map((user) => user.put<VoteView>(`/posts/${id}/vote`)),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal([403, ...others.map(() => 200)]);
    expect((await ada.get<VoteView>(`/posts/${id}`)).body.votes).to.equal(10);
  });

  it('what was written before is answered again to a retry with its idempotency key', async () => {
    const [mine, theirs] = [await writePost(ada), await writePost(ben)];
    const text = { content: `@${ben.username}` };
    const asks: [path: string, body: object][] = [
      ['/posts', { title: 'Hello', ...text }],
      [`/posts/${mine.id}/replies`, text],
      [`/posts/${theirs.id}/replies`, { content: 'an answer' }],
    ];
    const ask = ([path, body]: (typeof asks)[number], key: string) =>
      ada.post<{ id: number }>(path, body, { 'Idempotency-Key': `${key}-${path}` });
    const first = [];
    for (const each of asks) first.push(await ask(each, 'before'));
    await block(ben, ada);
    for (const [at, each] of asks.entries()) {
      const again = await ask(each, 'before');
      expect([again.status, again.body]).to.deep.equal([201, first[at]?.body]);
      expectProblem(await ask(each, 'after'), 403, 'forbidden');
    }
  });

  it('a mute forbids nothing', async () => {
    const { id } = await writePost(ada);
    expect((await ada.put(`/users/${ben.id}/mute`)).status).to.equal(200);
    expect((await ben.put(`/posts/${id}/vote`)).status).to.equal(200);
    expect((await ben.put(`/users/${ada.id}/follow`)).status).to.equal(200);
  });
});

describe('the answer to a block', () => {
  it('comes when the time has passed after which no node sends anything that it forbids, also if it was there before', async () => {
    const world = await createWorld({}, undefined, undefined, { block: 300 });
    try {
      const [ada, ben] = [await world.user(), await world.user()];
      for (const time of ['first', 'again']) {
        const began = performance.now();
        expect((await ada.put(`/users/${ben.id}/block`)).status).to.equal(200);
        expect(performance.now() - began, time).to.be.at.least(299);
      }
    } finally {
      await world.close();
    }
  });
});
