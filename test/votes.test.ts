import { expect } from 'chai';
import type { PostAnswer } from '../server/posts/present.ts';
import type { VoteView } from '../server/votes/commands.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, namesOfEvents, numberOf, rows } from './support/tables.ts';
import { inOneTry } from './support/tries.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('votes', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    bob = await world.user();
  });
  after(() => world.close());
  afterEach('every tally equals its rows', async () => {
    const wrong = await rows(
      world,
      `select t.post_id, t.votes from post_tallies t
       where t.votes <> (select count(*) from votes v where v.post_id = t.post_id)`,
    );
    expect(wrong).to.be.empty;
  });

  const vote = (user: TestUser, post_id: number, dir: 0 | 1) =>
    user.post<VoteView>('/vote', { post_id, dir });
  const rowsOf = (postId: number) =>
    numberOf(world, 'select count(*) from votes where post_id = $1', [postId]);

  it('are given and taken back once each, and say so when said twice', async () => {
    const { id } = await writePost(ada);
    const given = await vote(bob, id, 1);
    expect(given.status).to.equal(201);
    expect(given.body).to.deep.equal({ post_id: id, votes: 1, rev: 1, voted: true });
    expectProblem(await vote(bob, id, 1), 409, 'conflict');
    expect((await bob.get<PostAnswer>(`/posts/${id}`)).body).to.include({ votes: 1, rev: 1, voted: true });
    expect((await ada.get<PostAnswer>(`/posts/${id}`)).body).to.include({ votes: 1, rev: 1, voted: false });
    const taken = await vote(bob, id, 0);
    expect(taken.status).to.equal(201);
    expect(taken.body).to.deep.equal({ post_id: id, votes: 0, rev: 2, voted: false });
    expectProblem(await vote(bob, id, 0), 404, 'not_found');
  });

  it('are a 404 for posts of an account that is being deleted, as the posts are', async () => {
    const [owner, voter] = await Promise.all([world.user(), world.user()]);
    const thread = await writePost(ada);
    const { id } = await writePost(owner);
    const answer = await owner.post<PostAnswer>(`/posts/${thread.id}/replies`, { content: 'well' });
    const posts = [id, answer.body.id];
    for (const post of posts) expect((await bob.put(`/posts/${post}/vote`)).status).to.equal(200);
    // As long as its posts have not been taken away.
    await execute(world, 'update users set deleted_at = now() where id = $1', [owner.id]);
    for (const post of posts) {
      expectProblem(await bob.get(`/posts/${post}`), 404, 'not_found');
      expectProblem(await voter.put(`/posts/${post}/vote`), 404, 'not_found');
      expectProblem(await vote(voter, post, 1), 404, 'not_found');
      expectProblem(await bob.put(`/posts/${post}/vote`), 404, 'not_found');
      expectProblem(await bob.delete(`/posts/${post}/vote`), 404, 'not_found');
      expect(await rowsOf(post)).to.equal(1);
    }
    expect((await voter.put(`/posts/${thread.id}/vote`)).status).to.equal(200);
  });

  it('are the same said twice by PUT and DELETE', async () => {
    const { id } = await writePost(ada);
    for (const [method, expected] of [
      ['DELETE', { votes: 0, rev: 0, voted: false }],
      ['PUT', { votes: 1, rev: 1, voted: true }],
      ['PUT', { votes: 1, rev: 1, voted: true }],
      ['DELETE', { votes: 0, rev: 2, voted: false }],
      ['DELETE', { votes: 0, rev: 2, voted: false }],
    ] as const) {
      const { status, body } = await bob.request<VoteView>(method, `/posts/${id}/vote`);
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ post_id: id, ...expected });
    }
  });

  it('count once when one user gives forty at once', async () => {
    const { id } = await writePost(ada);
    const answers = await Promise.all(Array.from({ length: 40 }, () => vote(bob, id, 1)));
    expect(answers.map((answer) => answer.status).sort()).to.deep.equal([
      201,
      ...Array<number>(39).fill(409),
    ]);
    expect(await rowsOf(id)).to.equal(1);
    const back = await Promise.all(Array.from({ length: 40 }, () => vote(bob, id, 0)));
    expect(back.map((answer) => answer.status).sort()).to.deep.equal([201, ...Array<number>(39).fill(404)]);
    expect(await rowsOf(id)).to.equal(0);
  });

  it('of many users on many posts at once are all counted, and each answer is a tally that was', async () => {
    const voters = await Promise.all(Array.from({ length: 20 }, () => world.user()));
    const posts = await Promise.all(Array.from({ length: 5 }, () => writePost(ada)));
    const answers = await Promise.all(
      voters.flatMap((voter) => posts.map((post) => vote(voter, post.id, 1))),
    );
    for (const answer of answers) expect(answer.status).to.equal(201);
    for (const post of posts) {
      const { body } = await bob.get<PostAnswer>(`/posts/${post.id}`);
      expect(body.votes).to.equal(20);
      const told = answers.map((answer) => answer.body).filter((view) => view.post_id === post.id);
      const byRev = new Map(told.map((view) => [view.rev, view.votes]));
      for (const view of told) expect(byRev.get(view.rev), 'one rev is one number').to.equal(view.votes);
      expect(byRev.get(body.rev)).to.equal(20);
    }
  });

  it('given and taken back in turns at once end in what the rows say', async () => {
    const { id } = await writePost(ada);
    const voters = await Promise.all(Array.from({ length: 6 }, () => world.user()));
    const statuses = await Promise.all(
      voters.flatMap((voter) =>
        Array.from(
          { length: 10 },
          async (_, at) => (await voter.request(at % 2 ? 'DELETE' : 'PUT', `/posts/${id}/vote`)).status,
        ),
      ),
    );
    expect(new Set(statuses)).to.deep.equal(new Set([200]));
    expect((await bob.get<PostAnswer>(`/posts/${id}`)).body.votes).to.equal(await rowsOf(id));
  });

  it('race with the deletion of their post without an error of the inside', async () => {
    const { id } = await writePost(ada);
    const voters = await Promise.all(Array.from({ length: 10 }, () => world.user()));
    const [deleted, ...answers] = await Promise.all([
      ada.delete(`/posts/${id}`),
      ...voters.map((voter) => voter.put(`/posts/${id}/vote`)),
    ]);
    expect(deleted?.status).to.equal(204);
    for (const answer of answers) expect(answer.status).to.be.oneOf([200, 404]);
    expect(await rowsOf(id)).to.equal(0);
  });

  it('on a locked post or of a locked user wait for it, in their order, and no others do', async () => {
    // It has to be over before those who wait for a lock give up.
    await inOneTry(async () => {
      const [locked, free] = [await writePost(ada), await writePost(ada)];
      const [carol, held] = [await world.user(), await world.user()];
      const client = await world.pool.connect();
      let answered = 0;
      const counted = <T>(answer: Promise<T>) => answer.finally(() => (answered += 1));
      try {
        await client.query('begin');
        await client.query('select 1 from posts where id = $1 for update', [locked.id]);
        await client.query('select 1 from users where id = $1 for update', [held.id]);
        const waiting = [counted(vote(bob, locked.id, 1)), counted(carol.put(`/posts/${locked.id}/vote`))];
        waiting.push(counted(held.put(`/posts/${free.id}/vote`)));
        for (let turn = 0; turn < 20; turn += 1) {
          expect((await vote(bob, free.id, turn % 2 === 0 ? 1 : 0)).status).to.equal(201);
          // Said after the one that waits, it has to wait as well.
          if (turn === 5) waiting.push(counted(bob.delete(`/posts/${locked.id}/vote`)));
        }
        expect((await carol.put(`/posts/${free.id}/vote`)).status).to.equal(200);
        expect(answered).to.equal(0);
        await client.query('commit');
        expect((await Promise.all(waiting)).map(({ status }) => status)).to.deep.equal([201, 200, 200, 200]);
      } finally {
        await client.query('rollback');
        client.release();
      }
      expect(await rowsOf(locked.id)).to.equal(1);
      expect(await rowsOf(free.id)).to.equal(2);
    });
  });

  it('are possible for the own post and the own draft, and no event of the feed', async () => {
    const post = await writePost(ada);
    const draft = await writePost(ada, { published: false });
    const names = await namesOfEvents(world, async () => {
      for (const id of [post.id, draft.id]) expect((await vote(ada, id, 1)).body.votes).to.equal(1);
    });
    expect(names).to.be.empty;
    expectProblem(await vote(bob, draft.id, 1), 404);
    await ada.patch(`/posts/${draft.id}`, { published: true });
    expect((await bob.get<PostAnswer>(`/posts/${draft.id}`)).body.votes).to.equal(1);
  });

  it('name their faults', async () => {
    const { id } = await writePost(ada);
    for (const [body, faults] of [
      [{}, ['body.dir', 'body.post_id']],
      [{ post_id: id }, ['body.dir']],
      [{ post_id: id, dir: 2 }, ['body.dir']],
      [{ post_id: id, dir: -1 }, ['body.dir']],
      [{ post_id: id, dir: '1' }, ['body.dir']],
      [{ post_id: id, dir: true }, ['body.dir']],
      [{ post_id: String(id), dir: 1 }, ['body.post_id']],
      [{ post_id: 1.5, dir: 1 }, ['body.post_id']],
      [{ post_id: 0, dir: 1 }, ['body.post_id']],
      [{ post_id: 2 ** 53, dir: 1 }, ['body.post_id']],
      [{ post_id: id, dir: 1, user_id: ada.id }, ['body.user_id']],
    ] as const)
      expect(faultsOf(await bob.post('/vote', body)), JSON.stringify(body)).to.deep.equal(faults);
    expectProblem(await vote(bob, id + 1_000_000, 1), 404);
    expectProblem(await vote(bob, Number.MAX_SAFE_INTEGER, 1), 404);
    expect(await rowsOf(id)).to.equal(0);
  });
});
