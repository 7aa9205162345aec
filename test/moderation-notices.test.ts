import { expect } from 'chai';
import type { NotificationPage, NotificationView } from 'tidings-client';
import type { Role } from '../models/index.ts';
import { examine } from '../server/doctor/examine.ts';
import { grantRole } from '../server/moderation/roles.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { caughtUp, execute, headOf, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('notifications of moderation', function () {
  this.timeout(60_000);
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
        await rows(world, 'select * from sessions where user_id = $1', [author.id]),
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

  it('is one for each act, whoever acts at the same moment', async () => {
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
