import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import type { BegunLogin, LinkedIdentity } from '../server/auth/present.ts';
import type { Tokens } from '../server/auth/refresh.ts';
import type { TotpSetup } from '../server/auth/totp.ts';
import type { OwnUser } from '../server/users/present.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { logLines } from './support/log-lines.ts';
import { duringLock } from './support/locked-rows.ts';
import { TestMailServer } from './support/mail-server.ts';
import type { NodeProcess } from './support/node-process.ts';
import { type ProviderUser, TestProvider } from './support/oidc-provider.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, Api, createWorld, logIn, PASSWORD, TestUser, type World } from './support/world.ts';

/** What was begun, and what the browser came back with. */
interface Login {
  response: string;
  secret: string;
}

/** A request whose body is sent later. */
function holdBack(user: TestUser, path: string, body: object) {
  const text = JSON.stringify(body);
  const sent = request(new URL(path, user.url), {
    method: path === '/users/me' ? 'PATCH' : 'POST',
    headers: {
      authorization: `Bearer ${user.token ?? ''}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      expect: '100-continue',
    },
  });
  const answered = new Promise<number>((resolve, reject) => {
    sent.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
  });
  answered.catch(() => undefined);
  sent.flushHeaders();
  // The node has read the head by then; the session is looked up a little later.
  const isRead = new Promise((resolve) => sent.once('continue', resolve)).then(() => pause(300));
  return {
    isRead,
    finish: () => {
      sent.end(text);
      return answered;
    },
  };
}

const newSub = () => `sub-${randomUUID()}`;

describe('a login with an OpenID provider', () => {
  const mails = new TestMailServer();
  const provider = new TestProvider();
  const log = logLines();
  let world: World;
  before(async () => {
    await mails.start();
    await provider.start();
    const settings = { ...sharedSecret, ...mails.settings, ...provider.settings };
    world = await createWorld(settings, undefined, log.read, { provider: 60_000 });
  });
  after(async () => {
    await world.close();
    await provider.stop();
    await mails.stop();
  });

  const begin = async (body: object = {}) => {
    const answer = await world.anonymous.post<BegunLogin>('/login/oidc', body);
    expect(answer.status).to.equal(201);
    return answer.body;
  };
  /** Somebody at the provider, who has gone there and come back. */
  const cameBack = async (sub: string, told: ProviderUser = {}): Promise<Login> => {
    provider.users.set(sub, told);
    const { authorization_url: url, secret } = await begin();
    return { response: await provider.visit(url, sub), secret };
  };
  const finish = (login: Login, given: object = {}): Promise<Answer<Tokens>> =>
    world.anonymous.post('/login/oidc/finish', { ...login, ...given });
  const entered = async (login: Login, given: object = {}) => {
    const answer = await finish(login, given);
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200);
    const { body: account } = await new Api(world.url, answer.body.access_token).get<OwnUser>('/users/me');
    return { account, user: new TestUser(world.url, account, answer.body) };
  };
  const person = async (verified: boolean) => {
    const user = await world.user();
    await mails.next(user.email);
    if (verified) await execute(world, 'update users set email_verified_at = now() where id = $1', [user.id]);
    return user;
  };
  const statusOf = async (user: TestUser) => (await user.get<unknown>('/users/me')).status;
  const newName = () => `n${randomUUID().slice(0, 8)}`;
  const auditOf = async ({ id }: { id: number }) =>
    (
      await rows<{ action: string }>(world, 'select action from audit_log where user_id = $1 order by id', [
        id,
      ])
    ).map(({ action }) => action);

  it('makes an account with a name that the user chooses, and finds it again whatever address the provider tells', async () => {
    const sub = newSub();
    const email = `${sub}@example.org`;
    const login = await cameBack(sub, { email, email_verified: true, preferred_username: ' Zoë K. ' });
    const asked = await finish(login);
    expect(expectProblem(asked, 403, 'username_required')).to.deep.include({ suggestion: 'Zoe.K' });
    expect(faultsOf(await finish(login, { username: 'admin' }))).to.deep.equal(['body.username']);
    expect(faultsOf(await finish(login, { username: '-a-' }))).to.deep.equal(['body.username']);
    const taken = await world.user();
    expectProblem(await finish(login, { username: taken.username.toUpperCase() }), 409, 'conflict');
    const username = newName();
    const { account, user } = await entered(login, { username });
    expect(account).to.deep.include({
      username,
      email,
      email_verified: true,
      has_password: false,
      role: 'user',
    });
    expectProblem(await finish(login, { username }), 401);
    // The session is one like any other.
    expect((await world.anonymous.post('/refresh', { refresh_token: user.refreshToken })).status).to.equal(
      200,
    );

    const again = await entered(await cameBack(sub, { email: 'moved@example.org', email_verified: false }));
    expect(again.account.id).to.equal(account.id);
    expect(again.account.email).to.equal(email);
    const { body: identities } = await again.user.get<LinkedIdentity[]>('/users/me/identities');
    expect(identities).to.have.lengthOf(1);
    expect(identities[0]).to.deep.include({ issuer: provider.issuer, email: 'moved@example.org' });
    expect(identities[0]!.last_login_at).to.be.a('string');
    // No password fits an account that has none.
    for (const password of [PASSWORD, ''])
      expect((await world.anonymous.post('/login', { email, password })).status).to.be.oneOf([403, 422]);
  });

  for (const [there, here] of [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
    [undefined, true],
    [undefined, false],
  ] as const) {
    const words = `an address verified ${there === undefined ? 'nobody knows whether ' : there ? '' : 'not '}there and ${here ? '' : 'not '}here`;
    const told = (email: string) => ({ email, ...(there === undefined ? {} : { email_verified: there }) });

    it(`with ${words}, and no account with it, makes one`, async () => {
      if (!here) return;
      const email = `${newSub()}@example.org`;
      const { account } = await entered(await cameBack(newSub(), told(email)), { username: newName() });
      expect(account.email_verified).to.equal(there === true);
      if (there !== true)
        expect((await mails.next(email)).headers.subject).to.equal('Verify your e-mail address');
    });

    it(`with ${words}, and an account with it, ${there === true ? (here ? 'links it' : 'takes it over') : 'asks for its password'}`, async () => {
      const victim = await person(here);
      const sub = newSub();
      const login = await cameBack(sub, told(victim.email.toUpperCase()));
      if (there !== true) {
        expectProblem(await finish(login), 403, 'link_required');
        expectProblem(await finish(login, { password: 'not this one' }), 403, 'invalid_credentials');
        expect(
          await numberOf(world, 'select count(*) from identities where user_id = $1', [victim.id]),
        ).to.equal(0);
      }
      const { account } = await entered(login, there === true ? {} : { password: PASSWORD });
      const takenOver = there === true && !here;
      expect(account.id).to.equal(victim.id);
      expect(account.has_password).to.equal(!takenOver);
      expect(account.email_verified).to.equal(here || there === true);
      expect(await statusOf(victim)).to.equal(takenOver ? 401 : 200);
      expect(
        (await world.anonymous.post('/refresh', { refresh_token: victim.refreshToken })).status,
      ).to.equal(takenOver ? 401 : 200);
      expect(
        (await world.anonymous.post('/login', { email: victim.email, password: PASSWORD })).status,
      ).to.equal(takenOver ? 403 : 200);
      expect((await mails.next(victim.email)).headers.subject).to.equal(
        'Your account has a new way to log in',
      );
      expect(await auditOf(victim)).to.deep.equal([...(takenOver ? ['take_over'] : []), 'link_identity']);
      expect((await entered(await cameBack(sub))).account.id).to.equal(victim.id);
    });
  }

  it('leaves nothing to somebody who signed up with the address before its owner came', async () => {
    // The attacker has a session, a second factor, an identity, a link that changes the password and one that undoes.
    const attacker = await person(false);
    const own = newSub();
    const linking = await attacker.post<BegunLogin>('/users/me/identities/begin', { password: PASSWORD });
    provider.users.set(own, {});
    const back = await provider.visit(linking.body.authorization_url, own);
    const { status } = await attacker.post('/users/me/identities', {
      response: back,
      secret: linking.body.secret,
    });
    expect(status).to.equal(201);
    const begunLink = await attacker.post<BegunLogin>('/users/me/identities/begin', { password: PASSWORD });
    const { secret: totp } = (await attacker.post<TotpSetup>('/users/me/totp', { password: PASSWORD })).body;
    const code = TOTP.generate({ secret: Secret.fromBase32(totp) });
    expect((await attacker.post('/users/me/totp/confirm', { code })).status).to.equal(200);
    await world.anonymous.post('/password/forgot', { email: attacker.email });
    await until('the link to a new password', async () => {
      return (
        (await numberOf(
          world,
          "select count(*) from mailed_tokens where user_id = $1 and purpose = 'reset'",
          [attacker.id],
        )) === 1
      );
    });
    expect(
      (
        await attacker.patch('/users/me', {
          email: `other-${attacker.email}`,
          current_password: PASSWORD,
        })
      ).status,
    ).to.equal(200);
    const socket = world.socket({ token: attacker.token });
    const closed = new Promise((resolve) =>
      socket.once('session:closed', ({ code: reason }) => resolve(reason)),
    );
    await new Promise((resolve) => socket.once('ready', resolve));

    const sub = newSub();
    const { account, user } = await entered(
      await cameBack(sub, { email: attacker.email, email_verified: true }),
    );
    expect(account).to.deep.include({
      id: attacker.id,
      pending_email: null,
      has_password: false,
      email_verified: true,
    });
    expect(await closed).to.equal('revoked');
    expect(await statusOf(attacker)).to.equal(401);
    for (const table of ['mailed_tokens', 'email_undos', 'totp_secrets', 'recovery_codes'])
      expect(
        await numberOf(world, `select count(*) from ${table} where user_id = $1`, [account.id]),
        table,
      ).to.equal(0);
    const { body: identities } = await user.get<LinkedIdentity[]>('/users/me/identities');
    expect(identities.map(({ email }) => email)).to.deep.equal([attacker.email]);
    // Their identity is nobody's here.
    expectProblem(await finish(await cameBack(own)), 403, 'oidc_refused');
    const late = await provider.visit(begunLink.body.authorization_url, own);
    expectProblem(await finish({ response: late, secret: begunLink.body.secret }), 401);
  });

  it('does not give the account of a moderator to whom the provider says has the address, without its password', async () => {
    const moderator = await person(false);
    await execute(world, "update users set role = 'moderator' where id = $1", [moderator.id]);
    const login = await cameBack(newSub(), { email: moderator.email, email_verified: true });
    expectProblem(await finish(login), 403, 'link_required');
    expect(await statusOf(moderator)).to.equal(200);
    expect((await entered(login, { password: PASSWORD })).account.id).to.equal(moderator.id);
  });

  it('takes no other mailbox for that of an account, however alike they are', async () => {
    const user = await person(true);
    // A full-width letter: nobody else may sign up with it, and it need not be the owner's.
    const alike = user.email.replace(/^./, (letter) => String.fromCodePoint(letter.codePointAt(0)! + 0xfee0));
    const login = await cameBack(newSub(), { email: alike, email_verified: true });
    expectProblem(await finish(login), 403, 'link_required');
  });

  it('asks for the code of an account with a second factor, which is good once', async () => {
    const user = await person(true);
    const sub = newSub();
    await entered(await cameBack(sub, { email: user.email, email_verified: true }));
    const { secret } = (await user.post<TotpSetup>('/users/me/totp', { password: PASSWORD })).body;
    const code = () => TOTP.generate({ secret: Secret.fromBase32(secret) });
    expect((await user.post('/users/me/totp/confirm', { code: code() })).status).to.equal(200);
    await execute(world, 'update totp_secrets set last_step = 0 where user_id = $1', [user.id]);
    const login = await cameBack(sub, { email: user.email, email_verified: true });
    expectProblem(await finish(login), 403, 'otp_required');
    expectProblem(await finish(login, { otp: '000000' }), 403, 'otp_invalid');
    expect((await entered(login, { otp: code() })).account.id).to.equal(user.id);
    expectProblem(await finish(await cameBack(sub), { otp: 'nonsense' }), 403, 'otp_invalid');
  });

  it('tells a suspended user why, and changes nothing', async () => {
    const user = await person(false);
    await execute(world, "update users set suspended_until = 'infinity' where id = $1", [user.id]);
    expectProblem(
      await finish(await cameBack(newSub(), { email: user.email, email_verified: true })),
      403,
      'suspended',
    );
    expect(await numberOf(world, 'select count(*) from identities where user_id = $1', [user.id])).to.equal(
      0,
    );
    expect(
      await numberOf(world, 'select count(*) from users where id = $1 and unusable_hash is null', [user.id]),
    ).to.equal(1);
  });

  it('works once and only with the secret of its begin, also of two at the same time', async () => {
    const sub = newSub();
    const told = { email: `${sub}@example.org`, email_verified: true };
    const login = await cameBack(sub, told);
    const other = await begin();
    // Somebody else's answer in the browser of a victim, and the other way round.
    expectProblem(await finish({ ...login, secret: other.secret }), 401);
    const state = new URLSearchParams(login.response);
    state.set('state', other.state);
    expectProblem(await finish({ response: state.toString(), secret: other.secret }), 403, 'oidc_refused');
    for (const response of ['', 'code=x', 'state=unknown&code=x', `${login.response}&state=${other.state}`])
      expectProblem(await finish({ response: response || '&', secret: login.secret }), 401);

    const { secret, response } = await cameBack(sub, told);
    const username = newName();
    const answers = await Promise.all([1, 2, 3].map(() => finish({ secret, response }, { username })));
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 401, 401]);
    expectProblem(await finish({ secret, response }), 401);
  });

  it('makes one account of two logins of the same new user at once', async () => {
    const sub = newSub();
    const told = { email: `${sub}@example.org`, email_verified: true };
    const logins = [await cameBack(sub, told), await cameBack(sub, told)];
    const answers = await Promise.all(logins.map((login) => finish(login, { username: newName() })));
    for (const { status } of answers) expect(status).to.be.oneOf([200, 409]);
    expect(answers.some(({ status }) => status === 200)).to.equal(true);
    expect(await numberOf(world, 'select count(*) from identities where sub = $1', [sub])).to.equal(1);
    expect(await numberOf(world, 'select count(*) from users where email = $1', [told.email])).to.equal(1);
  });

  it('refuses a nonce, an issuer and an answer that are not those of the login', async () => {
    const sub = newSub();
    provider.users.set(sub, {});
    const begun = await begin();
    const url = new URL(begun.authorization_url);
    expect(url.searchParams.get('code_challenge_method')).to.equal('S256');
    url.searchParams.set('nonce', 'another');
    const wrongNonce = await provider.visit(url.href, sub);
    expectProblem(await finish({ response: wrongNonce, secret: begun.secret }), 403, 'oidc_refused');
    // A refused answer ends the login.
    expectProblem(await finish({ response: wrongNonce, secret: begun.secret }), 401);

    for (const forge of [
      (answer: URLSearchParams) => answer.set('iss', 'https://accounts.evil.example'),
      (answer: URLSearchParams) => answer.append('iss', 'https://accounts.evil.example'),
      (answer: URLSearchParams) => answer.delete('iss'),
      (answer: URLSearchParams) => answer.delete('code'),
      (answer: URLSearchParams) => answer.set('code', 'another'),
    ]) {
      const { response, secret } = await cameBack(sub);
      const answer = new URLSearchParams(response);
      expect(answer.get('iss')).to.equal(provider.issuer);
      forge(answer);
      expectProblem(await finish({ response: answer.toString(), secret }), 403, 'oidc_refused');
    }
  });

  it('ends after ten minutes, before and after the provider has named the user', async () => {
    const expire = () => execute(world, "update oidc_logins set expires_at = now() - interval '1 second'");
    const sub = newSub();
    const told = { email: `${sub}@example.org`, email_verified: true };
    const early = await cameBack(sub, told);
    await expire();
    expectProblem(await finish(early), 401);
    const late = await cameBack(sub, told);
    expectProblem(await finish(late), 403, 'username_required');
    await expire();
    expectProblem(await finish(late, { username: newName() }), 401);
  });

  it('tells that the provider refused, without its words', async () => {
    const { authorization_url: url, secret } = await begin();
    const response = await provider.visit(url, undefined);
    expect(response).to.include('error=access_denied').and.include('not+today');
    const problem = expectProblem(await finish({ response, secret }), 403, 'oidc_refused');
    expect(problem.detail).to.include('Example Accounts').and.not.include('not today');
    const busy = await begin();
    const answer = new URLSearchParams({
      error: 'temporarily_unavailable',
      state: busy.state,
      iss: provider.issuer,
    });
    expectProblem(await finish({ response: answer.toString(), secret: busy.secret }), 503, 'unavailable');
  });

  it('is refused while the provider does not answer, from the start of a node on, and works once it does', async () => {
    provider.goDown();
    let node: NodeProcess | undefined;
    try {
      node = await startAnotherNode(world, 'another', provider.settings);
      const visitor = new Api(node.url);
      const refused = expectProblem(await visitor.post('/login/oidc', {}), 503, 'unavailable');
      expect(refused.detail).to.include('Example Accounts');
      expect((await visitor.get<unknown>('/readyz')).status).to.equal(200);
      provider.comeUp();
      const { status, body } = await visitor.post<BegunLogin>('/login/oidc', {});
      expect(status).to.equal(201);
      const sub = newSub();
      provider.users.set(sub, { email: `${sub}@example.org`, email_verified: true });
      const response = await provider.visit(body.authorization_url, sub);
      const login = { response, secret: body.secret, username: newName() };
      expect((await visitor.post<Tokens>('/login/oidc/finish', login)).status).to.equal(200);
    } finally {
      provider.comeUp();
      await node?.stop();
    }
  });

  it('sends the browser on to the page that began, with the answer where no server is sent it', async () => {
    const back = async (query: string) => {
      const answer = await fetch(`${world.url}/login/oidc/callback?${query}`, { redirect: 'manual' });
      expect(answer.status).to.equal(303);
      expect(answer.headers.get('referrer-policy')).to.equal('no-referrer');
      expect(answer.headers.get('cache-control')).to.include('no-store');
      return answer.headers.get('location')!;
    };
    const query = 'code=a%2Bb&state=unknown&iss=x';
    const place = new URL(await back(query));
    expect(place.href).to.equal(`https://feed.example/social/#oidc=${encodeURIComponent(query)}`);
    expect(decodeURIComponent(place.hash.slice('#oidc='.length))).to.equal(query);
    const { state } = await begin({ return_to: 'https://feed.example/social/account?x=1' });
    expect(await back(`code=c&state=${state}`)).to.match(
      /^https:\/\/feed\.example\/social\/account\?x=1#oidc=code/,
    );
    for (const returnTo of [
      'https://evil.example/',
      'https://feed.example.evil.example/',
      'https://user@feed.example/',
      'javascript:alert(1)',
      '//evil.example',
      'https://feed.example/#x',
    ])
      expect(
        faultsOf(await world.anonymous.post('/login/oidc', { return_to: returnTo })),
        returnTo,
      ).to.deep.equal(['body.return_to']);
  });

  it('can be linked and unlinked by who is logged in, and is of one account', async () => {
    const user = await person(true);
    const sub = newSub();
    provider.users.set(sub, { email: 'elsewhere@example.org' });
    const link = async (who: TestUser, from = who) => {
      const { status, body } = await from.post<BegunLogin>('/users/me/identities/begin', {
        password: PASSWORD,
      });
      expect(status).to.equal(201);
      const response = await provider.visit(body.authorization_url, sub);
      return who.post<LinkedIdentity>('/users/me/identities', { response, secret: body.secret });
    };
    expect(faultsOf(await user.post('/users/me/identities/begin', {}))).to.deep.equal(['body.password']);
    expectProblem(
      await user.post('/users/me/identities/begin', { password: 'wrong' }),
      403,
      'invalid_credentials',
    );
    const stranger = await person(true);
    // Begun by somebody else, as when an attacker has a victim link the attacker's identity.
    expectProblem(await link(user, stranger), 401);
    const linked = await link(user);
    expect(linked.status).to.equal(201);
    expect((await mails.next(user.email)).headers.subject).to.equal('Your account has a new way to log in');
    expect((await link(user)).body.id).to.equal(linked.body.id);
    expectProblem(await link(stranger), 409, 'conflict');
    expect(
      (await entered(await cameBack(sub, { email: stranger.email, email_verified: true }))).account.id,
    ).to.equal(user.id);
    const path = `/users/me/identities/${linked.body.id}`;
    expectProblem(await user.delete(path, { password: 'wrong' }), 403, 'invalid_credentials');
    expectProblem(await stranger.delete(path, { password: PASSWORD }), 404);
    expect((await user.delete(path, { password: PASSWORD })).status).to.equal(204);
    expect((await user.get<LinkedIdentity[]>('/users/me/identities')).body).to.deep.equal([]);
    expect(await auditOf(user)).to.deep.equal(['link_identity', 'unlink_identity']);
    expect(
      (await entered(await cameBack(sub, { email: stranger.email, email_verified: true }))).account.id,
    ).to.equal(stranger.id);
  });

  it('stands in for the password of an account that has none, while it is young', async () => {
    const sub = newSub();
    const email = `${sub}@example.org`;
    const { user, account } = await entered(await cameBack(sub, { email, email_verified: true }), {
      username: newName(),
    });
    const { body: identities } = await user.get<LinkedIdentity[]>('/users/me/identities');
    const path = `/users/me/identities/${identities[0]!.id}`;
    expectProblem(await user.delete(path, {}), 409, 'conflict');
    expect((await user.post('/users/me/totp', {})).status).to.equal(201);
    expect((await user.patch('/users/me', { email: `new-${email}` })).status).to.equal(200);
    await execute(
      world,
      "update sessions set created_at = now() - interval '11 minutes' where user_id = $1",
      [account.id],
    );
    for (const refused of [
      await user.delete<unknown>('/users/me', { password: PASSWORD }),
      await user.delete<unknown>(path, {}),
      await user.post<unknown>('/users/me/totp', {}),
      await user.post<unknown>('/users/me/identities/begin', {}),
      await user.patch<unknown>('/users/me', { password: 'another battery staple' }),
    ])
      expectProblem(refused, 403, 'login_again');
    const young = await entered(await cameBack(sub));
    expect((await young.user.patch('/users/me', { password: 'another battery staple' })).status).to.equal(
      200,
    );
    expect(await statusOf(user)).to.equal(401);
    const withPassword = await logIn(world.url, young.account, 'another battery staple');
    expect((await withPassword.get<OwnUser>('/users/me')).body.has_password).to.equal(true);
    expect(faultsOf(await withPassword.delete('/users/me', {}))).to.deep.equal(['body.password']);
    expect(faultsOf(await withPassword.patch('/users/me', { email }))).to.deep.equal([
      'body.current_password',
    ]);
    expect((await withPassword.delete(path, { password: 'another battery staple' })).status).to.equal(204);
  });

  it('stands in for nothing once its session has ended, also for a request that began before', async () => {
    const sub = newSub();
    const { user } = await entered(
      await cameBack(sub, { email: `${sub}@example.org`, email_verified: true }),
      {
        username: newName(),
      },
    );
    const { user: other } = await entered(await cameBack(sub));
    const paths = { '/users/me': { password: 'mine from now on' }, '/users/me/identities/begin': {} };
    const held = Object.entries(paths).map(([path, body]) => holdBack(user, path, body));
    await Promise.all(held.map(({ isRead }) => isRead));
    expect((await other.post('/logout/all')).status).to.equal(204);
    for (const { finish: send } of held) expect(await send()).to.be.oneOf([401, 403]);
    const { user: owner } = await entered(await cameBack(sub));
    expect((await owner.get<OwnUser>('/users/me')).body.has_password).to.equal(false);
  });

  it('lets nobody in by what was forgotten while the login waited for the account', async () => {
    const user = await person(true);
    const sub = newSub();
    const told = { email: `${sub}@example.org`, email_verified: true };
    await execute(world, 'insert into identities (user_id, issuer, sub) values ($1, $2, $3)', [
      user.id,
      provider.issuer,
      sub,
    ]);
    const login = await cameBack(sub, told);
    // As an undone change of the address does it.
    const answer = await duringLock(world, {
      lock: `update users set pending_email = null where id = ${user.id}`,
      send: () => finish(login),
      then: `delete from identities where user_id = ${user.id}; update sessions set revoked_at = now() where user_id = ${user.id}`,
    });
    expectProblem(answer, 403, 'username_required');
    expect(
      await numberOf(world, 'select count(*) from sessions where user_id = $1 and revoked_at is null', [
        user.id,
      ]),
    ).to.equal(0);
  });

  it('links no second user of the provider while the login waited for the first', async () => {
    const user = await person(true);
    const login = await cameBack(newSub(), { email: user.email, email_verified: true });
    const answer = await duringLock(world, {
      lock: `update users set pending_email = null where id = ${user.id}`,
      send: () => finish(login),
      then: `insert into identities (user_id, issuer, sub) values (${user.id}, '${provider.issuer}', '${newSub()}')`,
    });
    expectProblem(answer, 403, 'link_required');
  });

  it('does not let a second user of the provider in who was given the address of the first', async () => {
    const [first, second, third] = [newSub(), newSub(), newSub()];
    const told = { email: `${first}@example.org`, email_verified: true };
    const { user, account } = await entered(await cameBack(first, told), { username: newName() });
    expectProblem(await finish(await cameBack(second, told)), 409, 'conflict');
    expect((await user.patch('/users/me', { password: PASSWORD })).status).to.equal(200);
    const login = await cameBack(third, told);
    expectProblem(await finish(login), 403, 'link_required');
    expect((await entered(login, { password: PASSWORD })).account.id).to.equal(account.id);
  });

  it('goes with the account, and is told in its export', async () => {
    const sub = newSub();
    const told = { email: `${sub}@example.org`, email_verified: true };
    const { user, account } = await entered(await cameBack(sub, told), { username: newName() });
    const { body } = await user.get<string>('/users/me/export');
    const line = body.split('\n').find((text) => text.startsWith('{"kind":"identity"'));
    expect(JSON.parse(line ?? '{}')).to.deep.include({ kind: 'identity' });
    expect(line).to.include(sub).and.include(provider.issuer);
    expect((await user.delete('/users/me', {})).status).to.be.oneOf([202, 204]);
    expect(await numberOf(world, 'select count(*) from identities where sub = $1', [sub])).to.equal(0);
    const again = await entered(await cameBack(sub, told), { username: newName() });
    expect(again.account.id).not.to.equal(account.id);
  });

  it('ends what was linked before the address was proved by a new password', async () => {
    const attacker = await person(false);
    const sub = newSub();
    provider.users.set(sub, {});
    const { body } = await attacker.post<BegunLogin>('/users/me/identities/begin', { password: PASSWORD });
    const response = await provider.visit(body.authorization_url, sub);
    expect((await attacker.post('/users/me/identities', { response, secret: body.secret })).status).to.equal(
      201,
    );
    await mails.next(attacker.email);
    await world.anonymous.post('/password/forgot', { email: attacker.email });
    const token = /#reset=([\w-]{43})\n/.exec((await mails.next(attacker.email)).text)![1];
    expect(
      (await world.anonymous.post('/password/reset', { token, password: 'another battery staple' })).status,
    ).to.equal(204);
    expectProblem(await finish(await cameBack(sub)), 403, 'oidc_refused');
  });

  it('is named by the place where clients begin', async () => {
    expect((await world.anonymous.get<object>('/')).body).to.deep.include({
      oidc: { name: 'Example Accounts' },
    });
    expect((await world.anonymous.get<string>('/metrics')).body)
      .to.match(/oidc_logins_total\{outcome="linked"\} \d/)
      .and.match(/oidc_logins_total\{outcome="taken_over"\} \d/);
  });

  it('leaves no code, token, secret, state or address in the log, and none in the database', async () => {
    const sub = newSub();
    const email = `${sub}@example.org`;
    const login = await cameBack(sub, { email, email_verified: true });
    await fetch(`${world.url}/login/oidc/callback?${login.response}`, { redirect: 'manual' });
    const [stored] = await rows<{ whole: string }>(
      world,
      "select string_agg(l::text, ' ') as whole from oidc_logins l",
    );
    const { user } = await entered(login, { username: newName() });
    const answer = new URLSearchParams(login.response);
    const kept = (
      await rows<{ whole: string }>(world, "select string_agg(l::text, ' ') as whole from oidc_logins l")
    )[0];
    for (const secret of [
      answer.get('code')!,
      answer.get('state')!,
      login.secret,
      user.token,
      user.refreshToken,
    ]) {
      for (const line of log.all()) expect(JSON.stringify(line)).not.to.include(secret);
      expect(`${stored?.whole} ${kept?.whole}`).not.to.include(secret);
    }
    for (const line of log.all()) expect(JSON.stringify(line)).not.to.include(email);
    for (const line of log.all()) expect(JSON.stringify(line)).not.to.include('the secret of the client');
  });
});
