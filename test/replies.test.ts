import { expect } from 'chai';
import { connectClient } from '../server/database/client.ts';
import { findFoldMismatches } from '../server/doctor/fold-check.ts';
import { eventTypes } from '../server/event-registry.ts';
import { createFeedPool } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { postFold } from '../server/posts/fold.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { threadPurge } from '../server/posts/prune.ts';
import { findWrongTallies } from '../server/votes/checks.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { headOf, numberOf, postEventsSince, rows, whileUnnumbered } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

type Listed = Omit<PostAnswer, 'owner'> & {
  owner: PostAnswer['owner'] | null;
  depth: number;
  deleted?: true;
};

describe('replies', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  let eve: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    bob = await world.user();
    eve = await world.user();
  });
  after(() => world.close());

  const tryReply = (by: TestUser, id: number, content = 'An answer') =>
    by.post<PostAnswer>(`/posts/${id}/replies`, { content });
  const reply = async (by: TestUser, id: number, content?: string) => {
    const answer = await tryReply(by, id, content);
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
    return answer.body;
  };
  const list = async (by: TestUser, id: number, query = '') => {
    const answer = await by.get<Listed[]>(`/posts/${id}/replies?limit=100${query}`);
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200);
    return answer.body;
  };
  const countOf = async (by: TestUser, id: number) => (await by.get<PostAnswer>(`/posts/${id}`)).body.replies;
  const examined = async () => {
    const client = await connectClient(world.databaseUrl, { name: 'test', connectTimeout: 5000 });
    try {
      const found = [
        ...(await findWrongTallies(client)),
        // In many ranges.
        ...(await findFoldMismatches(client, postFold, eventTypes, 3)),
      ];
      return found.map(({ what }) => what);
    } finally {
      await client.end();
    }
  };
  /** Piece by piece, none of which doctor minds. */
  const purged = async () => {
    const pool = createFeedPool(world.databaseUrl, createLogger('silent'), 2);
    try {
      while ((await threadPurge.run(pool, 40)) > 0) expect(await examined()).to.deep.equal([]);
    } finally {
      await pool.end();
    }
  };

  it('are posts without a title, counted by all above them and told to the thread', async () => {
    const post = await writePost(ada);
    const before = await headOf(world);
    const first = await reply(bob, post.id, 'First');
    const second = await reply(ada, first.id, 'Second');
    expect(second).to.include({
      title: null,
      content: 'Second',
      parent_id: first.id,
      root_id: post.id,
      replies: 0,
    });
    expect(second).to.include({ published: true, version: 1, owner_id: ada.id, voted: false });
    expect([await countOf(eve, post.id), await countOf(eve, first.id)]).to.deep.equal([2, 1]);
    const events = await postEventsSince(world, before);
    expect(events.map(({ name, data }) => [name, (data as unknown as PostAnswer).id])).to.deep.equal([
      ['post:created', first.id],
      ['post:created', second.id],
    ]);
    const { voted: _voted, ...view } = second;
    expect(events.at(-1)?.data).to.deep.equal(view);
    const [told] = await rows<{
      topics: string[];
      container_type: string;
      container_id: number;
      author_id: number;
    }>(
      world,
      `select topics, container_type, container_id, author_id from event_log
       where entity_type = 'post' and entity_id = $1`,
      [second.id],
    );
    expect(told).to.deep.equal({
      topics: [`author:${ada.id}`, `thread:${post.id}`],
      container_type: 'thread',
      container_id: post.id,
      author_id: ada.id,
    });
  });

  it('are edited, voted for and deleted through the routes of posts', async () => {
    const post = await writePost(ada);
    const { id } = await reply(bob, post.id);
    const read = await bob.get<PostAnswer>(`/posts/${id}`);
    const tag = read.headers.get('etag') ?? '';
    expectProblem(await ada.patch(`/posts/${id}`, { content: 'Mine' }), 403, 'forbidden');
    expectProblem(await bob.patch(`/posts/${id}`, { title: 'No' }), 422, 'invalid');
    expectProblem(await bob.patch(`/posts/${id}`, { published: false }), 422, 'invalid');
    expectProblem(await bob.patch(`/posts/${id}`, { published: true }), 422, 'invalid');
    expectProblem(await bob.put(`/posts/${id}`, { title: 'No', content: 'x' }), 422, 'invalid');
    expectProblem(await ada.put(`/posts/${post.id}`, { content: 'x' }), 422, 'invalid');
    expect((await bob.put<PostAnswer>(`/posts/${id}`, { content: 'Whole' })).body).to.include({
      title: null,
      content: 'Whole',
      version: 2,
      published: true,
    });
    const stale = await bob.patch(`/posts/${id}`, { content: 'Late' }, { 'If-Match': tag });
    expectProblem(stale, 412);
    expect((await eve.put(`/posts/${id}/vote`)).body).to.include({ votes: 1, voted: true });
    expectProblem(await ada.delete(`/posts/${id}`), 403, 'forbidden');
    expect((await bob.delete(`/posts/${id}`)).status).to.equal(204);
    expectProblem(await bob.get(`/posts/${id}`), 404, 'not_found');
    expect(await numberOf(world, 'select count(*) from posts where id = $1', [id])).to.equal(0);
    expect(await countOf(ada, post.id)).to.equal(0);
  });

  it('have something to see in them, also after an edit; one from before is read, deleted and mended', async () => {
    const post = await writePost(ada);
    const { id } = await reply(bob, post.id, 'Seen');
    for (const content of ['', ' \n', '\u200b']) {
      const path = `/posts/${id}`;
      for (const answer of [
        await bob.post(`${path}/replies`, { content }),
        await bob.put(path, { content }),
        await bob.patch(path, { content }),
      ])
        expect(expectProblem(answer, 422, 'invalid').errors?.map(({ loc }) => loc)).to.deep.equal([
          ['body', 'content'],
        ]);
    }
    const old = [await reply(bob, post.id), await reply(bob, post.id)] as const;
    await rows(world, `update posts set content = '' where id = any ($1)`, [old.map((one) => one.id)]);
    const { body: thread } = await ada.get<PostAnswer[]>(`/posts/${post.id}/replies`);
    expect(thread.map(({ content }) => content)).to.deep.equal(['Seen', '', '']);
    expect((await bob.patch(`/posts/${old[0].id}`, { content: 'At last' })).status).to.equal(200);
    expect((await bob.delete(`/posts/${old[1].id}`)).status).to.equal(204);
    expect((await ada.patch(`/posts/${post.id}`, { content: '' })).status).to.equal(200);
  });

  it('are written once for an idempotency key, also said again after the parent is gone', async () => {
    const post = await writePost(ada);
    const parent = await reply(ada, post.id);
    const say = (id: number, content: string) =>
      bob.post<PostAnswer>(`/posts/${id}/replies`, { content }, { 'Idempotency-Key': `key-${post.id}` });
    const answers = await Promise.all(Array.from({ length: 20 }, () => say(parent.id, 'Once')));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).to.equal(1);
    expect(await countOf(ada, post.id)).to.equal(2);
    await ada.delete(`/posts/${parent.id}`);
    expect((await say(parent.id, 'Once')).body.id).to.equal(answers[0]?.body.id);
    expectProblem(await say(post.id, 'Once'), 422);
    expectProblem(await tryReply(bob, parent.id), 409, 'conflict');
  });

  it('stay without text and owner while others stand below them, and go with the last of these', async () => {
    const post = await writePost(ada);
    const a = await reply(ada, post.id, 'secret a');
    const b = await reply(bob, a.id, 'secret b');
    const c = await reply(eve, b.id, 'c');
    await ada.delete(`/posts/${a.id}`);
    await bob.delete(`/posts/${b.id}`);
    const left = await list(eve, post.id);
    expect(left.map(({ id, deleted, depth }) => [id, deleted, depth])).to.deep.equal([
      [a.id, true, 1],
      [b.id, true, 2],
      [c.id, undefined, 3],
    ]);
    const { deleted: _deleted, ...tombstone } = left[1]!;
    expect(Object.keys(tombstone)).to.have.members(Object.keys(left[2]!));
    expect(tombstone).to.include({
      title: null,
      content: '',
      owner_id: null,
      owner: null,
      parent_id: a.id,
      replies: 1,
    });
    expect([await countOf(ada, post.id), left[0]!.replies]).to.deep.equal([1, 1]);
    expect(
      await numberOf(world, `select count(*) from posts where content like 'secret%' and root_id = $1`, [
        post.id,
      ]),
    ).to.equal(0);
    for (const request of [
      () => eve.get(`/posts/${a.id}`),
      () => ada.patch(`/posts/${a.id}`, { content: 'x' }),
      () => ada.delete(`/posts/${a.id}`),
      () => eve.put(`/posts/${a.id}/vote`),
    ])
      expectProblem(await request(), 404, 'not_found');
    expectProblem(await tryReply(eve, a.id), 409, 'conflict');
    await eve.delete(`/posts/${c.id}`);
    expect(await list(ada, post.id)).to.deep.equal([]);
    expect(await numberOf(world, 'select count(*) from posts where root_id = $1', [post.id])).to.equal(0);
    expect(await countOf(ada, post.id)).to.equal(0);
  });

  it('are gone for all others while their thread is withdrawn, and come back with it', async () => {
    const post = await writePost(ada);
    const one = await reply(bob, post.id, 'withdrawn words');
    const own = await reply(ada, one.id);
    const before = await headOf(world);
    await ada.patch(`/posts/${post.id}`, { published: false });
    const hidden = (by: TestUser, id: number) => [
      () => by.get(`/posts/${id}`),
      () => by.get(`/posts/${id}/replies`),
      () => by.patch(`/posts/${id}`, { content: 'x' }),
      () => by.delete(`/posts/${id}`),
      () => by.put(`/posts/${id}/vote`),
      () => tryReply(by, id),
    ];
    for (const request of [...hidden(bob, one.id), ...hidden(eve, own.id), ...hidden(eve, post.id)])
      expectProblem(await request(), 404, 'not_found');
    expect((await list(ada, post.id)).map(({ id }) => id)).to.deep.equal([one.id, own.id]);
    expect((await ada.patch(`/posts/${own.id}`, { content: 'quietly' })).status).to.equal(200);
    expectProblem(await tryReply(ada, one.id), 409, 'conflict');
    expect((await postEventsSince(world, before)).map(({ name, data }) => [name, data])).to.deep.equal([
      ['post:deleted', { id: post.id, root_id: null }],
    ]);
    await until(
      'no text of it in the log',
      async () =>
        (await numberOf(
          world,
          `select count(*) from event_log where data::text like '%withdrawn words%'`,
        )) === 0,
    );
    await ada.patch(`/posts/${post.id}`, { published: true });
    expect((await list(eve, post.id)).map(({ content }) => content)).to.deep.equal([
      'withdrawn words',
      'quietly',
    ]);
    expect((await postEventsSince(world, before)).at(-1)?.data).to.include({ id: post.id, replies: 2 });
    expect(await examined()).to.deep.equal([]);
  });

  it('to a draft are a 404 for others, and a 409 for its owner', async () => {
    const draft = await writePost(ada, { published: false });
    expectProblem(await tryReply(bob, draft.id), 404, 'not_found');
    expectProblem(await tryReply(ada, draft.id), 409, 'conflict');
    expectProblem(await tryReply(ada, 2 ** 40), 404, 'not_found');
    expectProblem(await ada.get(`/posts/${2 ** 40}/replies`), 404, 'not_found');
  });

  it('go with their post in one event, out of the log, and in pieces out of the tables', async () => {
    const post = await writePost(ada);
    for (let n = 0, parent = post.id; n < 25; n += 1) {
      parent = (await reply(n % 2 ? ada : bob, n % 3 ? parent : post.id, 'purged words')).id;
      await eve.put(`/posts/${parent}/vote`);
    }
    const before = await headOf(world);
    const listed = await list(bob, post.id);
    await ada.delete(`/posts/${post.id}`);
    for (const { id } of [post, ...listed.slice(0, 3)]) {
      expectProblem(await bob.get(`/posts/${id}`), 404, 'not_found');
      expectProblem(await bob.get(`/posts/${id}/replies`), 404, 'not_found');
      expectProblem(await tryReply(eve, id), 404, 'not_found');
      expectProblem(await eve.put(`/posts/${id}/vote`), 404, 'not_found');
    }
    expect((await postEventsSince(world, before)).map(({ name, data }) => [name, data])).to.deep.equal([
      ['post:deleted', { id: post.id, root_id: null }],
    ]);
    await until(
      'no text of it in the log',
      async () =>
        (await numberOf(world, `select count(*) from event_log where data::text like '%purged words%'`)) ===
        0,
    );
    expect(JSON.stringify(world.ctx.feed.recent(0) ?? [])).not.to.include('purged words');
    expect(await examined()).to.deep.equal([]);
    await purged();
    for (const table of ['posts where id = $1 or root_id', 'post_tallies where post_id = $1 or root_id'])
      expect(await numberOf(world, `select count(*) from ${table} = $1`, [post.id])).to.equal(0);
    expect(await examined()).to.deep.equal([]);
  });

  it('are at most fifty deep, and page from any of them', async () => {
    const post = await writePost(ada);
    const chain = [post.id];
    for (let n = 0; n < 50; n += 1) chain.push((await reply(ada, chain.at(-1)!)).id);
    expect(expectProblem(await tryReply(ada, chain.at(-1)!), 409, 'conflict').detail).to.include('50');
    expect((await list(bob, chain[10]!)).map(({ id, depth }) => [id, depth])).to.deep.equal(
      chain.slice(11).map((id, at) => [id, 11 + at]),
    );
    expect(await countOf(bob, chain[10]!)).to.equal(40);
    // Deleted from the top, all of them stay; with the last one all go.
    for (const id of chain.slice(1, -1)) expect((await ada.delete(`/posts/${id}`)).status).to.equal(204);
    expect((await list(bob, post.id)).filter(({ deleted }) => deleted)).to.have.length(49);
    expect(await countOf(bob, post.id)).to.equal(1);
    await ada.delete(`/posts/${chain.at(-1)!}`);
    expect(await list(bob, post.id)).to.deep.equal([]);
  });

  it('page stably in each order, by a cursor that new replies do not shift', async () => {
    const post = await writePost(ada);
    const ids: number[] = [];
    for (let n = 0; n < 12; n += 1) ids.push((await reply(bob, n % 3 === 2 ? ids[n - 1]! : post.id)).id);
    for (const at of [2, 5, 7]) await ada.put(`/posts/${ids[at]!}/vote`);
    await eve.put(`/posts/${ids[5]!}/vote`);
    const byVotes = [5, 7, 2, 11, 10, 9, 8, 6, 4, 3, 1, 0].map((at) => ids[at]!);
    const wanted = { old: ids, new: [...ids].reverse(), top: byVotes };
    for (const [sort, order] of Object.entries(wanted)) {
      const found: number[] = [];
      let path: string | undefined = `/posts/${post.id}/replies?sort=${sort}&limit=5`;
      while (path !== undefined) {
        const page: { status: number; body: Listed[]; headers: Headers } = await eve.get<Listed[]>(path);
        expect(page.status, `${path} ${JSON.stringify(page.body)}`).to.equal(200);
        found.push(...page.body.map(({ id }) => id));
        path = /<([^>]*)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
        if (found.length === 5 && sort !== 'old')
          await bob.delete(`/posts/${(await reply(bob, post.id)).id}`);
      }
      expect(found, sort).to.deep.equal(order);
    }
    const cursor = /cursor=([^>&]*)/.exec(
      (await eve.get(`/posts/${post.id}/replies?limit=1`)).headers.get('link') ?? '',
    )?.[1];
    expectProblem(await eve.get(`/posts/${post.id}/replies?sort=top&cursor=${cursor}`), 422);
    expectProblem(await eve.get(`/posts?cursor=${cursor}`), 422);
  });

  it('are on a page that says so while the events of its thread have no number', async () => {
    const [post, other] = [await writePost(ada), await writePost(ada)];
    await headOf(world);
    const ahead = async (id: number, query = '') =>
      (await eve.get(`/posts/${id}/replies${query}`)).headers.get('x-feed-ahead');
    expect(await ahead(post.id)).to.equal('false');
    const first = await whileUnnumbered(world, async () => {
      const { id } = await reply(bob, post.id);
      expect(await ahead(post.id)).to.equal('true');
      expect(await ahead(other.id)).to.equal('false');
      return id;
    });
    await headOf(world);
    expect(await ahead(post.id)).to.equal('false');
    await whileUnnumbered(world, async () => {
      expect((await bob.delete(`/posts/${first}`)).status).to.equal(204);
      expect(await ahead(post.id, '?sort=top&limit=1')).to.equal('true');
    });
    await headOf(world);
    // The deleted reply itself is gone; below one that stays it is told as well.
    const second = (await reply(bob, post.id)).id;
    await headOf(world);
    await whileUnnumbered(world, async () => {
      await reply(eve, second);
      expect(await ahead(second)).to.equal('true');
    });
  });

  it('are in lists of posts and in searches only where they are asked for', async () => {
    const post = await writePost(eve, { title: 'Listed', content: 'zebrafish' });
    const { id } = await reply(eve, post.id, 'zebrafish too');
    const found = async (query: string, reader = ada) =>
      (await reader.get<PostAnswer[]>(`/posts?limit=100&owner_id=${eve.id}${query}`)).body.map(
        (one) => one.id,
      );
    for (const sort of ['new', 'top', 'hot'])
      for (const search of ['', '&search=zebrafish']) {
        expect(await found(`&sort=${sort}${search}`), sort + search)
          .to.include(post.id)
          .and.not.include(id);
        expect(await found(`&sort=${sort}${search}&replies=true`), sort + search).to.include.members([
          post.id,
          id,
        ]);
        expect(await found(`&sort=${sort}${search}&replies=true&view=home`, eve), sort + search)
          .to.include(post.id)
          .and.not.include(id);
      }
    await eve.patch(`/posts/${post.id}`, { published: false });
    for (const search of ['', '&search=zebrafish'])
      expect(await found(`${search}&replies=true`)).not.to.include(id);
  });

  it('are refused to and by the blocked, and left out of the thread for the blocker', async () => {
    const post = await writePost(ada);
    const theirs = await reply(bob, post.id);
    const mine = await reply(ada, theirs.id);
    expect((await eve.put(`/users/${bob.id}/block`)).status).to.equal(200);
    expectProblem(await tryReply(eve, theirs.id), 403, 'forbidden');
    const eves = await reply(eve, post.id);
    expectProblem(await tryReply(bob, eves.id), 403, 'forbidden');
    expect((await list(eve, post.id)).map(({ id }) => id)).to.deep.equal([mine.id, eves.id]);
    await eve.delete(`/users/${bob.id}/block`);
    await reply(eve, theirs.id);
  });

  it('of a deleted account become nobody’s, or go, and its posts take their threads along', async () => {
    const gone = await world.user();
    const post = await writePost(ada);
    const leaf = await reply(gone, post.id, 'a leaf');
    const kept = await reply(gone, post.id, 'words of the gone');
    const below = await reply(bob, kept.id);
    const theirs = await writePost(gone, { title: 'Theirs' });
    const inTheirs = await reply(bob, theirs.id);
    expect((await gone.delete('/users/me', { password: gone.password })).status).to.be.oneOf([202, 204]);
    await until(
      'the user is gone',
      async () => (await numberOf(world, 'select count(*) from users where id = $1', [gone.id])) === 0,
    );
    expect(
      (await list(ada, post.id)).map(({ id, deleted, owner }) => [id, deleted, owner?.id]),
    ).to.deep.equal([
      [kept.id, true, undefined],
      [below.id, undefined, bob.id],
    ]);
    expect(await countOf(ada, post.id)).to.equal(1);
    for (const id of [theirs.id, inTheirs.id, leaf.id])
      expectProblem(await bob.get(`/posts/${id}`), 404, 'not_found');
    expect(await examined()).to.deep.equal([]);
  });

  it('are told again when their owner is renamed', async () => {
    const user = await world.user();
    const { id } = await reply(user, (await writePost(ada)).id);
    const before = await headOf(world);
    const username = `renamed${user.id}`;
    await user.patch('/users/me', { username });
    const [event] = (await postEventsSince(world, before)).filter(({ name }) => name === 'post:updated');
    expect(event?.data).to.deep.include({ id, version: 2, owner: { id: user.id, username } });
  });

  it('are counted again by the doctor', async () => {
    const post = await writePost(ada);
    await reply(bob, post.id);
    await rows(world, 'update post_tallies set replies = 7 where post_id = $1 returning 1', [post.id]);
    const client = await connectClient(world.databaseUrl, { name: 'test', connectTimeout: 5000 });
    const [finding] = await findWrongTallies(client);
    await client.end();
    expect(finding?.what).to.equal(`Post ${post.id} has 1 reply, and its tally says 7.`);
    await world.ctx.db.transaction((tx) => finding!.repair!(tx));
    expect(await countOf(ada, post.id)).to.equal(1);
    expect(await examined()).to.deep.equal([]);
  });
});
