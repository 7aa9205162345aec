import { expect } from 'chai';
import type { NotificationPage, ReplyAnswer } from '../client/src/index.ts';
import { routes } from '../server/app.ts';
import type { Role } from '../models/index.ts';
import type { AuditView, CaseView } from '../server/moderation/present.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { examine } from '../server/doctor/examine.ts';
import { repair } from '../server/doctor/repair.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { duringLock } from './support/locked-rows.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { caughtUp, execute, headOf, numberOf, postEventsSince, rows, tellVotes } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const HOUR = 3_600_000;

describe('moderation', () => {
  let world: World;
  let admin: TestUser;
  let moderator: TestUser;
  let other: TestUser;
  before(async () => {
    world = await createWorld();
    [admin, moderator, other] = await Promise.all([
      somebody('admin'),
      somebody('moderator'),
      somebody('moderator'),
    ]);
  });
  after(() => world.close());

  async function somebody(role: Role = 'user'): Promise<TestUser> {
    const user = await world.user();
    await world.ctx.db.transaction((tx) => grantRole(tx, user.username, role, ''));
    return user;
  }

  const suspension = (id: number, until = "'infinity'") =>
    `update users set suspended_until = ${until} where id = ${id}`;
  const act = (by: TestUser, action: string, body: object) =>
    by.post<AuditView>('/moderation/actions', { action, reason: 'because', ...body });
  const entries = () => numberOf(world, 'select count(*) from audit_log');
  const login = ({ email }: TestUser) => world.anonymous.post('/login', { email, password: PASSWORD });
  const refresh = (user: TestUser) => world.anonymous.post('/refresh', { refresh_token: user.refreshToken });

  describe('the audit log', () => {
    it('has each action with who did it, whom to, why and when, the newest first', async () => {
      const user = await somebody();
      const until = new Date(Date.now() + HOUR).toISOString();
      const { status, body } = await act(moderator, 'suspend', { user_id: user.id, until });
      expect(status).to.equal(201);
      expect(body).to.deep.include({
        action: 'suspend',
        actor: { id: moderator.id, username: moderator.username },
        user: { id: user.id, username: user.username },
        post_id: null,
        reason: 'because',
        until,
        role: null,
      });
      const lifted = await act(other, 'unsuspend', { user_id: user.id });
      const path = `/moderation/log?user_id=${user.id}&limit=1`;
      const first = await other.get<AuditView[]>(path);
      expect(first.body).to.deep.equal([lifted.body]);
      const next = /<(.*)>; rel="next"/.exec(first.headers.get('link') ?? '')?.[1];
      const second = await other.get<AuditView[]>(next ?? '');
      expect(second.body).to.deep.equal([body]);
      expect(second.headers.get('link')).to.equal(null);
      const all = await admin.get<AuditView[]>('/moderation/log');
      expect(all.body[0]).to.deep.equal(lifted.body);
      expect(
        all.body.find(({ action, user: whom }) => action === 'grant' && whom?.id === moderator.id),
      ).to.deep.include({
        actor: null,
        role: 'moderator',
      });
      expect(faultsOf(await admin.get('/moderation/log?cursor=x'))).to.deep.equal(['query.cursor']);
    });

    it('is listed by action and by actor, from page to page', async () => {
      const [judge, user] = [await somebody('moderator'), await somebody()];
      for (const action of ['warn', 'suspend', 'unsuspend', 'warn'])
        await act(judge, action, { user_id: user.id });
      await act(moderator, 'warn', { user_id: user.id });
      const listed = async (query: string) => {
        const actions: string[] = [];
        let path: string | undefined = `/moderation/log?limit=1&${query}`;
        while (path !== undefined) {
          const { body, headers }: Answer<AuditView[]> = await admin.get(path);
          actions.push(...body.map(({ action }) => action));
          path = /<(.*)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
        }
        return actions;
      };
      const byJudge = `actor_id=${judge.id}`;
      expect(await listed(byJudge)).to.deep.equal(['warn', 'unsuspend', 'suspend', 'warn']);
      expect(await listed(`${byJudge}&action=suspend`)).to.deep.equal(['suspend']);
      expect(await listed(`user_id=${user.id}&action=warn`)).to.deep.equal(['warn', 'warn', 'warn']);
      expect(faultsOf(await admin.get('/moderation/log?action=removed'))).to.deep.equal(['query.action']);
    });

    it('keeps its entries when an account is deleted, without its name', async () => {
      const leaver = await somebody('moderator');
      const user = await somebody();
      await act(leaver, 'suspend', { user_id: user.id });
      expect((await leaver.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      const log = await moderator.get<AuditView[]>(`/moderation/log?user_id=${user.id}`);
      expect(log.body[0]?.actor).to.deep.equal({ id: leaver.id, username: '' });
    });
  });

  describe('who may act on whom', () => {
    const may: Record<Role, Role[]> = {
      user: [],
      moderator: ['user'],
      admin: ['user', 'moderator', 'admin'],
    };
    for (const [actor, allowed] of Object.entries(may))
      for (const target of ['user', 'moderator', 'admin'] as const) {
        const status = allowed.includes(target) ? 201 : 403;
        it(`${actor} who would suspend ${target} gets ${status}`, async () => {
          const by = await somebody(actor as Role);
          const user = await somebody(target);
          const before = await entries();
          const answer = await act(by, 'suspend', { user_id: user.id });
          expect(answer.status).to.equal(status);
          if (status === 403) {
            expectProblem(answer, 403, 'forbidden');
            expect(await entries()).to.equal(before);
            expect((await user.get('/users/me')).status).to.equal(200);
          }
        });
      }

    it('nobody acts on themselves, or on nobody', async () => {
      for (const who of [admin, moderator])
        expectProblem(await act(who, 'suspend', { user_id: who.id }), 403, 'forbidden');
      expectProblem(await act(moderator, 'suspend', { user_id: 2 ** 40 }), 404, 'not_found');
    });

    const endings: Record<string, (former: TestUser) => Promise<unknown>> = {
      'a role that was taken away': ({ username }) =>
        world.ctx.db.transaction((tx) => grantRole(tx, username, 'user', '')),
      'the role of a suspended user': ({ id }) => execute(world, suspension(id)),
    };
    for (const [what, end] of Object.entries(endings))
      it(`${what} holds for no further request`, async () => {
        const former = await somebody('moderator');
        expect((await former.get('/moderation/log')).status).to.equal(200);
        await end(former);
        const guarded = routes.filter(({ role }) => role === 'moderator');
        expect(guarded).not.to.be.empty;
        for (const { method, path, body } of guarded) {
          const example = (body?.describe() as { examples?: object[] } | undefined)?.examples?.[0];
          const answer = await former.request<object>(
            method.toUpperCase(),
            path.replaceAll(/:\w+/g, '1'),
            example,
          );
          expectProblem(answer, 403, 'forbidden');
        }
        await execute(world, suspension(former.id, 'null'));
      });

    it('the role of a moderator who is suspended meanwhile holds for no further piece of an action', async () => {
      const [author, gone, reporter] = await Promise.all([somebody(), somebody(), somebody()]);
      const post = await writePost(author);
      await writePost(author);
      const left = await writePost(gone);
      await reporter.put(`/posts/${left.id}/report`, { reason: 'spam', note: '' });
      expect((await gone.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      const before = await entries();
      for (const [action, body] of [
        ['warn', { user_id: author.id }],
        ['lock', { post_id: post.id }],
        ['remove', { user_id: author.id, posts: 'all' }],
        ['dismiss', { post_id: left.id }],
      ] as const) {
        const former = await somebody('moderator');
        const answer = await duringLock(world, {
          lock: `select 1 from users where id = ${former.id} for update`,
          send: () => act(former, action, body),
          then: suspension(former.id),
        });
        expectProblem(answer, 403, 'forbidden');
        await execute(world, suspension(former.id, 'null'));
      }
      // Beside those of the roles that were given.
      expect(await entries()).to.equal(before + 4);
    });
  });

  describe('a suspension', () => {
    it('ends every session, and login and refresh say until when', async () => {
      const user = await somebody();
      const second = await logIn(world.url, user);
      const until = new Date(Date.now() + HOUR).toISOString();
      expect((await act(moderator, 'suspend', { user_id: user.id, until })).status).to.equal(201);
      for (const api of [user, second]) {
        expectProblem(await api.get<object>('/posts'), 401);
        expectProblem(await api.post<object>('/posts', { title: 'too late', content: '' }), 401);
        expect(expectProblem(await refresh(api), 403, 'suspended')).to.include({ until });
      }
      expect(expectProblem(await login(user), 403, 'suspended')).to.include({ until });
      const wrong = await world.anonymous.post('/login', { email: user.email, password: 'not this one' });
      expectProblem(wrong, 403, 'invalid_credentials');
    });

    it('ends by the clock, or earlier when a moderator says so, and no session comes back', async () => {
      const user = await somebody();
      await act(moderator, 'suspend', { user_id: user.id });
      expect(expectProblem(await login(user), 403, 'suspended')).to.include({ until: null });
      await execute(world, `update users set suspended_until = clock_timestamp() where id = ${user.id}`);
      expect((await login(user)).status).to.equal(200);
      expectProblem(await refresh(user), 401);
      expectProblem(await act(moderator, 'unsuspend', { user_id: user.id }), 409, 'conflict');
      await act(moderator, 'suspend', { user_id: user.id });
      expect((await act(other, 'unsuspend', { user_id: user.id })).status).to.equal(201);
      expect((await login(user)).status).to.equal(200);
    });

    it('has an end that is to come, and one that there is', async () => {
      const user = await somebody();
      for (const until of [
        '2020-01-01T00:00:00Z',
        '2030-02-30T00:00:00Z',
        '0000-01-01T00:00:00Z',
        'tomorrow',
      ])
        expect(faultsOf(await act(moderator, 'suspend', { user_id: user.id, until })), until).to.deep.equal([
          'body.until',
        ]);
      expect((await user.get('/users/me')).status).to.equal(200);
    });

    it('lets no login through that is in progress while it is made', async () => {
      for (let round = 0; round < 10; round += 1) {
        const user = await somebody();
        const [, logins] = await Promise.all([
          act(moderator, 'suspend', { user_id: user.id }),
          Promise.all([login(user), login(user)]),
        ]);
        expect(logins.map(({ status }) => status).every((status) => [200, 403].includes(status))).to.be.true;
        const alive = await rows(world, 'select 1 from sessions where user_id = $1 and revoked_at is null', [
          user.id,
        ]);
        expect(alive).to.be.empty;
      }
    });

    it('is made twice by two moderators at once, one after the other', async () => {
      const user = await somebody();
      const before = await entries();
      const until = (hours: number) => new Date(Date.now() + hours * HOUR).toISOString();
      const answers = await Promise.all(
        [moderator, other, admin].map((by, at) =>
          act(by, 'suspend', { user_id: user.id, until: until(at + 1) }),
        ),
      );
      expect(answers.map(({ status }) => status)).to.deep.equal([201, 201, 201]);
      expect(await entries()).to.equal(before + 3);
      const [last] = (await admin.get<AuditView[]>(`/moderation/log?user_id=${user.id}`)).body;
      expect(expectProblem(await login(user), 403, 'suspended')).to.include({ until: last?.until });
    });

    it('is not made without its entry in the audit log', async () => {
      const user = await somebody();
      await execute(world, `alter table audit_log add constraint none check (action <> 'suspend') not valid`);
      try {
        expect((await act(moderator, 'suspend', { user_id: user.id })).status).not.to.equal(201);
      } finally {
        await execute(world, 'alter table audit_log drop constraint none');
      }
      expect((await user.get('/users/me')).status).to.equal(200);
      expect((await login(user)).status).to.equal(200);
    });
  });

  describe('a removal', () => {
    const reply = async (by: TestUser, to: number, content: string) =>
      (await by.post<PostAnswer>(`/posts/${to}/replies`, { content })).body;
    const countOf = async (id: number) => (await moderator.get<PostAnswer>(`/posts/${id}`)).body.replies;
    const thread = async (id: number) =>
      (await moderator.get<ReplyAnswer[]>(`/posts/${id}/replies`)).body.map((one) =>
        one.deleted ? 'deleted' : one.content,
      );
    /** Without what moderators told. */
    const unread = async (user: TestUser) => {
      const { body } = await user.get<Pick<NotificationPage, 'notifications'>>('/notifications?unread=true');
      return body.notifications.filter(({ kind }) => kind !== 'moderation').length;
    };
    async function faults(): Promise<string[]> {
      await headOf(world);
      const examined = await examine(world.ctx.config, world.databaseUrl, { schema: false });
      const found = examined.flatMap(({ findings }) => findings.map(({ what }) => what));
      return found.filter((what) => !what.startsWith('fsync'));
    }
    after(async () => expect(await faults()).to.deep.equal([]));

    it('is a deletion for everyone, and a restored post comes back with its votes and a higher version', async () => {
      const author = await somebody();
      const words = `words-of-${author.id}`;
      const post = await writePost(author, { title: words, content: `${words} #tag${author.id}` });
      await moderator.put(`/posts/${post.id}/vote`);
      const edit = { content: `${words} again #tag${author.id}` };
      const { body: edited } = await author.patch<PostAnswer>(`/posts/${post.id}`, edit);
      const before = await caughtUp(world);
      const { status, body } = await act(moderator, 'remove', { post_id: post.id });
      expect(status).to.equal(201);
      expect(body).to.deep.include({
        action: 'remove',
        post_id: post.id,
        user: { id: author.id, username: author.username },
      });
      const [deleted] = await postEventsSince(world, before);
      expect(deleted).to.deep.include({
        name: 'post:deleted',
        data: { id: post.id, root_id: null, by: 'moderator' },
      });
      for (const api of [author, moderator, admin])
        expectProblem(await api.get<object>(`/posts/${post.id}`), 404, 'not_found');
      expectProblem(await author.patch<object>(`/posts/${post.id}`, { title: 'mine' }), 404);
      expectProblem(await author.delete<object>(`/posts/${post.id}`), 404);
      expectProblem(await other.put<object>(`/posts/${post.id}/vote`), 404);
      expectProblem(await other.post<object>(`/posts/${post.id}/replies`, { content: 'x' }), 404);
      for (const query of [
        `owner_id=${author.id}`,
        `search=${words}`,
        `tag=tag${author.id}`,
        `owner_id=${author.id}&published=false`,
      ])
        expect((await author.get(`/posts?${query}`)).body, query).to.deep.equal([]);
      await until('the text to leave the log', async () => {
        const { body: events } = await other.get<object>(`/events?after=0&limit=500`);
        const kept = await numberOf(
          world,
          `select count(*) from event_log where data::text like '%' || $1 || '%'`,
          [words],
        );
        return kept === 0 && !JSON.stringify(events).includes(words);
      });
      expectProblem(await act(other, 'remove', { post_id: post.id }), 409, 'conflict');

      const seq = await caughtUp(world);
      expect((await act(other, 'restore', { post_id: post.id })).status).to.equal(201);
      const [created] = await postEventsSince(world, seq);
      expect(created).to.deep.include({ name: 'post:created', post_id: post.id });
      const restored = (await author.get<PostAnswer>(`/posts/${post.id}`)).body;
      expect(restored).to.deep.include({
        title: words,
        content: `${words} again #tag${author.id}`,
        tags: [`tag${author.id}`],
        version: 3,
        votes: 1,
        created_at: post.created_at,
        published_at: post.published_at,
        updated_at: edited.updated_at,
      });
      for (const query of [`owner_id=${author.id}`, `search=${words}`, `tag=tag${author.id}`])
        expect((await author.get<object[]>(`/posts?${query}`)).body, query).to.have.lengthOf(1);
      expectProblem(await act(moderator, 'restore', { post_id: post.id }), 409, 'conflict');
      await tellVotes(world);
      expect(await unread(author)).to.equal(1);
    });

    it('of a reply lowers the counts and takes its notifications, and a restore undoes both', async () => {
      const [author, friend] = await Promise.all([somebody(), somebody()]);
      const post = await writePost(author);
      const first = await reply(friend, post.id, 'first');
      const second = await reply(author, first.id, `second @${other.username}`);
      expect([await countOf(post.id), await unread(author), await unread(friend)]).to.deep.equal([2, 1, 1]);
      await act(moderator, 'remove', { post_id: first.id });
      expect(await thread(post.id)).to.deep.equal(['deleted', `second @${other.username}`]);
      expect([await countOf(post.id), await unread(author), await unread(friend)]).to.deep.equal([1, 0, 1]);
      expectProblem(
        await friend.post<object>(`/posts/${first.id}/replies`, { content: 'x' }),
        409,
        'conflict',
      );
      await act(moderator, 'remove', { post_id: second.id });
      expect(await thread(post.id), 'nothing lives below').to.deep.equal([]);
      expect([await countOf(post.id), await unread(friend)]).to.deep.equal([0, 0]);
      await act(moderator, 'restore', { post_id: second.id });
      expect(await thread(post.id)).to.deep.equal(['deleted', `second @${other.username}`]);
      await act(moderator, 'restore', { post_id: first.id });
      expect(await thread(post.id)).to.deep.equal(['first', `second @${other.username}`]);
      expect([await countOf(post.id), await unread(author)]).to.deep.equal([2, 1]);
    });

    it('leaves to a post that comes back the mentions that it had, even if others have the names now', async () => {
      const [author, friend, stranger] = await Promise.all([somebody(), somebody(), somebody()]);
      const post = await writePost(author, { content: `#here @${friend.username} @${stranger.username}x` });
      const mentions = [{ id: friend.id, username: friend.username }];
      expect(post.mentions).to.deep.equal(mentions);
      await friend.patch('/users/me', { username: `${friend.username}y` });
      await stranger.patch('/users/me', { username: `${stranger.username}x` });
      await act(moderator, 'remove', { post_id: post.id });
      await act(moderator, 'restore', { post_id: post.id });
      expect(
        await rows(world, 'select tags, mentions, parsed_at is null as unread from posts where id = $1', [
          post.id,
        ]),
      ).to.deep.equal([{ tags: ['here'], mentions, unread: false }]);
      const { body } = await other.get<PostAnswer>(`/posts/${post.id}`);
      expect(body.mentions).to.deep.equal(mentions);
      expect([await unread(friend), await unread(stranger)]).to.deep.equal([1, 0]);
    });

    it('of a reply cannot be told from its deletion by who replies to it', async () => {
      const author = await somebody();
      const post = await writePost(author);
      const leaves = [await reply(author, post.id, 'removed'), await reply(author, post.id, 'deleted')];
      const above = [await reply(author, post.id, 'removed'), await reply(author, post.id, 'deleted')];
      for (const { id } of above) await reply(other, id, 'below');
      for (const [removed, deleted] of [leaves, above]) {
        await act(moderator, 'remove', { post_id: removed!.id });
        expect((await author.delete(`/posts/${deleted!.id}`)).status).to.equal(204);
      }
      const tryReply = async ({ id }: PostAnswer, status: number, code: string) =>
        expectProblem(
          await other.post<object>(`/posts/${id}/replies`, { content: 'x' }),
          status,
          code,
        ).detail.replace(String(id), 'N');
      const refusals = async (all: PostAnswer[], ...as: [number, string]) =>
        new Set(await Promise.all(all.map((one) => tryReply(one, ...as))));
      expect([...(await refusals(leaves, 404, 'not_found'))]).to.deep.equal(['There is no post N.']);
      expect([...(await refusals(above, 409, 'conflict'))]).to.deep.equal(['Post N has been deleted.']);
    });

    it('of a post takes its thread along, which comes back with it', async () => {
      const author = await somebody();
      const post = await writePost(author);
      const below = await reply(other, post.id, 'below');
      await act(moderator, 'remove', { post_id: post.id });
      expectProblem(await other.get<object>(`/posts/${below.id}`), 404);
      expectProblem(await other.get<object>(`/posts/${post.id}/replies`), 404);
      expectProblem(await act(moderator, 'remove', { post_id: below.id }), 403);
      expectProblem(await act(admin, 'remove', { post_id: below.id }), 404);
      await execute(world, 'select purge_thread(100)');
      await act(moderator, 'restore', { post_id: post.id });
      expect(await thread(post.id)).to.deep.equal(['below']);
      await act(admin, 'remove', { post_id: below.id });
      expect((await author.delete(`/posts/${post.id}`)).status).to.equal(204);
      await execute(world, 'select purge_thread(100), purge_thread(100)');
      expectProblem(await act(admin, 'restore', { post_id: below.id }), 404);
    });

    it('can be taken back for thirty days, and not once the account is deleted', async () => {
      const author = await somebody();
      const [kept, old] = [await writePost(author), await writePost(author)];
      const answer = await reply(other, kept.id, 'an answer');
      for (const { id } of [kept, old]) await act(moderator, 'remove', { post_id: id });
      await execute(
        world,
        `update removed_posts set removed_at = now() - interval '31 days' where post_id = ${old.id}`,
      );
      await execute(world, 'select prune_removed_posts(10)');
      expectProblem(await act(moderator, 'restore', { post_id: old.id }), 404);
      expect((await act(moderator, 'restore', { post_id: kept.id })).status).to.equal(201);
      await act(moderator, 'remove', { post_id: kept.id });
      expect((await author.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      expectProblem(await act(moderator, 'restore', { post_id: kept.id }), 404);
      const left = `select count(*) from posts where id = any($1) or id in (select post_id from removed_posts where owner_id = $2)`;
      // The service may be at one of them itself, which is then passed over.
      await until('all of it to be gone', async () => {
        await execute(world, 'select purge_thread(100), purge_thread(100), purge_thread(100)');
        return (await numberOf(world, left, [[kept.id, old.id, answer.id], author.id])) === 0;
      });
    });

    it('goes well together with edits, deletions, replies and votes at once, and is made once', async () => {
      const author = await somebody();
      for (let round = 0; round < 8; round += 1) {
        const post = await writePost(author);
        const first = await reply(author, post.id, 'first');
        const answers = await Promise.all([
          act(moderator, 'remove', { post_id: post.id }),
          act(other, 'remove', { post_id: post.id }),
          act(moderator, 'remove', { post_id: first.id }),
          author.patch(`/posts/${post.id}`, { content: `edited @${other.username}` }),
          other.post(`/posts/${first.id}/replies`, { content: 'deeper' }),
          other.put(`/posts/${post.id}/vote`),
          ...(round % 2 ? [author.delete(`/posts/${first.id}`)] : []),
        ]);
        expect(answers.filter(({ status }) => status >= 500)).to.deep.equal([]);
        expect(answers.slice(0, 2).filter(({ status }) => status === 201)).to.have.lengthOf(1);
        const seq = await headOf(world);
        await Promise.all([moderator, other].map((by) => act(by, 'restore', { post_id: post.id })));
        const created = (await postEventsSince(world, seq)).filter(({ name }) => name === 'post:created');
        expect(created).to.have.lengthOf(1);
      }
      await tellVotes(world);
    });

    it('names a post and nothing else', async () => {
      const post = await writePost(await somebody());
      expect(faultsOf(await act(moderator, 'remove', {}))).to.deep.equal(['body']);
      expect(faultsOf(await act(moderator, 'remove', { user_id: 1 }))).to.deep.equal(['body.post_id']);
      expect(faultsOf(await act(moderator, 'suspend', { post_id: 1 }))).to.deep.equal(['body.user_id']);
      const until = '2100-01-01T00:00:00Z';
      expect(faultsOf(await act(moderator, 'lock', { post_id: post.id, until }))).to.deep.equal([
        'body.until',
      ]);
      for (const action of ['remove', 'restore', 'lock', 'unlock'])
        expectProblem(await act(moderator, action, { post_id: 2 ** 40 }), 404, 'not_found');
      const draft = await writePost(await somebody(), { published: false });
      expectProblem(await act(moderator, 'remove', { post_id: draft.id }), 404, 'not_found');
      for (const action of ['restore', 'warn'])
        expectProblem(await act(moderator, action, { post_id: draft.id }), 404, 'not_found');
    });
  });

  describe('a lock', () => {
    it('lets nobody reply in the thread, is shown, and ends', async () => {
      const author = await somebody();
      const post = await writePost(author);
      const first = (await other.post<PostAnswer>(`/posts/${post.id}/replies`, { content: 'first' })).body;
      expect((await act(moderator, 'lock', { post_id: post.id })).status).to.equal(201);
      for (const id of [post.id, first.id])
        for (const by of [author, other])
          expectProblem(await by.post<object>(`/posts/${id}/replies`, { content: 'x' }), 409, 'conflict');
      expect((await author.get<PostAnswer>(`/posts/${post.id}`)).body).to.deep.include({
        locked: true,
        version: 2,
        updated_at: post.updated_at,
      });
      expect((await author.patch(`/posts/${post.id}`, { title: 'edited' })).status).to.equal(200);
      expectProblem(await act(moderator, 'lock', { post_id: post.id }), 409, 'conflict');
      expect(faultsOf(await act(admin, 'lock', { post_id: first.id }))).to.deep.equal(['body.post_id']);
      const before = await caughtUp(world);
      expect((await act(moderator, 'unlock', { post_id: post.id })).status).to.equal(201);
      const [updated] = await postEventsSince(world, before);
      expect(updated).to.deep.include({ name: 'post:updated', post_id: post.id });
      expect(updated?.data).not.to.have.property('locked');
      expect((await other.post(`/posts/${post.id}/replies`, { content: 'x' })).status).to.equal(201);
      expectProblem(await act(moderator, 'unlock', { post_id: post.id }), 409, 'conflict');
    });

    it('has no reply behind it that came at the same moment', async () => {
      const author = await somebody();
      for (let round = 0; round < 6; round += 1) {
        const post = await writePost(author);
        const before = await headOf(world);
        const answers = await Promise.all([
          ...[author, other, admin].map((by) => by.post(`/posts/${post.id}/replies`, { content: 'x' })),
          act(moderator, 'lock', { post_id: post.id }),
        ]);
        for (const { status } of answers.slice(0, 3)) expect([201, 409]).to.include(status);
        const names = (await postEventsSince(world, before)).map(({ name }) => name);
        expect(names.at(-1)).to.equal('post:updated');
      }
    });
  });

  describe('a report', () => {
    const report = (by: TestUser, path: string, note = '') =>
      by.put(`${path}/report`, { reason: 'spam', note });
    const cases = async (state = 'open') =>
      (await moderator.get<CaseView[]>(`/moderation/cases?state=${state}`)).body;
    const toldSince = async (seq: number) => {
      await headOf(world);
      return rows<{ name: string; audience: string; data: Record<string, unknown> }>(
        world,
        `select name, audience, data from event_log where seq > $1 and entity_type = 'case' order by seq`,
        [seq],
      );
    };

    it('of a moderator does not tell that one whose it is', async () => {
      const [reported, reporter] = [await somebody('moderator'), await somebody()];
      const post = await writePost(reported);
      for (const path of [`/users/${reported.id}`, `/posts/${post.id}`])
        await report(reporter, path, 'a note');
      const shownTo = async (viewer: TestUser) =>
        (await viewer.get<CaseView[]>('/moderation/cases')).body
          .filter(({ user }) => user.id === reported.id)
          .map(({ count, reports }) => [count, reports.map(({ reporter: { id } }) => id)]);
      expect(await shownTo(reported)).to.deep.equal([
        [1, []],
        [1, []],
      ]);
      expect(await shownTo(moderator)).to.deep.equal([
        [1, [reporter.id]],
        [1, [reporter.id]],
      ]);
    });

    it('is one of its user for each target, and all of a target are one case until it is resolved', async () => {
      const [author, ...reporters] = await Promise.all(Array.from({ length: 4 }, () => somebody()));
      const post = await writePost(author!, { title: 'Buy', content: 'this' });
      const seq = await headOf(world);
      const answers = await Promise.all(reporters.map((by) => report(by, `/posts/${post.id}`)));
      expect(answers.map(({ status }) => status)).to.deep.equal([204, 204, 204]);
      expect((await report(reporters[0]!, `/posts/${post.id}`, 'again')).status).to.equal(204);
      const open = (await cases()).filter(({ post_id }) => post_id === post.id);
      expect(open).to.have.lengthOf(1);
      expect(open[0]).to.deep.include({
        user: { id: author!.id, username: author!.username },
        count: 3,
        post: { title: 'Buy', content: 'this', removed: false },
        resolved_at: null,
      });
      expect(open[0]?.reports.map(({ reporter }) => reporter.id)).to.have.members(
        reporters.map(({ id }) => id),
      );
      expect(open[0]?.reports.map(({ note }) => note)).to.have.members(['again', '', '']);
      const told = await toldSince(seq);
      expect(told.map(({ name }) => name)).to.deep.equal(['report:added', 'report:added', 'report:added']);
      expect(told.map(({ data }) => data.reports)).to.deep.equal([1, 2, 3]);
      expect(new Set(told.map(({ audience }) => audience))).to.have.keys('role:moderator');

      const before = await headOf(world);
      await act(moderator, 'remove', { post_id: post.id });
      const [resolved, ...more] = await toldSince(before);
      expect(more).to.be.empty;
      expect(resolved).to.deep.include({ name: 'report:resolved' });
      expect(resolved?.data).to.deep.equal({
        id: open[0]?.id,
        post_id: post.id,
        user_id: author!.id,
        resolution: 'remove',
      });
      expect((await cases()).filter(({ post_id }) => post_id === post.id)).to.be.empty;
      const [closed] = await cases('resolved');
      expect(closed).to.deep.include({
        id: open[0]?.id,
        resolution: 'remove',
        post: { title: 'Buy', content: 'this', removed: true },
      });
      expectProblem(await report(reporters[0]!, `/posts/${post.id}`), 404, 'not_found');
      await act(moderator, 'restore', { post_id: post.id });
      await report(reporters[0]!, `/posts/${post.id}`);
      expect((await cases()).find(({ post_id }) => post_id === post.id)?.id).to.be.above(open[0]!.id);
    });

    it('of a user is a case of its own, which an action on the user resolves, or a dismissal', async () => {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const post = await writePost(author);
      for (const path of [`/users/${author.id}`, `/posts/${post.id}`]) await report(reporter, path);
      const mine = async () => (await cases()).filter(({ user }) => user.id === author.id);
      expect((await mine()).map(({ post_id }) => post_id)).to.have.members([null, post.id]);
      await act(moderator, 'suspend', { user_id: author.id });
      expect((await mine()).map(({ post_id }) => post_id)).to.deep.equal([post.id]);
      const { status, body } = await act(moderator, 'dismiss', { post_id: post.id });
      expect([status, body.action, body.user?.id]).to.deep.equal([201, 'dismiss', author.id]);
      expect(await mine()).to.be.empty;
      expectProblem(await act(moderator, 'dismiss', { post_id: post.id }), 404, 'not_found');
      expectProblem(await act(moderator, 'dismiss', { user_id: author.id }), 404, 'not_found');
    });

    it('is not dismissed by whom it is about, and can be when its post and its account are gone', async () => {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const post = await writePost(author);
      await report(reporter, `/posts/${post.id}`);
      await report(reporter, `/users/${moderator.id}`);
      expectProblem(await act(moderator, 'dismiss', { user_id: moderator.id }), 403, 'forbidden');
      expect((await act(admin, 'dismiss', { user_id: moderator.id })).status).to.equal(201);
      for (const user of [author, reporter])
        expect((await user.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      const [left] = await cases();
      expect(left).to.deep.include({
        post_id: post.id,
        post: null,
        count: 0,
        user: { id: author.id, username: '' },
      });
      expect((await act(moderator, 'dismiss', { post_id: post.id })).status).to.equal(201);
    });

    it('is about something that is there, and of somebody else', async () => {
      const author = await somebody();
      const draft = await writePost(author, { published: false });
      const own = await writePost(author);
      const before = await cases();
      for (const path of [`/posts/${draft.id}`, `/posts/${2 ** 40}`, `/users/${2 ** 40}`])
        expectProblem(await report(other, path), 404, 'not_found');
      for (const path of [`/posts/${own.id}`, `/users/${author.id}`])
        expect(faultsOf(await report(author, path)), path).to.deep.equal(['path.id']);
      expect(await cases()).to.deep.equal(before);
    });

    it('is counted in the metrics until it is resolved, and so are actions', async () => {
      const figures = async () => {
        const text = await (await fetch(`${world.url}/metrics`, { headers: { Host: 'localhost' } })).text();
        const of = (line: string) =>
          Number(new RegExp(`^tidings_moderation_${line} (.*)$`, 'm').exec(text)?.[1]);
        return {
          open: of('open_cases'),
          age: of('oldest_case_age_seconds'),
          dismissals: of('actions_total\\{action="dismiss"\\}'),
        };
      };
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      const { dismissals } = await figures();
      for (const { post_id, user } of await cases())
        await act(admin, 'dismiss', post_id === null ? { user_id: user.id } : { post_id });
      await until('no case to be open, and none to have an age', async () => {
        const { open, age } = await figures();
        return open === 0 && age === 0;
      });
      await report(reporter, `/users/${author.id}`);
      await execute(
        world,
        `update moderation_cases set opened_at = now() - interval '2 days' where user_id = ${author.id}`,
      );
      await until('the case to be counted', async () => (await figures()).open === 1);
      await until('its age', async () => (await figures()).age >= 2 * 86_400);
      await act(moderator, 'dismiss', { user_id: author.id });
      expect((await figures()).dismissals).to.be.above(dismissals);
    });

    it('that was told otherwise is found by the doctor, and put right', async () => {
      const [author, reporter] = await Promise.all([somebody(), somebody()]);
      await report(reporter, `/users/${author.id}`);
      await headOf(world);
      await execute(
        world,
        `update moderation_cases set resolved_at = now(), resolution = 'dismiss' where user_id = ${author.id}`,
      );
      const find = async () =>
        (await examine(world.ctx.config, world.databaseUrl, { schema: false }))
          .filter(({ what }) => what === 'moderation')
          .flatMap(({ findings }) => findings);
      const [fault] = await find();
      expect(fault?.what).to.match(/^Case \d+ is resolved, and told as open\.$/);
      await repair(world.ctx.db, fault!);
      await headOf(world);
      expect(await find()).to.be.empty;
    });
  });
});
