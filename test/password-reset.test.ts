import { expect } from 'chai';
import { resetLink } from '../server/admin/reset-link.ts';
import { ConfigError } from '../server/config.ts';
import { logLines } from './support/log-lines.ts';
import { TestMailServer } from './support/mail-server.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const NEW = 'another battery staple';
const UNKNOWN = 'nobody@example.org';

describe('a forgotten password', () => {
  const server = new TestMailServer();
  const log = logLines();
  let world: World;
  before(async () => {
    await server.start();
    world = await createWorld(server.settings, undefined, log.read);
  });
  after(async () => {
    await world.close();
    await server.stop();
  });

  const forgot = (email: string) => world.anonymous.post('/password/forgot', { email });
  const reset = (token: string, password = NEW) =>
    world.anonymous.post('/password/reset', { token, password });
  /** Somebody who has had the mail of their sign-up. */
  const person = async (name?: string) => {
    const user = await world.user(name);
    expect((await server.next(user.email)).headers.subject).to.equal('Verify your e-mail address');
    return user;
  };
  /** The token of the mail that is sent to somebody next. */
  const tokenFor = async ({ email }: TestUser) => {
    const { headers, text } = await server.next(email);
    expect(headers.subject).to.equal('Choose a new password');
    return /https:\/\/feed\.example\/social\/#reset=([\w-]{43})\n/.exec(text)![1]!;
  };
  const askedBy = async (user: TestUser) => {
    expect((await forgot(user.email)).status).to.equal(202);
    return tokenFor(user);
  };
  const allAnswered = () =>
    until('all requests to be answered', async () => {
      return (await numberOf(world, 'select count(*) from reset_requests')) === 0;
    });
  const refused = async (token: string) => expectProblem(await reset(token), 401, 'unauthorized');

  it('is replaced with the link of a mail, which ends all sessions and sockets, and works once', async () => {
    const ada = await person('ada');
    const other = await logIn(world.url, ada);
    const sockets = [ada, other].map(({ token }) => world.socket({ token }));
    const ends = sockets.map(
      (socket) => new Promise((resolve) => socket.once('session:closed', ({ code }) => resolve(code))),
    );
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('ready', resolve))));
    const token = await askedBy(ada);
    const answers = await Promise.all([reset(token), reset(token)]);
    expect(answers.map(({ status }) => status)).to.have.members([204, 401]);
    expect(await Promise.all(ends)).to.deep.equal(['revoked', 'revoked']);
    for (const { token: old } of [ada, other])
      expect(
        (await world.anonymous.get('/users/me', { authorization: `Bearer ${old}` })).status,
        'a session after the reset',
      ).to.equal(401);
    for (const { refreshToken } of [ada, other])
      expect((await world.anonymous.post('/refresh', { refresh_token: refreshToken })).status).to.equal(401);
    await refused(token);
    expect((await server.next(ada.email)).headers.subject).to.equal('Your password was changed');
    const old = await world.anonymous.post('/login', { email: ada.email, password: PASSWORD });
    expectProblem(old, 403, 'invalid_credentials');
    expect((await logIn(world.url, ada, NEW)).id).to.equal(ada.id);
  });

  it('is asked for with one answer, whether or not somebody has the address', async () => {
    const bob = await person('bob');
    const answers = [await forgot(bob.email), await forgot(UNKNOWN), await forgot('no address at all')];
    for (const { status, body } of answers) expect([status, body]).to.deep.equal([202, '']);
    const names = answers.map(({ headers }) => [...headers.keys()].sort());
    expect(names[1]).to.deep.equal(names[0]);
    await tokenFor(bob);
    await allAnswered();
    expect(server.received).to.deep.equal([]);
    // In any case and Unicode form, as a login.
    await forgot(bob.email.toUpperCase());
    await tokenFor(bob);
  });

  it('is answered before anything is looked for of whose the address is', async () => {
    const ada = await person();
    const client = await world.pool.connect();
    try {
      await client.query('begin');
      await client.query('lock table users, mailed_tokens, mails in access exclusive mode');
      // Neither waits for what an answer that depends on the account would have to read or write.
      for (const email of [ada.email, UNKNOWN]) expect((await forgot(email)).status).to.equal(202);
      expect(await numberOf(world, 'select count(*) from reset_requests')).to.be.within(1, 2);
    } finally {
      await client.query('rollback');
      client.release();
    }
    await tokenFor(ada);
    await allAnswered();
  });

  it('is asked for in the same time, whether or not somebody has the address', async () => {
    const ada = await person();
    const timed = async (email: string) => {
      const began = performance.now();
      expect((await forgot(email)).status).to.equal(202);
      const took = performance.now() - began;
      await allAnswered();
      return took;
    };
    // In pairs, in either order by turns: what else the machine does falls upon both alike.
    let slower = 0;
    for (let pair = 0; pair < 100; pair += 1) {
      const known = pair % 2 === 0 ? await timed(ada.email) : undefined;
      const unknown = await timed(UNKNOWN);
      if ((known ?? (await timed(ada.email))) > unknown) slower += 1;
    }
    // Of a fair coin it is not so once in two million times.
    expect(slower).to.be.within(25, 75);
    await execute(world, 'delete from mails');
    server.received.length = 0;
  });

  it('is judged before the token is used', async () => {
    const eve = await person();
    const token = await askedBy(eve);
    expect(faultsOf(await reset(token, 'short'))).to.deep.equal(['body.password']);
    expect(faultsOf(await reset(token, 'x'.repeat(73)))).to.deep.equal(['body.password']);
    expect((await reset(token)).status).to.equal(204);
  });

  it('is not replaced with a link that is old, replaced, made up, or of an account that has changed', async () => {
    const user = await person();
    const first = await askedBy(user);
    const second = await askedBy(user);
    await refused(first);
    await refused('x'.repeat(43));
    await refused(`${second}x`);
    await execute(world, 'update mailed_tokens set expires_at = now() where user_id = $1', [user.id]);
    await refused(second);
    const changing = await person();
    const old = await askedBy(changing);
    const answer = await changing.patch('/users/me', { password: NEW, current_password: PASSWORD });
    expect(answer.status).to.equal(200);
    await refused(old);
    // A new address is none until it is proved.
    const moving = await person();
    const before = await askedBy(moving);
    const email = `new-${moving.email}`;
    await moving.patch('/users/me', { email, current_password: PASSWORD });
    const [, proof] = /#verify=([\w-]{43})\n/.exec((await server.next(email)).text)!;
    expect((await world.anonymous.post('/email/verify', { token: proof })).status).to.equal(204);
    await refused(before);
    // By a node of the version before, which ends no tokens.
    const moved = await person();
    const token = await askedBy(moved);
    await execute(world, `update users set email = 'moved@example.org' where id = $1`, [moved.id]);
    await refused(token);
    const gone = await person();
    const last = await askedBy(gone);
    expect((await gone.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    await refused(last);
    await forgot(gone.email);
    await allAnswered();
    expect(server.received.filter(({ headers }) => headers.subject === 'Choose a new password')).to.be.empty;
    server.received.length = 0;
  });

  it('is asked for three times an hour', async () => {
    const user = await person();
    for (let at = 0; at < 3; at += 1) await askedBy(user);
    await Promise.all([1, 2, 3].map(() => forgot(user.email)));
    await allAnswered();
    const mails = `select count(*) from mails where user_id = $1 and kind = 'password_reset'`;
    expect(await numberOf(world, mails, [user.id])).to.equal(3);
    await execute(world, `update mails set created_at = now() - interval '61 minutes' where user_id = $1`, [
      user.id,
    ]);
    await askedBy(user);
  });

  it('leaves no token in the database or the log', async () => {
    const user = await person();
    const token = await askedBy(user);
    for (const table of ['mailed_tokens', 'mails', 'reset_requests']) {
      const found = await rows(world, `select t::text from ${table} t where t::text like $1`, [`%${token}%`]);
      expect(found, table).to.be.empty;
    }
    expect((await reset(token)).status).to.equal(204);
    const lines = JSON.stringify(log.all());
    expect(lines).to.include('/password/reset');
    for (const secret of [token, user.email, NEW]) expect(lines).to.not.include(secret);
  });
});

describe('a forgotten password where no mail is sent', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on' });
  });
  after(() => world.close());

  it('is a refusal that names the operator, for any address, and is counted by address', async () => {
    const ada = await world.user('ada');
    for (const email of [ada.email, UNKNOWN]) {
      const answer = await world.anonymous.post('/password/forgot', { email });
      expectProblem(answer, 403, 'no_mail');
      expect(answer.headers.get('ratelimit-policy')).to.equal('"forgot";q=40;w=3600');
    }
    expect(await numberOf(world, 'select count(*) from reset_requests')).to.equal(0);
  });

  it('is replaced with a link of the operator, which is noted', async () => {
    const bob = await world.user('bob');
    const { config, db } = world.ctx;
    const admin = (...args: string[]) => resetLink.read(args)?.({ config, db });
    const said = await admin('BOB');
    const [, token = ''] = /^http:\/\/127\.0\.0\.1:\d+\/#reset=([\w-]{43})\n/.exec(said!) ?? [];
    expect(said).to.include('PUBLIC_URL is not set: the link leads to this machine');
    const answer = await world.anonymous.post('/password/reset', { token, password: NEW });
    expect(answer.status).to.equal(204);
    expect((await logIn(world.url, bob, NEW)).id).to.equal(bob.id);
    const noted = await rows(world, 'select action, actor_id, user_id from audit_log order by id');
    expect(noted).to.deep.equal([
      { action: 'reset_link', actor_id: null, user_id: bob.id },
      { action: 'reset_password', actor_id: bob.id, user_id: bob.id },
    ]);
    // In a container: nobody knows at which address it is found.
    const elsewhere = { config: { ...config, linkUrl: undefined }, db };
    expect(await resetLink.read(['bob'])!(elsewhere).catch((error: unknown) => error))
      .to.be.instanceOf(ConfigError)
      .with.property('message')
      .that.matches(/^PUBLIC_URL must be set/);
    expect(await admin('nobody')!.catch((error: unknown) => error)).to.include({ code: 'not_found' });
    expect([admin(), admin('bob', 'ada')]).to.deep.equal([undefined, undefined]);
  });
});
