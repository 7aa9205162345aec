import { expect } from 'chai';
import { routes } from '../server/app.ts';
import type { Role } from '../models/index.ts';
import type { AuditView } from '../server/moderation/present.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const HOUR = 3_600_000;

describe('moderation', function () {
  this.timeout(60_000);
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
      expect(all.body.find(({ action }) => action === 'grant')).to.deep.include({
        actor: null,
        role: 'moderator',
      });
      expect(faultsOf(await admin.get('/moderation/log?cursor=x'))).to.deep.equal(['query.cursor']);
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

    it('a role that was taken away holds for no further request', async () => {
      const former = await somebody('moderator');
      expect((await former.get('/moderation/log')).status).to.equal(200);
      await world.ctx.db.transaction((tx) => grantRole(tx, former.username, 'user', ''));
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
      for (const until of ['2020-01-01T00:00:00Z', '2030-02-30T00:00:00Z', 'tomorrow', '2030-01-01'])
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
});
