import { expect } from 'chai';
import type { NotificationPage, NotificationView } from '../client/src/index.ts';
import type { Role } from '../models/index.ts';
import { examine } from '../server/doctor/examine.ts';
import type { AuditView } from '../server/moderation/present.ts';
import { grantRole } from '../server/moderation/roles.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { caughtUp, execute, headOf, numberOf, postEventsSince, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('notifications of moderation', () => {
  let world: World;
  let moderator: TestUser;
  let other: TestUser;
  before(async () => {
    world = await createWorld();
    [moderator, other] = await Promise.all([somebody('moderator'), somebody('moderator')]);
  });
  after(async () => {
    await headOf(world);
    const examined = await examine(world.ctx.config, world.databaseUrl, { schema: false });
    const found = examined.flatMap(({ findings }) => findings.map(({ what }) => what));
    await world.close();
    expect(found.filter((what) => !what.startsWith('fsync'))).to.deep.equal([]);
  });

  async function somebody(role: Role = 'user'): Promise<TestUser> {
    const user = await world.user();
    await world.ctx.db.transaction((tx) => grantRole(tx, user.username, role, ''));
    return user;
  }

  async function act(by: TestUser, action: string, body: object, reason = 'because'): Promise<void> {
    const answer = await by.post<object>('/moderation/actions', { action, reason, ...body });
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
  }
  const list = async (user: TestUser) =>
    (await user.get<Pick<NotificationPage, 'notifications' | 'unread' | 'rev'>>('/notifications')).body;
  /** What moderators told a user, the newest first. */
  const told = async (user: TestUser): Promise<NotificationView[]> =>
    (await list(user)).notifications.filter(({ kind }) => kind === 'moderation');
  const actsTold = async (user: TestUser) => (await told(user)).map(({ act }) => act);
  const report = async (by: TestUser, path: string) =>
    expect((await by.put(`${path}/report`, { reason: 'spam', note: 'my words' })).status).to.equal(204);
  const loggedTo = (user: TestUser, since: number) =>
    rows<{ name: string; data: Record<string, unknown> }>(
      world,
      `select name, data from event_log where seq > $1 and audience = 'user:' || $2::bigint order by seq`,
      [since, user.id],
    );

  it('a warning tells the user the reason, live and in the list, and not who gave it', async () => {
    const user = await somebody();
    const before = await caughtUp(world);
    await act(moderator, 'warn', { user_id: user.id }, 'Please stay polite');
    const { notifications, unread, rev } = await list(user);
    expect(notifications).to.have.lengthOf(1);
    expect(notifications[0]).to.deep.include({
      kind: 'moderation',
      act: 'warn',
      reason: 'Please stay polite',
      actor: null,
      post_id: null,
      thread_id: null,
      read: false,
    });
    expect(unread).to.equal(1);
    await headOf(world);
    const events = await loggedTo(user, before);
    expect(events.map(({ name }) => name)).to.deep.equal(['notification:added', 'notifications:state']);
    expect(events[0]?.data).to.deep.equal({ ...notifications[0] });
    expect(events[1]?.data).to.deep.equal({ unread, rev });
    expect(JSON.stringify(events)).not.to.include(moderator.username);
    await act(other, 'warn', { user_id: user.id }, 'For the last time');
    expect((await told(user)).map(({ reason }) => reason)).to.deep.equal([
      'For the last time',
      'Please stay polite',
    ]);
  });

  it('the author is told what was done to a post, also when it is gone with its thread', async () => {
    const author = await somebody();
    const post = await writePost(author);
    const reply = (await author.post<PostAnswer>(`/posts/${post.id}/replies`, { content: 'mine' })).body;
    for (const action of ['lock', 'unlock', 'remove', 'restore'])
      await act(moderator, action, { post_id: post.id }, `${action}, since`);
    await act(moderator, 'remove', { post_id: reply.id }, 'this one stays away');
    const all = await told(author);
    expect(all.map(({ act, reason }) => [act, reason])).to.deep.equal([
      ['remove', 'this one stays away'],
      ['restore', 'restore, since'],
      ['remove', 'remove, since'],
      ['unlock', 'unlock, since'],
      ['lock', 'lock, since'],
    ]);
    expect(all[0]).to.deep.include({ post_id: reply.id, thread_id: post.id });
    await act(moderator, 'remove', { post_id: post.id });
    expect((await author.delete(`/posts/${post.id}`)).status).to.equal(404);
    await execute(world, `update removed_posts set removed_at = '-infinity' where post_id = ${post.id}`);
    await execute(world, 'select prune_removed_posts(10)');
    expect(await told(author)).to.have.lengthOf(6);
    expect((await list(author)).unread).to.equal(6);
  });

  it('stays when a thread with very many other notifications is taken away in pieces', async () => {
    const [author, fan] = await Promise.all([somebody(), somebody()]);
    const post = await writePost(author);
    await act(moderator, 'lock', { post_id: post.id });
    await execute(
      world,
      `insert into notifications (user_id, group_key, kind, actor_id, post_id, thread_id, rev)
       select $1::bigint, 'mention:' || n, 'mention', $2::bigint, n, $3::bigint, n from generate_series(3000000, 3001000) n`,
      [fan.id, author.id, post.id],
    );
    await act(moderator, 'remove', { post_id: post.id });
    expect(await actsTold(author)).to.deep.equal(['remove', 'lock']);
    expect((await list(author)).unread).to.equal(2);
    await until('the pieces to be gone', async () => {
      await execute(world, 'select purge_notifications(300)');
      return (await numberOf(world, 'select count(*) from notification_removals')) === 0;
    });
    expect(await actsTold(author)).to.deep.equal(['remove', 'lock']);
    expect((await list(fan)).notifications).to.deep.equal([]);
  });

  it('of a thread with very many others locks those whom it is about, and not all who have one', async () => {
    const [author, fan] = await Promise.all([somebody(), somebody()]);
    const post = await writePost(author);
    const client = await world.pool.connect();
    const locked = async (notifications: number) => {
      await client.query('begin');
      try {
        await client.query(
          `insert into notifications (user_id, group_key, kind, actor_id, post_id, thread_id, rev)
           select n, 'reply:x', 'reply', $1::bigint, n, $2::bigint, 1 from generate_series(7000001, 7000000 + $3) n`,
          [author.id, post.id, notifications],
        );
        await client.query('select lock_notifications_of_posts($1, $2)', [[post.id], [fan.id]]);
        const { rows: found } = await client.query<{ id: number }>(
          'select user_id as id from notification_states where user_id > 7000000 or user_id = $1',
          [fan.id],
        );
        return found.length;
      } finally {
        await client.query('rollback');
      }
    };
    try {
      expect(await locked(1000)).to.equal(1001);
      expect(await locked(1001)).to.equal(1);
    } finally {
      client.release();
    }
  });

  it('comes back with a post to nobody who has been deleted meanwhile', async () => {
    const [author, mentioned] = await Promise.all([somebody(), somebody()]);
    const post = await writePost(author, { content: `Look, @${mentioned.username}` });
    await act(moderator, 'remove', { post_id: post.id });
    expect((await mentioned.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    const left = (table: string, column: string) =>
      numberOf(world, `select count(*) from ${table} where ${column} = $1`, [mentioned.id]);
    await until('the account to be gone', async () => (await left('account_tasks', 'user_id')) === 0);
    await act(moderator, 'restore', { post_id: post.id });
    expect(await left('notification_states', 'user_id')).to.equal(0);
  });

  it('a suspension is told for later, and so is its end', async () => {
    const user = await somebody();
    await act(moderator, 'suspend', { user_id: user.id }, 'Spam');
    await act(other, 'unsuspend', { user_id: user.id }, 'It was none');
    const again = await logIn(world.url, user);
    expect((await told(again)).map(({ act, reason }) => [act, reason])).to.deep.equal([
      ['unsuspend', 'It was none'],
      ['suspend', 'Spam'],
    ]);
  });

  it('all reporters are told that their report was looked at, and nothing of by whom, why and of whom else', async () => {
    const [author, first, second] = await Promise.all([somebody(), somebody(), somebody()]);
    const post = await writePost(author);
    for (const reporter of [first, second, other]) await report(reporter, `/posts/${post.id}`);
    await report(first, `/users/${author.id}`);
    const before = await headOf(world);
    await act(other, 'remove', { post_id: post.id }, 'secret reason');
    for (const reporter of [first, second]) {
      const [notice, ...more] = await told(reporter);
      expect(more).to.be.empty;
      expect(notice).to.deep.include({ act: 'report_acted', actor: null, post_id: post.id, people: 1 });
      expect(notice).not.to.have.property('reason');
      await headOf(world);
      const text = JSON.stringify(await loggedTo(reporter, before));
      for (const hidden of ['secret reason', other.username, first.username, second.username, 'my words'])
        expect(text).not.to.include(hidden);
    }
    expect(await told(other), 'who has resolved it knows').to.be.empty;
    expect(await actsTold(author)).to.deep.equal(['remove']);
    await act(moderator, 'dismiss', { user_id: author.id });
    expect(await actsTold(first)).to.deep.equal(['report_dismissed', 'report_acted']);
    expect(await actsTold(author), 'a dismissal is nothing to the user').to.deep.equal(['remove']);
    await report(second, `/users/${author.id}`);
    await act(moderator, 'warn', { user_id: author.id });
    expect(await actsTold(second)).to.deep.equal(['report_acted', 'report_acted']);
  });

  it('whom the user hides, or who hides the user, is no reason to tell less', async () => {
    const user = await somebody();
    await user.put(`/users/${moderator.id}/block`);
    await moderator.put(`/users/${user.id}/block`);
    await act(moderator, 'warn', { user_id: user.id });
    expect(await actsTold(user)).to.deep.equal(['warn']);
    await user.put(`/users/${other.id}/mute`);
    expect(await actsTold(user)).to.deep.equal(['warn']);
  });

  it('leaves nothing of an account that is deleted at the same moment, and no reason in the log', async () => {
    for (let round = 0; round < 3; round += 1) {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const post = await writePost(author);
      await report(reporter, `/posts/${post.id}`);
      await act(moderator, 'warn', { user_id: reporter.id }, `reason-for-${reporter.id}`);
      const [gone] = await Promise.all([
        reporter.delete('/users/me', { password: PASSWORD }),
        act(moderator, 'remove', { post_id: post.id }),
      ]);
      expect(gone.status).to.equal(204);
      await until('the account to be gone', async () => {
        return (
          (await numberOf(world, 'select count(*) from account_tasks where user_id = $1', [reporter.id])) ===
          0
        );
      });
      expect(
        await numberOf(world, 'select count(*) from notifications where user_id = $1', [reporter.id]),
      ).to.equal(0);
      await until('the reason to leave the log', async () => {
        const found = await numberOf(
          world,
          `select count(*) from event_log where data::text like '%' || $1 || '%'`,
          [`reason-for-${reporter.id}`],
        );
        return found === 0;
      });
    }
  });

  it('waits for no account that is being deleted in another order than that in which it is waited for', async () => {
    const [account, reader] = [await somebody(), await somebody()];
    expect((await account.put(`/users/${reader.id}/follow`)).status).to.be.below(300);
    const [notifying, deleting] = [await world.pool.connect(), await world.pool.connect()];
    try {
      await notifying.query('begin');
      await notifying.query('select lock_notifications($1)', [[account.id]]);
      const { rows: pids } = await deleting.query<{ pid: number }>('select pg_backend_pid() as pid');
      await deleting.query('begin');
      const deleted = deleting.query<{ gone: number }>('select forget_notifications_of($1, 10) as gone', [
        account.id,
      ]);
      const ended = Promise.allSettled([deleted]);
      await until('the deletion to wait', async () => {
        const waiting = `select count(*) from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'`;
        return (await numberOf(world, waiting, [pids[0]!.pid])) === 1;
      });
      await notifying.query('select lock_notifications($1)', [[reader.id]]);
      await notifying.query('commit');
      await ended;
      expect((await deleted).rows).to.deep.equal([{ gone: 1 }]);
    } finally {
      await Promise.allSettled([notifying.query('rollback'), deleting.query('rollback')]);
      for (const client of [notifying, deleting]) client.release();
    }
  });

  for (const [what, table, condition] of [
    ['entry in the audit log', 'audit_log', `reason <> 'refused'`],
    ['notification', 'notifications', `reason <> 'refused' or act is null`],
  ] as const)
    it(`an action without its ${what} leaves nothing`, async () => {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const post = await writePost(author);
      const locked = await writePost(author);
      for (const path of [`/posts/${post.id}`, `/users/${author.id}`]) await report(reporter, path);
      const snapshot = async () => [
        await headOf(world),
        await rows(
          world,
          'select id, deleted_at, version, locked_at from posts where owner_id = $1 order by id',
          [author.id],
        ),
        await rows(world, 'select suspended_until from users where id = $1', [author.id]),
        await rows(world, 'select id, revoked_at from sessions where user_id = $1', [author.id]),
        await numberOf(world, 'select count(*) from audit_log'),
        await numberOf(world, 'select count(*) from notifications where user_id in ($1, $2)', [
          author.id,
          reporter.id,
        ]),
        await rows(world, 'select * from moderation_cases where user_id = $1 order by id', [author.id]),
        await numberOf(world, 'select count(*) from removed_posts where owner_id = $1', [author.id]),
      ];
      const before = await snapshot();
      await execute(world, `alter table ${table} add constraint planted check (${condition}) not valid`);
      try {
        for (const [action, target] of [
          ['warn', { user_id: author.id }],
          ['suspend', { user_id: author.id }],
          ['remove', { post_id: post.id }],
          ['lock', { post_id: locked.id }],
        ] as const) {
          const body = { action, reason: 'refused', ...target };
          const { status } = await moderator.post<object>('/moderation/actions', body);
          expect(status, action).to.be.at.least(400);
          expect(await snapshot(), action).to.deep.equal(before);
        }
      } finally {
        await execute(world, `alter table ${table} drop constraint planted`);
      }
      await act(moderator, 'remove', { post_id: post.id }, 'refused');
      expect(await actsTold(author)).to.deep.equal(['remove']);
      expect(await actsTold(reporter)).to.deep.equal(['report_acted']);
    });

  describe('the removal of all posts of a user', () => {
    const removeAll = async (user: TestUser, reason = 'All of it') => {
      const body = { action: 'remove', user_id: user.id, posts: 'all', reason };
      return moderator.post<AuditView>('/moderation/actions', body);
    };
    const entriesOf = (user: TestUser) =>
      rows<{ posts: number }>(
        world,
        `select (details ->> 'posts')::integer as posts from audit_log where user_id = $1 order by id`,
        [user.id],
      );
    /** With a reply below the first one and a draft. */
    const prolific = async (posts: number) => {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const first = await writePost(author);
      await execute(
        world,
        `insert into posts (owner_id, title, content, published, search_text, tags, mentions)
         select $1, 'bulk', 'text', true, '', '{}', '[]' from generate_series(1, $2)`,
        [author.id, posts - 2],
      );
      await execute(
        world,
        `insert into post_tallies (post_id, hot) select id, hot_rank(0, now()) from posts p
         where owner_id = $1 and not exists (select from post_tallies t where t.post_id = p.id)`,
        [author.id],
      );
      await reporter.post(`/posts/${first.id}/replies`, { content: 'of another' });
      const ofOther = await writePost(reporter);
      await author.post(`/posts/${ofOther.id}/replies`, { content: 'a reply' });
      const draft = await writePost(author, { published: false });
      await report(reporter, `/posts/${first.id}`);
      return { author, reporter, first, ofOther, draft };
    };
    const leftOf = (user: TestUser) =>
      numberOf(world, 'select count(*) from posts where owner_id = $1 and published', [user.id]);

    it('is made in pieces within the request, says how many, and is told once', async () => {
      const { author, reporter, first, ofOther, draft } = await prolific(60);
      const before = await headOf(world);
      const { status, body } = await removeAll(author);
      expect([status, body.action, body.post_id, body.posts]).to.deep.equal([201, 'remove', null, 60]);
      expect((await entriesOf(author)).map(({ posts }) => posts)).to.deep.equal([25, 25, 10]);
      expect(await leftOf(author)).to.equal(0);
      const events = await postEventsSince(world, before);
      expect(new Set(events.map(({ name }) => name))).to.have.keys('post:deleted');
      expect(new Set(events.map(({ post_id }) => post_id))).to.have.lengthOf(60);
      expect((await author.get<object[]>(`/posts?owner_id=${author.id}&published=true`)).body).to.deep.equal(
        [],
      );
      expect((await author.get(`/posts/${draft.id}`)).status).to.equal(200);
      expect((await reporter.get<PostAnswer>(`/posts/${ofOther.id}`)).body.replies).to.equal(0);
      const [notice, ...more] = await told(author);
      expect(more).to.be.empty;
      expect(notice).to.deep.include({ act: 'remove', reason: 'All of it', post_id: null });
      expect(await actsTold(reporter)).to.deep.equal(['report_acted']);
      expect(
        await numberOf(
          world,
          'select count(*) from moderation_cases where post_id = $1 and resolved_at is null',
          [first.id],
        ),
      ).to.equal(0);

      const again = await removeAll(author);
      expect([again.status, again.body.posts]).to.deep.equal([201, 0]);
      expect(await told(author)).to.have.lengthOf(1);
      await act(moderator, 'restore', { post_id: first.id });
      expect((await reporter.get<PostAnswer>(`/posts/${first.id}`)).body.replies).to.equal(1);
    });

    it('tells of at most as many reports in one piece as of one post', async () => {
      const author = await somebody();
      const posts = [await writePost(author), await writePost(author), await writePost(author)];
      for (const { id } of posts) await report(other, `/posts/${id}`);
      const reporters = [9000001, 9000400];
      await execute(
        world,
        `insert into reports (case_id, reporter_id, reason, note)
         select c.id, n, 'spam', '' from moderation_cases c cross join generate_series($2::bigint, $3::bigint) n
         where c.user_id = $1`,
        [author.id, ...reporters],
      );
      expect((await removeAll(author)).body.posts).to.equal(3);
      expect((await entriesOf(author)).map((entry) => entry.posts)).to.deep.equal([1, 1, 1]);
      expect(await leftOf(author)).to.equal(0);
    });

    it('that fails amid a piece leaves whole ones, and the same request removes the rest', async () => {
      const { author } = await prolific(60);
      const ids = await rows<{ id: number }>(
        world,
        'select id from posts where owner_id = $1 and published order by id offset 30 limit 1',
        [author.id],
      );
      await execute(
        world,
        `alter table removed_posts add constraint planted check (post_id <> ${ids[0]!.id}) not valid`,
      );
      try {
        expect((await removeAll(author)).status).to.be.at.least(400);
      } finally {
        await execute(world, 'alter table removed_posts drop constraint planted');
      }
      expect([await leftOf(author), (await entriesOf(author)).map(({ posts }) => posts)]).to.deep.equal([
        35,
        [25],
      ]);
      const { body } = await removeAll(author);
      expect([body.posts, await leftOf(author)]).to.deep.equal([35, 0]);
      expect((await entriesOf(author)).map(({ posts }) => posts)).to.deep.equal([25, 25, 10]);
    });

    it('goes well together with what the user writes and another moderator does at once', async () => {
      const { author } = await prolific(30);
      const answers = await Promise.all([
        removeAll(author),
        other.post<object>('/moderation/actions', {
          action: 'remove',
          user_id: author.id,
          posts: 'all',
          reason: 'x',
        }),
        ...Array.from({ length: 5 }, () =>
          author.post<object>('/posts', { title: 'meanwhile', content: '' }),
        ),
      ]);
      expect(answers.map(({ status }) => status)).to.deep.equal(answers.map(() => 201));
      await removeAll(author);
      expect(await leftOf(author)).to.equal(0);
    });

    it('is of a user, and of one on whom the moderator may act', async () => {
      const user = await somebody();
      const post = await writePost(user);
      const bodies: [object, string[]][] = [
        [{ action: 'remove', user_id: user.id }, ['body.post_id']],
        [{ action: 'remove', post_id: post.id, posts: 'all' }, ['body.posts']],
        [{ action: 'suspend', user_id: user.id, posts: 'all' }, ['body.posts']],
        [{ action: 'remove', user_id: user.id, posts: 'some' }, ['body.posts']],
      ];
      for (const [body, faults] of bodies)
        expect(
          faultsOf(await moderator.post('/moderation/actions', { reason: 'x', ...body })),
          JSON.stringify(body),
        ).to.deep.equal(faults);
      expectProblem(await removeAll(other), 403, 'forbidden');
      expect((await user.get(`/posts/${post.id}`)).status).to.equal(200);
    });
  });

  it('a warning about a post is for its owner, and resolves the case of the post', async () => {
    const [author, reporter] = await Promise.all([somebody(), somebody()]);
    const post = await writePost(author);
    await report(reporter, `/posts/${post.id}`);
    await act(moderator, 'warn', { post_id: post.id }, 'Not like this');
    const [notice] = await told(author);
    expect(notice).to.deep.include({ act: 'warn', reason: 'Not like this', post_id: post.id });
    expect(await actsTold(reporter)).to.deep.equal(['report_acted']);
    expect((await author.get(`/posts/${post.id}`)).status).to.equal(200);
  });

  it('a suspended user is told the reason at the login, and not by whom', async () => {
    const user = await somebody();
    await act(moderator, 'suspend', { user_id: user.id }, 'Spam, again');
    const { email } = user;
    const answer = await world.anonymous.post<object>('/login', { email, password: PASSWORD });
    const problem = expectProblem(answer, 403, 'suspended');
    expect(problem).to.include({ until: null, reason: 'Spam, again' });
    expect(problem.detail).to.equal('This account is suspended. The reason: Spam, again');
    const wrong = await world.anonymous.post<object>('/login', { email, password: 'not this one' });
    expect(JSON.stringify(expectProblem(wrong, 403, 'invalid_credentials'))).not.to.include('Spam');
  });

  it('what was done without an entry in the audit log is found by the doctor', async () => {
    const user = await somebody();
    await execute(world, `update users set suspended_until = 'infinity' where id = ${user.id}`);
    const examined = await examine(world.ctx.config, world.databaseUrl, { schema: false });
    const found = examined.flatMap(({ findings }) => findings.map(({ what }) => what));
    expect(found).to.include(`User ${user.id} is suspended, and the audit log does not say by whom.`);
    await execute(world, `update users set suspended_until = null where id = ${user.id}`);
  });

  it('is one for each act, also when several act at the same moment', async () => {
    for (let round = 0; round < 3; round += 1) {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const post = await writePost(author, { content: `@${reporter.username}` });
      await author.post(`/posts/${post.id}/replies`, { content: `@${reporter.username} again` });
      await report(reporter, `/posts/${post.id}`);
      const answers = await Promise.all([
        ...[moderator, other].map((by) =>
          by.post<object>('/moderation/actions', { action: 'remove', post_id: post.id, reason: 'x' }),
        ),
        reporter.post(`/posts/${post.id}/replies`, { content: `@${author.username}` }),
        reporter.put(`/posts/${post.id}/vote`),
        reporter.put(`/users/${author.id}/block`),
        reporter.put('/notifications/read', { up_to: 100 }),
      ]);
      expect(answers.filter(({ status }) => status >= 500)).to.deep.equal([]);
      expect(await actsTold(author)).to.deep.equal(['remove']);
      expect(await actsTold(reporter)).to.deep.equal(['report_acted']);
    }
  });
});
