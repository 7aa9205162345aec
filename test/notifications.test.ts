import { expect } from 'chai';
import type pg from 'pg';
import type { NotificationState, NotificationView } from '../server/contract.ts';
import type { Finding } from '../server/database/check.ts';
import { repair } from '../server/doctor/repair.ts';
import { notificationChecks } from '../server/notifications/checks.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { execute, headOf, numberOf, rows, tellVotes } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

type Listed = NotificationState & { notifications: NotificationView[] };

describe('notifications', () => {
  let world: World;
  let ada: TestUser;
  let ben: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 50 });
  });
  beforeEach(async () => {
    [ada, ben] = await Promise.all([world.user(), world.user()]);
  });
  afterEach(async () => {
    await headOf(world);
    expect(await faults()).to.deep.equal([]);
  });
  after(() => world.close());

  /** What doctor finds wrong with notifications. */
  async function findings(): Promise<Finding[]> {
    const client = await world.pool.connect();
    try {
      return (
        await Promise.all(notificationChecks.map(async ({ find }) => find?.(client, world.ctx.config) ?? []))
      ).flat();
    } finally {
      client.release();
    }
  }

  async function faults(): Promise<string[]> {
    return (await findings()).map(({ what }) => what);
  }

  /** Does something in a transaction beside the service, which is committed then. */
  async function inTransaction(work: (query: pg.PoolClient['query']) => Promise<void>): Promise<void> {
    const client = await world.pool.connect();
    try {
      await client.query('begin');
      await work(client.query.bind(client));
      await client.query('commit');
    } finally {
      client.release();
    }
  }

  async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
    const { status, body } = await answer;
    expect(status, JSON.stringify(body)).to.be.below(300);
    return body;
  }

  const list = (user: TestUser, query = '') => ok(user.get<Listed>(`/notifications${query}`));
  const reply = (user: TestUser, to: number, content = 'well') =>
    ok(user.post<PostAnswer>(`/posts/${to}/replies`, { content }));
  const read = (user: TestUser, upTo: number) =>
    ok(user.put<NotificationState>('/notifications/read', { up_to: upTo }));
  const edit = (user: TestUser, id: number, change: object) => ok(user.patch(`/posts/${id}`, change));
  const mentioning = (user: TestUser, ...others: TestUser[]) =>
    writePost(user, { content: others.map(({ username }) => `@${username}`).join(' ') });

  /** What a user's list shows, in a word each: `reply by 7`. */
  async function shown(user: TestUser): Promise<string[]> {
    const { notifications, unread } = await list(user);
    expect(notifications.filter((one) => !one.read)).to.have.lengthOf(unread);
    return notifications.map(({ kind, actor, people }) =>
      actor ? `${kind} by ${actor.id}` : `${people} ${kind}`,
    );
  }

  /** The events that a user alone is told, after a position. */
  async function told(
    user: TestUser,
    since: number,
  ): Promise<{ name: string; data: Record<string, unknown> }[]> {
    await headOf(world);
    return rows(
      world,
      `select name, data from event_log where seq > $1 and audience = $2 and entity_type like 'notification%' order by seq`,
      [since, `user:${user.id}`],
    );
  }

  async function toldNames(user: TestUser, since: number): Promise<string[]> {
    return (await told(user, since)).map(({ name }) => name);
  }

  const ADDED = ['notification:added', 'notifications:state'];
  const REMOVED = ['notification:removed', 'notifications:state'];

  it('come of a reply, with who wrote it and where, and are told with the number of unread ones', async () => {
    const post = await writePost(ada);
    const before = await headOf(world);
    const { id } = await reply(ben, post.id);
    const { notifications, unread, rev } = await list(ada);
    const [only] = notifications;
    expect(notifications).to.have.lengthOf(1);
    expect(only).to.deep.include({
      kind: 'reply',
      actor: { id: ben.id, username: ben.username },
      post_id: id,
      thread_id: post.id,
      people: 1,
      rev: 1,
      read: false,
    });
    expect({ unread, rev }).to.deep.equal({ unread: 1, rev: 1 });
    expect(await told(ada, before)).to.deep.equal([
      { name: 'notification:added', data: only },
      { name: 'notifications:state', data: { unread: 1, rev: 1 } },
    ]);
    expect(await toldNames(ben, before)).to.deep.equal([]);
  });

  it('are one of a reply that mentions its reader, and one of each other person that it mentions', async () => {
    const cat = await world.user();
    const post = await writePost(ada);
    await reply(ben, post.id, `@${ada.username} @${cat.username} @${ben.username} @${cat.username}`);
    expect(await shown(ada)).to.deep.equal([`reply by ${ben.id}`]);
    expect(await shown(cat)).to.deep.equal([`mention by ${ben.id}`]);
    expect(await shown(ben)).to.deep.equal([]);
  });

  it('do not come of what one does oneself', async () => {
    const post = await mentioning(ada, ada);
    await reply(ada, post.id);
    await ok(ada.put(`/posts/${post.id}/vote`));
    await tellVotes(world);
    expect(await shown(ada)).to.deep.equal([]);
    expect(await list(ada)).to.include({ unread: 0 });
  });

  it('come of a draft when it is published, and go when it is withdrawn or deleted', async () => {
    const draft = await writePost(ben, { content: `@${ada.username}`, published: false });
    expect(await shown(ada)).to.deep.equal([]);
    const before = await headOf(world);
    await edit(ben, draft.id, { published: true });
    expect(await shown(ada)).to.deep.equal([`mention by ${ben.id}`]);
    await edit(ben, draft.id, { published: false });
    expect(await shown(ada)).to.deep.equal([]);
    await edit(ben, draft.id, { published: true });
    await ok(ben.delete(`/posts/${draft.id}`));
    expect(await shown(ada)).to.deep.equal([]);
    expect(await toldNames(ada, before)).to.deep.equal([...ADDED, ...REMOVED, ...ADDED, ...REMOVED]);
  });

  it('come of an edit to those alone whom it newly mentions', async () => {
    const cat = await world.user();
    const post = await mentioning(ben, ada);
    await read(ada, 1);
    await edit(ben, post.id, { content: `@${ada.username} and @${cat.username}` });
    await edit(ben, post.id, { content: `@${ada.username} and @${cat.username}, again` });
    expect(await list(ada)).to.include({ unread: 0 });
    expect(await shown(cat)).to.deep.equal([`mention by ${ben.id}`]);
  });

  it('go with a mention that is edited away, unless they have been read', async () => {
    const cat = await world.user();
    const post = await mentioning(ben, ada, cat);
    await read(ada, 1);
    await edit(ben, post.id, { content: 'nobody' });
    expect(await shown(ada)).to.deep.equal([`mention by ${ben.id}`]);
    expect(await shown(cat)).to.deep.equal([]);
    await edit(ben, post.id, { content: `@${ada.username} @${cat.username}` });
    expect(await list(ada)).to.include({ unread: 0 });
    expect(await shown(cat)).to.deep.equal([`mention by ${ben.id}`]);
  });

  it('go with the reply, and those of a whole thread with its first post', async () => {
    const post = await writePost(ada);
    const first = await reply(ben, post.id);
    await reply(ada, first.id);
    await reply(ben, post.id);
    expect(await shown(ada)).to.have.lengthOf(2);
    await ok(ben.delete(`/posts/${first.id}`));
    expect(await shown(ada)).to.have.lengthOf(1);
    expect(await shown(ben)).to.have.lengthOf(1);
    await ok(ada.delete(`/posts/${post.id}`));
    expect(await shown(ada)).to.deep.equal([]);
    expect(await shown(ben)).to.deep.equal([]);
    expect(await list(ben)).to.include({ unread: 0 });
  });

  it('come of a follow, not of another on the same day, and go with it', async () => {
    const before = await headOf(world);
    await ok(ben.put(`/users/${ada.id}/follow`));
    await ok(ben.put(`/users/${ada.id}/follow`));
    expect(await shown(ada)).to.deep.equal([`follow by ${ben.id}`]);
    await ok(ben.delete(`/users/${ada.id}/follow`));
    await ok(ben.put(`/users/${ada.id}/follow`));
    expect(await shown(ada)).to.deep.equal([]);
    await ok(ben.delete(`/users/${ada.id}/follow`));
    await execute(
      world,
      `update follow_notices set told_at = now() - interval '25 hours' where user_id = $1`,
      [ada.id],
    );
    await ok(ben.put(`/users/${ada.id}/follow`));
    expect(await shown(ada)).to.deep.equal([`follow by ${ben.id}`]);
    expect(await toldNames(ada, before)).to.deep.equal([...ADDED, ...REMOVED, ...ADDED]);
  });

  for (const kind of ['block', 'mute'] as const)
    it(`go with a ${kind} of their actor, and none comes after it`, async () => {
      const post = await writePost(ada);
      await reply(ben, post.id);
      await ok(ben.put(`/users/${ada.id}/follow`));
      await ok(ben.put(`/posts/${post.id}/vote`));
      await mentioning(ben, ada);
      await until('the vote to be told', async () => (await shown(ada)).length === 4);
      const own = await mentioning(ada, ben);
      await ok(ada.put(`/users/${ben.id}/${kind}`));
      expect(await shown(ada)).to.deep.equal([]);
      expect(await list(ada)).to.include({ unread: 0 });
      expect(await shown(ben)).to.deep.equal(kind === 'block' ? [] : [`mention by ${ada.id}`]);
      if (kind === 'mute') {
        await reply(ben, own.id);
        await mentioning(ben, ada);
        expect(await shown(ada)).to.deep.equal([]);
      }
    });

  it('do not come of a reply that is written while its reader mutes its author', async () => {
    const post = await writePost(ada);
    let written: Promise<unknown> | undefined;
    await inTransaction(async (query) => {
      await query(`insert into relations (user_id, kind, target_id) values (${ada.id}, 'mute', ${ben.id})`);
      await query(`select notify_of_relation('mute', ${ada.id}, ${ben.id}, true)`);
      const { rows } = await query<{ pid: number }>('select pg_backend_pid() as pid');
      written = reply(ben, post.id);
      await until('the reply to wait', async () => {
        const waiting = `select count(*) from pg_stat_activity where $1 = any (pg_blocking_pids(pid))`;
        return (await numberOf(world, waiting, [rows[0]!.pid])) > 0;
      });
    });
    await written;
    expect(await shown(ada)).to.deep.equal([]);
  });

  describe('of votes', () => {
    let voters: TestUser[];
    before(async () => {
      voters = await Promise.all([world.user(), world.user(), world.user()]);
    });

    it('are one for each post, with how many people voted, and are new again when there are more', async () => {
      const post = await writePost(ada);
      const before = await headOf(world);
      for (const voter of voters) await ok(voter.put(`/posts/${post.id}/vote`));
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal(['3 votes']);
      const { rev } = await list(ada);
      await read(ada, rev);
      await ok(voters[0]!.delete(`/posts/${post.id}/vote`));
      await tellVotes(world);
      expect(await list(ada)).to.deep.include({ unread: 0 });
      expect(await shown(ada)).to.deep.equal(['2 votes']);
      await ok(ben.put(`/posts/${post.id}/vote`));
      await ok(voters[0]!.put(`/posts/${post.id}/vote`));
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal(['4 votes']);
      expect(await list(ada)).to.include({ unread: 1 });
      const ids = (await told(ada, before)).flatMap(({ name, data }) =>
        name === 'notification:added' ? [data.id] : [],
      );
      expect(new Set(ids)).to.have.lengthOf(1);
    });

    it('go when the last vote is taken back, and count nobody whom the reader hides', async () => {
      const post = await writePost(ada);
      for (const voter of voters) await ok(voter.put(`/posts/${post.id}/vote`));
      await tellVotes(world);
      await ok(ada.put(`/users/${voters[0]!.id}/mute`));
      expect(await shown(ada)).to.deep.equal(['2 votes']);
      await ok(ada.delete(`/users/${voters[0]!.id}/mute`));
      expect(await shown(ada)).to.deep.equal(['3 votes']);
      for (const voter of voters) await ok(voter.delete(`/posts/${post.id}/vote`));
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal([]);
    });

    it('come of a vote with which another one is taken back, so that the tally stays', async () => {
      const post = await writePost(ada);
      const [hidden, other] = voters as [TestUser, TestUser];
      await ok(ada.put(`/users/${hidden.id}/mute`));
      await ok(ada.put(`/posts/${post.id}/vote`));
      await ok(hidden.put(`/posts/${post.id}/vote`));
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal([]);
      // As what comes in one moment is written.
      const exchange = (from: TestUser, to: TestUser) =>
        execute(world, `select * from cast_votes($1, array[$2::bigint, $2], '{false,true}', true)`, [
          [from.id, to.id],
          post.id,
        ]);
      await exchange(ada, ben);
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal(['1 votes']);
      await exchange(hidden, other);
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal(['2 votes']);
      await exchange(other, hidden);
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal(['1 votes']);
    });

    it('count nobody whom the reader mutes while they are told, though their post be locked then', async () => {
      const [waited, meanwhile, locked] = [await writePost(ada), await writePost(ada), await writePost(ada)];
      const hold = (query: pg.PoolClient['query'], { id }: PostAnswer) =>
        query(`select from post_tallies where post_id = ${id} for update`);
      await ok(ben.put(`/posts/${waited.id}/vote`));
      await tellVotes(world);
      let muted: Promise<void> | undefined;
      await inTransaction(async (holdLocked) => {
        await inTransaction(async (holdWaited) => {
          await hold(holdWaited, waited);
          const { rows } = await holdWaited<{ pid: number }>('select pg_backend_pid() as pid');
          muted = inTransaction(async (query) => {
            await query(
              `insert into relations (user_id, kind, target_id) values (${ada.id}, 'mute', ${ben.id})`,
            );
            await query(`select notify_of_relation('mute', ${ada.id}, ${ben.id}, true)`);
          });
          await until('the mute to wait', async () => {
            const waiting = `select count(*) from pg_stat_activity where $1 = any (pg_blocking_pids(pid))`;
            return (await numberOf(world, waiting, [rows[0]!.pid])) > 0;
          });
          for (const post of [meanwhile, locked]) await ok(ben.put(`/posts/${post.id}/vote`));
          await tellVotes(world);
          expect(await shown(ada)).to.deep.equal(['1 votes', '1 votes', '1 votes']);
          await hold(holdLocked, locked);
        });
        await muted;
        expect(await shown(ada)).to.deep.equal(['1 votes']);
      });
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal([]);
    });

    it('are told of the first vote at once, and then not again for some seconds', async () => {
      const post = await writePost(ada);
      // In one transaction, so that the service itself does not see the vote before.
      const [, first] = (await world.pool.query(
        `select cast_votes('{${voters[0]!.id}}', '{${post.id}}', '{true}', true);
         select settle_notifications(100) as told`,
      )) as unknown as pg.QueryResult[];
      expect(first?.rows).to.deep.equal([{ told: 1 }]);
      expect(await shown(ada)).to.deep.equal(['1 votes']);
      const standStill = (until: string) =>
        execute(world, `update vote_notices set told_at = ${until} where post_id = $1`, [post.id]);
      // However long it takes from here to the next look.
      await standStill(`'infinity'`);
      await ok(voters[1]!.put(`/posts/${post.id}/vote`));
      expect(
        await numberOf(world, 'select count(*) from vote_notices where pending and post_id = $1', [post.id]),
      ).to.equal(1);
      // In one transaction, so that the service itself sees nothing of it.
      const [, settled] = (await world.pool.query(
        `update vote_notices set told_at = clock_timestamp() - interval '1 second' where post_id = ${post.id};
         select settle_notifications(100) as told;
         update vote_notices set told_at = 'infinity' where post_id = ${post.id}`,
      )) as unknown as pg.QueryResult[];
      expect(settled?.rows).to.deep.equal([{ told: 0 }]);
      expect(await shown(ada)).to.deep.equal(['1 votes']);
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal(['2 votes']);
    });

    it('do not come of a post, or of a thread, that is withdrawn while they are told', async () => {
      const thread = await writePost(ben);
      const answer = await reply(ada, thread.id);
      // So that the service waits before it tells of the vote.
      await execute(world, "insert into vote_notices (post_id, told_at) values ($1, 'infinity')", [
        answer.id,
      ]);
      await ok(ben.put(`/posts/${answer.id}/vote`));
      await inTransaction(async (query) => {
        await query(`select from posts where id = ${thread.id} for update`);
        await query(`update posts set published = false where id = ${thread.id}`);
        await execute(world, `update vote_notices set told_at = '-infinity' where pending`);
        expect(await numberOf(world, 'select settle_notifications(100)')).to.equal(1);
      });
      await tellVotes(world);
      expect(await shown(ada)).to.deep.equal([]);
    });

    it('go with their post', async () => {
      const post = await writePost(ada);
      await ok(ben.put(`/posts/${post.id}/vote`));
      await tellVotes(world);
      await edit(ada, post.id, { published: false });
      expect(await shown(ada)).to.deep.equal([]);
    });
  });

  it('are read up to what the reader has seen, and no further', async () => {
    const post = await writePost(ada);
    await reply(ben, post.id);
    const seen = await list(ada);
    await reply(ben, post.id);
    const before = await headOf(world);
    expect(await read(ada, seen.rev)).to.deep.equal({ unread: 1, rev: 3 });
    expect((await list(ada)).notifications.map((one) => one.read)).to.deep.equal([false, true]);
    expect(await told(ada, before)).to.deep.equal([
      { name: 'notification:read', data: { up_to: seen.rev } },
      { name: 'notifications:state', data: { unread: 1, rev: 3 } },
    ]);
    expect(await read(ada, seen.rev)).to.deep.equal({ unread: 1, rev: 3 });
    expect((await list(ada, '?unread=true')).notifications.map(({ rev }) => rev)).to.deep.equal([2]);

    await read(ada, Number.MAX_SAFE_INTEGER);
    await reply(ben, post.id);
    const last = (await told(ada, before)).filter(({ name }) => name === 'notification:read').at(-1);
    expect(last?.data).to.deep.equal({ up_to: 3 });
    expect(await list(ada)).to.include({ unread: 1 });
  });

  it('can be read of oneself alone, and by somebody who has none', async () => {
    expect(await list(ada)).to.deep.equal({ notifications: [], unread: 0, rev: 0 });
    expect(await read(ada, 5)).to.deep.equal({ unread: 0, rev: 0 });
    const post = await writePost(ada);
    await reply(ben, post.id);
    await read(ben, 100);
    expect(await list(ada)).to.include({ unread: 1 });
    expectProblem(await world.anonymous.get('/notifications'), 401);
  });

  it('come a page at a time, at a position of the stream, and what comes meanwhile moves none', async () => {
    const post = await writePost(ada);
    for (let n = 0; n < 5; n += 1) await reply(ben, post.id);
    const head = await headOf(world);
    const pages: number[][] = [];
    let path = '/notifications?limit=2';
    while (path) {
      const { body, headers } = await ada.get<Listed>(path);
      if (pages.length === 0) {
        expect(headers.get('x-feed-seq')).to.equal(String(head));
        expect(headers.get('x-feed-epoch')).to.equal(world.ctx.feed.epoch);
        await reply(ben, post.id);
      }
      pages.push(body.notifications.map(({ rev }) => rev));
      path = /<(.*)>; rel="next"/.exec(headers.get('link') ?? '')?.[1] ?? '';
    }
    expect(pages).to.deep.equal([[5, 4], [3, 2], [1]]);
    const other = await ada.get('/posts?limit=1&sort=new');
    const cursor = /cursor=([^&>]+)/.exec(other.headers.get('link') ?? '')?.[1] ?? 'x';
    expectProblem(await ada.get(`/notifications?cursor=${cursor}`), 422);
  });

  it('are kept a thousand of each user; older ones go and are told as gone', async () => {
    const post = await writePost(ada);
    await reply(ben, post.id);
    const [oldest] = (await list(ada)).notifications;
    await execute(
      world,
      `insert into notifications (user_id, group_key, kind, actor_id, post_id, thread_id, rev)
       select $1, 'reply:x' || n, 'reply', $2, $3, $3, 1 + n from generate_series(1, 999) n`,
      [ada.id, ben.id, post.id],
    );
    await execute(world, 'update notification_states set rev = 1000 where user_id = $1', [ada.id]);
    const before = await headOf(world);
    await reply(ben, post.id);
    expect(await told(ada, before)).to.deep.include.members([
      { name: 'notification:removed', data: { id: oldest!.id } },
      { name: 'notifications:state', data: { unread: 1000, rev: 1001 } },
    ]);
    expect(await list(ada)).to.include({ unread: 1000 });
  });

  it('of a thread with more than a thousand go from every list at once, and are taken away in pieces', async () => {
    const post = await writePost(ben);
    await reply(ada, post.id, `@${ben.username}`);
    await execute(
      world,
      `insert into notifications (user_id, group_key, kind, actor_id, post_id, thread_id, rev)
       select 1000000 + n, 'reply:x', 'reply', $1, $2, $2, 1 from generate_series(1, 1100) n`,
      [ada.id, post.id],
    );
    await ok(ben.delete(`/posts/${post.id}`));
    expect(await shown(ben)).to.deep.equal([]);
    await until('all of them to be gone', async () => {
      const left = await numberOf(world, 'select count(*) from notifications where thread_id = $1', [
        post.id,
      ]);
      return left + (await numberOf(world, 'select count(*) from notification_removals')) === 0;
    });
  });

  it('of such a thread that is back at once are new ones, and stay when the old ones are taken away', async () => {
    const cat = await world.user();
    const post = await writePost(ben);
    const answer = await reply(ada, post.id, `@${cat.username}`);
    await ok(ben.put(`/posts/${answer.id}/vote`));
    await tellVotes(world);
    await read(ada, Number.MAX_SAFE_INTEGER);
    await read(cat, Number.MAX_SAFE_INTEGER);
    await edit(ada, answer.id, { content: 'nobody' });
    expect(await shown(cat)).to.deep.equal([`mention by ${ada.id}`]);
    await execute(
      world,
      `insert into notifications (user_id, group_key, kind, actor_id, post_id, thread_id, rev)
       select 1000000 + n, 'reply:y', 'reply', $1, $2, $2, 1 from generate_series(1, 1100) n`,
      [ada.id, post.id],
    );
    const before = await headOf(world);
    // In one transaction, so that the service takes nothing away between.
    await inTransaction(async (query) => {
      await query(`select from posts where id = ${post.id} for update`);
      await query(`update posts set published = false where id = ${post.id}`);
      await query(`update posts set published = true where id = ${post.id}`);
      await query(`select cast_votes('{${cat.id}}', '{${answer.id}}', '{true}', true)`);
      await query(`select tell_votes('{${answer.id}}')`);
      await query(
        `update posts set mentions = jsonb_build_array(jsonb_build_object('id', $1::bigint, 'username', $2::text))
         where id = $3`,
        [cat.id, cat.username, answer.id],
      );
      for (let left = 1; left > 0;) {
        const { rows } = await query<{ left: number }>('select purge_notifications(2000) as left');
        left = rows[0]!.left;
      }
    });
    expect(await shown(ada)).to.deep.equal(['2 votes']);
    expect(await list(ada)).to.include({ unread: 1 });
    expect(await shown(cat)).to.deep.equal([`mention by ${ada.id}`]);
    for (const user of [ada, cat])
      expect(await toldNames(user, before)).to.deep.equal([
        'notification:removed',
        'notification:added',
        'notifications:state',
      ]);
  });

  it('go with the account that caused them and with the one that has them', async () => {
    const post = await writePost(ada);
    await reply(ben, post.id);
    await ok(ben.put(`/users/${ada.id}/follow`));
    await ok(ben.put(`/posts/${post.id}/vote`));
    await mentioning(ada, ben);
    await until('the vote to be told', async () => (await shown(ada)).length === 3);
    await ok(ben.delete('/users/me', { password: ben.password }));
    await tellVotes(world);
    expect(await shown(ada)).to.deep.equal([]);
    expect(await list(ada)).to.include({ unread: 0 });
    await until('the account to be gone', async () => {
      return (await numberOf(world, 'select count(*) from users where id = $1', [ben.id])) === 0;
    });
    const left = `select (select count(*) from notifications where user_id = $1 or actor_id = $1)
      + (select count(*) from notification_states where user_id = $1)
      + (select count(*) from event_log where entity_type = 'notification' and data::text like '%' || $2 || '%')`;
    await until(
      'the name to be out of the log',
      async () => (await numberOf(world, left, [ben.id, ben.username])) === 0,
    );
  });

  it('are examined: doctor finds and mends what should not be there, what is untold, and wrong counts', async () => {
    const post = await writePost(ada);
    await reply(ben, post.id);
    await reply(ben, post.id);
    await ok(ben.put(`/posts/${post.id}/vote`));
    await until('the vote to be told', async () => (await shown(ada)).length === 3);
    await headOf(world);
    const all = (await list(ada)).notifications;
    const [votes, untold, gone] = all;
    await execute(world, `update notifications set people = 7 where id = $1`, [votes!.id]);
    await execute(world, 'delete from notifications where id = $1', [gone!.id]);
    await execute(world, 'update notifications set post_id = 0 where id = $1', [untold!.id]);
    expect(await faults()).to.have.members([
      `Notification ${gone!.id} of user ${ada.id} is told and is not there.`,
      `Notification ${untold!.id} of user ${ada.id} is of a post that nobody sees.`,
      `User ${ada.id} has 2 unread notifications, and was told 3.`,
      `Others voted 1 times for post ${post.id}, and its owner was told 7.`,
    ]);
    for (const finding of await findings()) await repair(world.ctx.db, finding);
    await tellVotes(world);
    expect(await shown(ada)).to.deep.equal(['1 votes']);
  });
});
