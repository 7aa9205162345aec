import { expect } from 'chai';
import { resetLink } from '../server/admin/reset-link.ts';
import { mailPrunes } from '../server/mail/prune.ts';
import type { OwnUser } from '../server/users/present.ts';
import { logLines } from './support/log-lines.ts';
import { type ReceivedMail, TestMailServer } from './support/mail-server.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, headOf, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const NEW = 'another battery staple';
const SECRET = 'a secret that seals the mails that wait';
const VERIFY = 'Verify your e-mail address';
const CHANGE = 'Your e-mail address is being changed';

/** The token of a link in a mail. */
function tokenIn({ text }: ReceivedMail, name: 'verify' | 'undo' | 'reset'): string {
  return new RegExp(`https://feed\\.example/social/#${name}=([\\w-]{43})\\n`).exec(text)![1]!;
}

describe('an e-mail address', () => {
  const server = new TestMailServer();
  const log = logLines();
  let world: World;
  let database: TestDatabase;
  const start = (more: NodeJS.ProcessEnv = {}) =>
    createWorld(
      { JWT_SECRET: SECRET, ...server.settings, ...more },
      { url: database.url, drop: () => Promise.resolve() },
      log.read,
    );
  before(async () => {
    await server.start();
    database = await createDatabase();
    world = await start();
  });
  after(async () => {
    await world.close();
    await database.drop();
    await server.stop();
  });

  const verify = (token: string) => world.anonymous.post('/email/verify', { token });
  const undo = (token: string) => world.anonymous.post('/email/undo', { token });
  const askAgain = (user: TestUser) => user.post('/email/verify/request');
  const me = async (user: Api) => (await user.get<OwnUser>('/users/me')).body;
  const change = (user: Api, email: string, more: object = {}) =>
    user.patch<OwnUser>('/users/me', { email, current_password: PASSWORD, ...more });
  const mailOf = async (email: string, subject = VERIFY) => {
    const mail = await server.next(email);
    expect(mail.headers.subject).to.equal(subject);
    return mail;
  };
  const verifyToken = async (email: string) => tokenIn(await mailOf(email), 'verify');
  const undoToken = async (email: string) => tokenIn(await mailOf(email, CHANGE), 'undo');
  const logsIn = async (email: string, password = PASSWORD) =>
    (await world.anonymous.post('/login', { email, password })).status;
  const refused = async (answer: Promise<{ status: number }>) =>
    expectProblem((await answer) as never, 401, 'unauthorized');
  /** Somebody who has just signed up, with the token of the mail. */
  const newcomer = async () => {
    const user = await world.user();
    return { user, token: await verifyToken(user.email) };
  };
  /** Somebody with a verified address. */
  const proven = async () => {
    const { user, token } = await newcomer();
    expect((await verify(token)).status).to.equal(204);
    return user;
  };
  /** Lets an account be sent mails again. */
  const anHourLater = ({ id }: { id: number }) =>
    execute(world, `update mails set created_at = created_at - interval '61 minutes' where user_id = $1`, [
      id,
    ]);

  it('is verified with the link of the mail at sign-up, once', async () => {
    const { user, token } = await newcomer();
    expect(await me(user)).to.include({ email_verified: false, pending_email: null });
    const before = (await user.get('/users/me')).headers.get('etag');
    const answers = await Promise.all([verify(token), verify(token)]);
    expect(answers.map(({ status }) => status)).to.have.members([204, 401]);
    expect(await me(user)).to.include({ email_verified: true, email: user.email });
    expect((await user.get('/users/me')).headers.get('etag')).to.not.equal(before);
    await refused(verify(token));
    expectProblem(await askAgain(user), 409, 'conflict');
  });

  it('is not verified with a link that is made up, replaced or expired; three are sent an hour', async () => {
    const { user, token } = await newcomer();
    await refused(verify('x'.repeat(43)));
    await refused(verify(`${token}x`));
    expect(faultsOf(await world.anonymous.post('/email/verify', {}))).to.deep.equal(['body.token']);
    expect((await askAgain(user)).status).to.equal(202);
    const second = await verifyToken(user.email);
    await refused(verify(token));
    await execute(world, 'update mailed_tokens set expires_at = now() where user_id = $1', [user.id]);
    await refused(verify(second));
    expect((await askAgain(user)).status).to.equal(202);
    const third = await verifyToken(user.email);
    const limited = await askAgain(user);
    expectProblem(limited, 429, 'too_many_requests');
    expect(Number(limited.headers.get('retry-after'))).to.be.within(3500, 3600);
    expectProblem(await change(user, `new-${user.email}`), 429, 'too_many_requests');
    expect(await me(user)).to.include({ email_verified: false, pending_email: null });
    await anHourLater(user);
    expect((await verify(third)).status).to.equal(204);
  });

  it('is replaced once the new one is proved: until then one logs in with the old one', async () => {
    const ada = await proven();
    const fresh = `new-${ada.email}`;
    const answer = await change(ada, fresh);
    expect(answer.status).to.equal(200);
    expect(answer.body).to.include({ email: ada.email, email_verified: true, pending_email: fresh });
    expect(answer.headers.get('etag')).to.equal((await ada.get('/users/me')).headers.get('etag'));
    expect((await mailOf(ada.email, CHANGE)).text).to.not.include(fresh);
    const first = await verifyToken(fresh);
    expect([await logsIn(ada.email), await logsIn(fresh)]).to.deep.equal([200, 403]);

    // Again, after a restart.
    await world.close();
    world = await start();
    const here = new Api(world.url, ada.token);
    expect((await here.post('/email/verify/request')).status).to.equal(202);
    const token = await verifyToken(fresh);
    await refused(verify(first));
    const answers = await Promise.all([verify(token), verify(token)]);
    expect(answers.map(({ status }) => status)).to.have.members([204, 401]);
    expect(await me(here)).to.include({ email: fresh, email_verified: true, pending_email: null });
    expect([await logsIn(ada.email), await logsIn(fresh)]).to.deep.equal([403, 200]);
    const noted = await rows(world, 'select action, actor_id from audit_log where user_id = $1', [ada.id]);
    expect(noted).to.deep.equal([{ action: 'change_email', actor_id: ada.id }]);
  });

  it('is not verified by the old link once another one is to take its place, or has', async () => {
    const { user, token } = await newcomer();
    const fresh = `new-${user.email}`;
    await change(user, fresh);
    await refused(verify(token));
    const changing = await verifyToken(fresh);
    const other = `other-${user.email}`;
    await change(user, other);
    await refused(verify(changing));
    expect(await me(user)).to.include({ email: user.email, email_verified: false, pending_email: other });
    expect((await verify(await verifyToken(other))).status).to.equal(204);
    server.received.length = 0;

    // By a node of the version before, which changes an address at once.
    const { user: moved, token: stale } = await newcomer();
    await execute(world, `update users set email = 'moved@example.org' where id = $1`, [moved.id]);
    await refused(verify(stale));
    expect((await me(moved)).email_verified).to.equal(false);
  });

  it('that another account has shows so at the proof alone', async () => {
    const [ada, bob] = [await proven(), await proven()];
    const free = await change(ada, 'nobody-has-it@example.org');
    const [own] = [await mailOf('nobody-has-it@example.org')];
    await undoToken(ada.email);
    const upper = bob.email.replace(/^[^@]*/, (local) => local.toUpperCase());
    const taken = await change(ada, upper);
    expect(taken.status).to.equal(free.status);
    expect({ ...taken.body, pending_email: '' }).to.deep.equal({ ...free.body, pending_email: '' });
    const mail = await mailOf(upper);
    expect(mail.text.replaceAll(/#verify=.*/g, '')).to.equal(own.text.replaceAll(/#verify=.*/g, ''));
    const token = tokenIn(mail, 'verify');
    expectProblem(await verify(token), 409, 'conflict');
    expect(await me(ada)).to.include({ email: ada.email, pending_email: upper });
    expect(await logsIn(bob.email)).to.equal(200);
    expect((await bob.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    expect((await verify(token)).status).to.equal(204);
    server.received.length = 0;
  });

  it('that waits is given up by an undo, by one’s own address, and by a new password', async () => {
    const ada = await proven();
    const fresh = `new-${ada.email}`;
    const waiting = async () => {
      await anHourLater(ada);
      expect((await change(ada, fresh)).body.pending_email).to.equal(fresh);
      return verifyToken(fresh);
    };
    const byUndo = await waiting();
    const token = await undoToken(ada.email);
    const answers = await Promise.all([undo(token), undo(token)]);
    expect(answers.map(({ status }) => status)).to.have.members([204, 401]);
    expect(await me(ada)).to.include({ email: ada.email, email_verified: true, pending_email: null });
    await refused(verify(byUndo));

    const byItself = await waiting();
    expect((await change(ada, ada.email)).body.pending_email).to.equal(null);
    await refused(verify(byItself));

    const byPassword = await waiting();
    expect(
      (await ada.patch<OwnUser>('/users/me', { password: NEW, current_password: PASSWORD })).body,
    ).to.include({ pending_email: null });
    await refused(verify(byPassword));
    server.received.length = 0;
  });

  it('that counts already is put back by an undo, which ends sessions and password', async () => {
    const ada = await proven();
    const socket = world.socket({ token: ada.token });
    const end = new Promise((resolve) => socket.once('session:closed', ({ code }) => resolve(code)));
    await new Promise((resolve) => socket.once('ready', resolve));
    const [thief, further] = [`thief-${ada.email}`, `further-${ada.email}`];
    await change(ada, thief);
    const token = await undoToken(ada.email);
    expect((await verify(await verifyToken(thief))).status).to.equal(204);
    // Somebody who has taken the account over cannot end the link: not by a new password, and not by a further address.
    await ada.patch('/users/me', { password: NEW, current_password: PASSWORD });
    await mailOf(thief, 'Your password was changed');
    await change(ada, further, { current_password: NEW });
    const later = await undoToken(thief);
    expect((await verify(await verifyToken(further))).status).to.equal(204);
    const reserved = await world.anonymous.post('/users', { email: ada.email, password: PASSWORD });
    expectProblem(reserved, 409, 'conflict');

    expect((await undo(token)).status).to.equal(204);
    expect(await end).to.equal('revoked');
    expect((await ada.get('/users/me')).status).to.equal(401);
    const restored = await mailOf(ada.email, 'Your e-mail address is as it was');
    for (const email of [ada.email, thief, further])
      for (const password of [PASSWORD, NEW]) expect(await logsIn(email, password), email).to.equal(403);
    await refused(undo(token));
    await refused(undo(later));
    const password = 'the third battery staple';
    const reset = { token: tokenIn(restored, 'reset'), password };
    expect((await world.anonymous.post('/password/reset', reset)).status).to.equal(204);
    const back = await logIn(world.url, ada, password);
    expect(await me(back)).to.include({ email: ada.email, email_verified: true, pending_email: null });
    const noted = await rows<{ action: string }>(
      world,
      'select action from audit_log where user_id = $1 order by id',
      [ada.id],
    );
    expect(noted.map(({ action }) => action)).to.deep.equal([
      'change_email',
      'change_email',
      'undo_email',
      'reset_password',
    ]);
    server.received.length = 0;
  });

  it('that is put back ends a second factor that was turned on since, and no earlier one', async () => {
    const keep = async (since: string) => {
      const ada = await proven();
      const thief = `thief-${ada.email}`;
      await change(ada, thief);
      const token = await undoToken(ada.email);
      await verify(await verifyToken(thief));
      await execute(
        world,
        `insert into totp_secrets (user_id, secret, confirmed_at) values ($1, '', now() + $2::interval)`,
        [ada.id, since],
      );
      await execute(world, `insert into recovery_codes (user_id, hash) values ($1, '')`, [ada.id]);
      expect((await undo(token)).status).to.equal(204);
      const left = ['totp_secrets', 'recovery_codes'].map((table) =>
        numberOf(world, `select count(*) from ${table} where user_id = $1`, [ada.id]),
      );
      const { text } = await mailOf(ada.email, 'Your e-mail address is as it was');
      return [...(await Promise.all(left)), text.includes('Logins ask for no code any more')];
    };
    expect(await keep('0')).to.deep.equal([0, 0, true]);
    expect(await keep('-1 day')).to.deep.equal([1, 1, false]);
    server.received.length = 0;
  });

  it('that counts already is put back by the later link too, which leaves the earlier one', async () => {
    const ada = await proven();
    const [second, third] = [`second-${ada.email}`, `third-${ada.email}`];
    await change(ada, second);
    const early = await undoToken(ada.email);
    await verify(await verifyToken(second));
    await change(ada, third);
    const late = await undoToken(second);
    await verify(await verifyToken(third));
    const emailNow = () => rows<{ email: string }>(world, 'select email from users where id = $1', [ada.id]);
    expect((await undo(late)).status).to.equal(204);
    expect(await emailNow()).to.deep.equal([{ email: second }]);
    expect((await undo(early)).status).to.equal(204);
    expect(await emailNow()).to.deep.equal([{ email: ada.email }]);
    server.received.length = 0;
  });

  it('is given to one of two who prove it at once, and is the old one whether an undo or a proof comes first', async () => {
    const [ada, bob] = [await proven(), await proven()];
    const fresh = `shared-${ada.email}`;
    const proofs: string[] = [];
    for (const one of [ada, bob]) {
      await change(one, fresh);
      proofs.push(await verifyToken(fresh));
    }
    const answers = await Promise.all(proofs.map(verify));
    expect(answers.map(({ status }) => status)).to.have.members([204, 409]);
    const owners = 'select count(*) from users where email = $1';
    expect(await numberOf(world, owners, [fresh])).to.equal(1);
    server.received.length = 0;

    for (const undoFirst of [true, false, true, false]) {
      const user = await proven();
      const next = `next-${user.email}`;
      await change(user, next);
      const [proof, back] = [await verifyToken(next), await undoToken(user.email)];
      const [one, other] = undoFirst ? [undo(back), verify(proof)] : [verify(proof), undo(back)];
      const statuses = (await Promise.all([one, other])).map(({ status }) => status);
      expect(statuses).to.be.deep.oneOf(
        undoFirst
          ? [
              [204, 204],
              [204, 401],
            ]
          : [
              [204, 204],
              [401, 204],
            ],
      );
      const [now] = await rows(world, 'select email, pending_email from users where id = $1', [user.id]);
      expect(now).to.deep.equal({ email: user.email, pending_email: null });
    }
    server.received.length = 0;
  });

  it('can be put back for seven days after the proof, and is not proved when it could not be', async () => {
    const prune = async () => {
      for (const one of mailPrunes) await one.run(world.pool, 100);
    };
    const lapse = ({ id }: TestUser) =>
      execute(world, 'update email_undos set expires_at = now() where user_id = $1', [id]);
    const ada = await proven();
    const fresh = `new-${ada.email}`;
    await change(ada, fresh);
    const token = await undoToken(ada.email);
    await execute(world, `update email_undos set expires_at = now() + interval '1 hour' where user_id = $1`, [
      ada.id,
    ]);
    await verify(await verifyToken(fresh));
    const left = `select (extract(epoch from expires_at - now()) / 86400)::float8 from email_undos where user_id = $1`;
    expect(await numberOf(world, left, [ada.id])).to.be.within(6.9, 7);
    await lapse(ada);
    await refused(undo(token));
    await prune();
    expect(await numberOf(world, 'select count(*) from email_undos where user_id = $1', [ada.id])).to.equal(
      0,
    );
    const free = await world.anonymous.post('/users', { email: ada.email, password: PASSWORD });
    expect(free.status).to.equal(201);

    const bob = await proven();
    await change(bob, `new-${bob.email}`);
    await lapse(bob);
    expectProblem(await askAgain(bob), 409, 'conflict');
    await anHourLater(bob);
    await change(bob, `new-${bob.email}`);
    await lapse(bob);
    await prune();
    expect(await me(bob)).to.include({ pending_email: null });
    server.received.length = 0;
  });

  it('stays verified in another spelling, and is not in another place', async () => {
    const { body: own } = await world.anonymous.post<OwnUser>('/users', {
      email: 'anger@Müller.example',
      password: PASSWORD,
    });
    const { token } = await logIn(world.url, own);
    const user = new Api(world.url, token);
    await verify(await verifyToken('anger@müller.example'));
    for (const email of ['Anger@xn--mller-kva.example', 'ANGER@müller.example']) {
      const answer = await change(user, email);
      expect(answer.body).to.include({ email, email_verified: true, pending_email: null });
      expect(await me(user)).to.include({ email, email_verified: true });
    }
    await execute(world, `update users set pending_email = 'x@example.org' where id = $1`, [own.id]);
    await execute(world, `update users set email = 'elsewhere@example.org' where id = $1`, [own.id]);
    expect(await me(user)).to.include({ email_verified: false, pending_email: null });
  });

  it('that only looks like one’s own waits for its proof, and leaves the link that the owner was sent', async () => {
    const ada = await proven();
    const fullWidth = (letter: string) => String.fromCodePoint(letter.codePointAt(0)! + 0xfee0);
    const lookalike = ada.email.replace(/^[a-z]/, fullWidth);
    expect(lookalike).to.not.equal(ada.email);
    const answer = await change(ada, lookalike);
    expect(answer.body).to.include({ email: ada.email, pending_email: lookalike });
    const token = await undoToken(ada.email);
    expect((await verify(await verifyToken(lookalike))).status).to.equal(204);
    const further = `further-${ada.email}`;
    await change(ada, further);
    await undoToken(lookalike);
    expect((await verify(await verifyToken(further))).status).to.equal(204);
    expect((await undo(token)).status).to.equal(204);
    const [now] = await rows(world, 'select email from users where id = $1', [ada.id]);
    expect(now).to.deep.equal({ email: ada.email });
    server.received.length = 0;
  });

  it('that was never proved can end a change that waits, and is nobody’s after it', async () => {
    const { user } = await newcomer();
    const right = `right-${user.email}`;
    await change(user, right);
    // Else it comes later, in place of another one.
    await mailOf(right);
    const mail = await mailOf(user.email, CHANGE);
    expect(mail.text).to.include('before that:').and.not.include('seven days');
    expect((await undo(tokenIn(mail, 'undo'))).status).to.equal(204);
    expect(await me(user)).to.include({ email: user.email, email_verified: false, pending_email: null });
    server.received.length = 0;

    const upper = user.email.replace(/^[^@]*/, (local) => local.toUpperCase());
    const links: string[] = [];
    let proof = '';
    for (const own of [user.email, upper]) {
      await change(user, own);
      await anHourLater(user);
      await change(user, right);
      proof = await verifyToken(right);
      links.push(await undoToken(own));
    }
    expect((await verify(proof)).status).to.equal(204);
    for (const link of links) await refused(undo(link));
    expect(await me(user)).to.include({ email: right, email_verified: true });
    const left = 'select count(*) from email_undos where user_id = $1';
    expect(await numberOf(world, left, [user.id])).to.equal(0);
    const owner = await world.anonymous.post('/users', { email: user.email, password: PASSWORD });
    expect(owner.status).to.equal(201);
    server.received.length = 0;
  });

  it('is free when a node of the version before deletes its account, and not proved by a link that it made', async () => {
    const ada = await proven();
    const fresh = `new-${ada.email}`;
    await change(ada, fresh);
    expect((await verify(await verifyToken(fresh))).status).to.equal(204);
    await execute(
      world,
      `update users set email = 'gone@deleted.invalid', password_hash = '', deleted_at = now() where id = $1`,
      [ada.id],
    );
    const free = await world.anonymous.post('/users', { email: ada.email, password: PASSWORD });
    expect(free.status).to.equal(201);

    const { user } = await newcomer();
    await world.anonymous.post('/password/forgot', { email: user.email });
    await mailOf(user.email, 'Choose a new password');
    const token = 'x'.repeat(43);
    await execute(
      world,
      `insert into mailed_tokens (hash, user_id, purpose, email, expires_at)
       values (sha256($2::bytea), $1, 'reset', $3, now() + interval '1 hour')
       on conflict (user_id, purpose) do update
       set hash = excluded.hash, email = excluded.email, created_at = excluded.created_at, expires_at = excluded.expires_at`,
      [user.id, token, user.email],
    );
    const reset = await world.anonymous.post('/password/reset', { token, password: NEW });
    expect(reset.status).to.equal(204);
    expect((await me(await logIn(world.url, user, NEW))).email_verified).to.equal(false);
    server.received.length = 0;
  });

  it('is verified by the reset that was mailed to it, which is noted, and not by that of the operator', async () => {
    const { user } = await newcomer();
    const { config, db } = world.ctx;
    const [, operators = ''] = /#reset=([\w-]{43})\n/.exec(
      (await resetLink.read([user.username])?.({ config, db })) ?? '',
    )!;
    await execute(
      world,
      `insert into identities (user_id, issuer, sub) values ($1, 'https://id.invalid', 'linked')`,
      [user.id],
    );
    await execute(
      world,
      `insert into webhooks (id, user_id, url, secret, epoch, position)
       values (gen_random_uuid(), $1, 'https://hooks.invalid/', '', gen_random_uuid(), 0)`,
      [user.id],
    );
    const left = async () => ({
      identities: await numberOf(world, 'select count(*) from identities where user_id = $1', [user.id]),
      webhooks: await rows(world, 'select paused from webhooks where user_id = $1', [user.id]),
    });
    const verified = async () => (await me(await logIn(world.url, user, NEW))).email_verified;
    const reset = (token: string) => world.anonymous.post('/password/reset', { token, password: NEW });
    expect((await reset(operators)).status).to.equal(204);
    expect(await verified()).to.equal(false);
    // Anyone else could not have used the link: what the account has is its owner's.
    expect(await left()).to.deep.equal({ identities: 1, webhooks: [{ paused: 'password' }] });
    await mailOf(user.email, 'Your password was changed');
    await world.anonymous.post('/password/forgot', { email: user.email });
    const token = tokenIn(await mailOf(user.email, 'Choose a new password'), 'reset');
    expect((await reset(token)).status).to.equal(204);
    expect(await verified()).to.equal(true);
    expect(await left()).to.deep.equal({ identities: 0, webhooks: [] });
    const noted = await rows<{ action: string; actor_id: number | null }>(
      world,
      'select action, actor_id from audit_log where user_id = $1 order by id',
      [user.id],
    );
    expect(noted).to.deep.equal([
      { action: 'reset_link', actor_id: null },
      { action: 'reset_password', actor_id: user.id },
      { action: 'reset_password', actor_id: user.id },
    ]);
    await mailOf(user.email, 'Your password was changed');
  });

  it('leaves no token in the database or the log, and nothing when its account is deleted', async () => {
    const ada = await proven();
    const fresh = `new-${ada.email}`;
    await change(ada, fresh);
    const tokens = [await verifyToken(fresh), await undoToken(ada.email)];
    for (const table of ['mailed_tokens', 'email_undos', 'mails', 'users'])
      for (const token of tokens) {
        const found = await rows(world, `select 1 from ${table} t where t::text like $1`, [`%${token}%`]);
        expect(found, table).to.be.empty;
      }
    expect((await ada.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    await refused(verify(tokens[0]!));
    await refused(undo(tokens[1]!));
    for (const table of ['mailed_tokens', 'email_undos', 'mails'])
      expect(
        await numberOf(world, `select count(*) from ${table} where user_id = $1`, [ada.id]),
        table,
      ).to.equal(0);
    const lines = JSON.stringify(log.all());
    for (const path of ['/email/verify', '/email/undo']) expect(lines).to.include(path);
    for (const secret of [...tokens, ada.email, fresh]) expect(lines).to.not.include(secret);
  });

  describe('where it must be verified before one posts', () => {
    before(async () => {
      await world.close();
      world = await start({ VERIFY_EMAIL: 'before_post', RATE_LIMITS: 'on' });
    });

    it('keeps nobody from reading, voting and following, and lets nobody write', async () => {
      const ada = await proven();
      const post = await writePost(ada);
      const { user, token } = await newcomer();
      const own = await rows<{ id: number }>(
        world,
        `with written as (insert into posts (owner_id, title, content) values ($1, 'Mine', '') returning id)
         insert into post_tallies (post_id, hot) select id, 0 from written returning post_id as id`,
        [user.id],
      );
      const mine = own[0]!.id;
      const writes = [
        () => user.post('/posts', { title: 'Mine', content: 'text' }, { 'idempotency-key': 'verified' }),
        () => user.post('/posts', { title: 'Mine', content: 'text', published: false }),
        () => user.post(`/posts/${post.id}/replies`, { content: 'text' }),
        () => user.put(`/posts/${mine}`, { title: 'Changed', content: '' }),
        () => user.patch(`/posts/${mine}`, { title: 'Changed' }),
      ];
      const before = await headOf(world);
      for (const write of writes) expectProblem(await write(), 403, 'email_unverified');
      // What is not valid is told first, as everywhere.
      expect(faultsOf(await user.post('/posts', { title: '' }))).to.include('body.title');
      expect(await headOf(world)).to.equal(before);
      const others = [
        () => user.get(`/posts/${post.id}`),
        () => user.put(`/posts/${post.id}/vote`),
        () => user.put(`/users/${ada.id}/follow`),
        () => user.put(`/posts/${post.id}/report`, { reason: 'spam' }),
        () => user.patch('/users/me', { bio: 'New here.' }),
      ];
      for (const other of others) expect((await other()).status).to.be.oneOf([200, 204]);
      expect((await verify(token)).status).to.equal(204);
      for (const write of writes) expect((await write()).status).to.be.oneOf([200, 201]);
      expect((await user.delete(`/posts/${mine}`)).status).to.equal(204);
    });

    it('is sent six mails an hour, whatever accounts call it theirs', async () => {
      const victim = 'victim@example.org';
      const statuses: number[] = [];
      for (let at = 0; at < 3; at += 1) {
        const user = await proven();
        statuses.push((await change(user, victim)).status);
        for (let more = 0; more < 2; more += 1) {
          await anHourLater(user);
          statuses.push((await askAgain(user)).status);
        }
      }
      expect(statuses).to.deep.equal([200, 202, 202, 200, 202, 202, 429, 409, 409]);
      const user = await proven();
      const limited = await change(user, victim.toUpperCase());
      expectProblem(limited, 429, 'too_many_requests');
      expect(limited.headers.get('ratelimit-policy')).to.equal('"mail";q=6;w=3600');
      server.received.length = 0;
    });

    it('is sent six of a kind an hour while it is not proved, by accounts that come and go too', async () => {
      const email = 'stranger@example.org';
      const statuses: number[] = [];
      let own: OwnUser | undefined;
      for (let at = 0; at < 3; at += 1) {
        const { body, status } = await world.anonymous.post<OwnUser>('/users', { email, password: PASSWORD });
        own = body;
        const user = new Api(world.url, (await logIn(world.url, body)).token);
        statuses.push(status);
        for (let more = 0; more < 2; more += 1)
          statuses.push((await user.post('/email/verify/request')).status);
        if (at < 2) await user.delete('/users/me', { password: PASSWORD });
      }
      expect(statuses).to.deep.equal([201, 202, 202, 201, 202, 202, 201, 429, 429]);
      const mails = (kind: string) =>
        numberOf(world, 'select count(*) from mails where user_id = $1 and kind = $2', [own!.id, kind]);
      expect(await mails('email_verification')).to.equal(0);
      const user = new Api(world.url, (await logIn(world.url, own!)).token);
      for (let at = 0; at < 7; at += 1) {
        await user.patch('/users/me', { password: PASSWORD, current_password: PASSWORD });
        await world.anonymous.post('/password/forgot', { email });
        await until('the request to be answered', async () => {
          return (await numberOf(world, 'select count(*) from reset_requests')) === 0;
        });
        if (at % 3 === 2) await anHourLater(own!);
      }
      expect(await mails('password_changed')).to.equal(6);
      expect(await mails('password_reset')).to.equal(6);
      server.received.length = 0;
    });

    it('is not kept from others by requests that send it nothing', async () => {
      const [ada, bob] = [await proven(), await proven()];
      const wanted = `wanted-${bob.email}`;
      const etag = (await ada.get('/users/me')).headers.get('etag') ?? '';
      for (let at = 0; at < 3; at += 1)
        expectProblem(await change(ada, wanted, { current_password: NEW }), 403, 'invalid_credentials');
      await ada.patch('/users/me', { bio: 'Changed.' });
      for (let at = 0; at < 3; at += 1) {
        const stale = await ada.patch(
          '/users/me',
          { email: wanted, current_password: PASSWORD },
          { 'if-match': etag },
        );
        expect(stale.status).to.equal(412);
      }
      for (const other of ['one', 'two']) await change(ada, `${other}-${ada.email}`);
      for (let at = 0; at < 3; at += 1) expect((await change(ada, wanted)).status).to.equal(429);
      expect((await change(bob, wanted)).status).to.equal(200);

      const { user } = await newcomer();
      for (let at = 0; at < 7; at += 1) expect((await change(user, user.email)).status).to.equal(200);
      expect((await askAgain(user)).status).to.equal(202);
      server.received.length = 0;
    });
  });
});

describe('an e-mail address where no mail is sent', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  it('counts at once and is never verified, and one that is taken is refused', async () => {
    const [ada, bob] = [await world.user(), await world.user()];
    const fresh = `new-${ada.email}`;
    const change = (email: string) => ada.patch<OwnUser>('/users/me', { email, current_password: PASSWORD });
    expect((await change(fresh)).body).to.include({
      email: fresh,
      email_verified: false,
      pending_email: null,
    });
    const taken = await change(bob.email);
    expectProblem(taken, 409, 'conflict');
    expect(taken.body).to.have.nested.property('errors[0].loc[1]', 'email');
    expectProblem(await ada.post('/email/verify/request'), 403, 'no_mail');
    for (const table of ['mails', 'mailed_tokens', 'email_undos'])
      expect(await numberOf(world, `select count(*) from ${table}`), table).to.equal(0);
    expectProblem(await world.anonymous.post('/email/verify', { token: 'x' }), 401, 'unauthorized');
    expectProblem(await world.anonymous.post('/email/undo', { token: 'x' }), 401, 'unauthorized');
  });
});
