import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import { totpOff } from '../server/admin/totp-off.ts';
import { newRecoveryCodes, recoveryHash, Totp } from '../server/auth/totp.ts';
import type { TotpSetup } from '../server/auth/totp.ts';
import type { SecondFactorView } from '../server/auth/second-factor.ts';
import { createResetLink } from '../server/auth/reset-link.ts';
import { Seal } from '../server/mail/seal.ts';
import { logLines } from './support/log-lines.ts';
import { type ReceivedMail, TestMailServer } from './support/mail-server.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const PATH = '/users/me/totp';
const STEP = 30_000;

describe('codes of authenticator apps', () => {
  const totp = new Totp(new Seal(['a secret that is long enough to seal with'], 'test'));

  it('are those of RFC 6238, appendix B, in their last six digits', () => {
    const secret = Secret.fromUTF8('12345678901234567890').base32;
    for (const [seconds, code] of [
      [59, '94287082'],
      [1111111109, '07081804'],
      [1111111111, '14050471'],
      [1234567890, '89005924'],
      [2000000000, '69279037'],
      [20000000000, '65353130'],
    ] as const) {
      const at = seconds * 1000;
      expect(totp.stepOf(secret, code.slice(2), at), String(seconds)).to.equal(Math.floor(seconds / 30));
      for (const other of ['000000', code, code.slice(3), '', 'abcdef'])
        expect(totp.stepOf(secret, other, at), other).to.equal(undefined);
    }
  });

  it('may be a step early or late, and no more', () => {
    const { secret } = totp.create('ada', 'Tidings');
    const at = 1_700_000_010_000;
    const step = Math.floor(at / STEP);
    const code = (steps: number) =>
      TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: at + steps * STEP });
    for (const steps of [-1, 0, 1]) expect(totp.stepOf(secret, code(steps), at)).to.equal(step + steps);
    for (const steps of [-3, -2, 2, 3]) expect(totp.stepOf(secret, code(steps), at)).to.equal(undefined);
    expect(totp.stepOf(secret, code(0).replace(/^.../, '$& '), at)).to.equal(step);
  });

  it('may be typed with wide digits, and are wrong in others', () => {
    const { secret } = totp.create('ada', 'Tidings');
    const at = 1_700_000_010_000;
    const code = TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: at });
    const inDigitsFrom = (zero: number) =>
      code.replaceAll(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)));
    expect(totp.stepOf(secret, inDigitsFrom(0xff10), at)).to.equal(Math.floor(at / STEP));
    for (const other of [inDigitsFrom(0x660), code.replace(/.$/, 'é'), code.replace(/.$/, '\u{1F426}')])
      expect(totp.stepOf(secret, other, at), other).to.equal(undefined);
    expect(recoveryHash('ａｂｃｄ－ｅｆｇｈ—2345–6722')).to.deep.equal(recoveryHash('abcdefgh23456722'));
  });

  it('come with a link that apps read, and with recovery codes that none can guess', () => {
    const { secret, uri } = totp.create('ada.lovelace', 'Tidings feed.example');
    expect(secret).to.match(/^[A-Z2-7]{32}$/);
    const link = new URL(uri);
    expect([link.protocol, link.host, decodeURIComponent(link.pathname)]).to.deep.equal([
      'otpauth:',
      'totp',
      '/Tidings feed.example:ada.lovelace',
    ]);
    expect(Object.fromEntries(link.searchParams)).to.deep.equal({
      issuer: 'Tidings feed.example',
      secret,
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    });
    const codes = newRecoveryCodes();
    expect(new Set(codes).size).to.equal(10);
    for (const code of codes) expect(code).to.match(/^([a-z2-7]{4}-){3}[a-z2-7]{4}$/);
    expect(recoveryHash(' ABCD-efgh 2345-6722')).to.deep.equal(recoveryHash('abcdefgh23456722'));
  });
});

describe('a second factor', () => {
  const log = logLines();
  let world: World;
  before(async () => {
    world = await createWorld({}, undefined, log.read);
  });
  after(() => world.close());

  const codeOf = (secret: string, steps = 0) =>
    TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: Date.now() + steps * STEP });
  const begin = async (user: TestUser) =>
    (await user.post<TotpSetup>(PATH, { password: PASSWORD })).body.secret;
  const confirm = (user: TestUser, code: string) =>
    user.post<{ recovery_codes: string[] }>(`${PATH}/confirm`, { code });
  const logIn = ({ email }: TestUser, otp?: string, password = PASSWORD): Promise<Answer<object>> =>
    world.anonymous.post('/login', { email, password, ...(otp === undefined ? {} : { otp }) });
  const stateOf = async (user: TestUser) => (await user.get<SecondFactorView>(PATH)).body;
  /** Lets codes of this time be used again, as after half a minute. */
  const forgetUsed = (user: TestUser) =>
    execute(world, 'update totp_secrets set last_step = 0 where user_id = $1', [user.id]);

  async function withFactor(): Promise<{ user: TestUser; secret: string; codes: string[] }> {
    const user = await world.user();
    const secret = await begin(user);
    const { status, body } = await confirm(user, codeOf(secret));
    expect(status).to.equal(200);
    await forgetUsed(user);
    return { user, secret, codes: body.recovery_codes };
  }

  it('is asked for once a right code has confirmed it, and not before', async () => {
    const user = await world.user();
    const answer = await user.post<TotpSetup>(PATH, { password: PASSWORD });
    expect(answer.status).to.equal(201);
    expect(answer.headers.get('cache-control')).to.include('no-store');
    expect(decodeURIComponent(answer.body.uri)).to.include(`Tidings 127.0.0.1:${user.username}`);
    expect((await logIn(user)).status).to.equal(200);
    expectProblem(await confirm(user, '000000'), 403, 'otp_invalid');
    expect(await stateOf(user)).to.deep.equal({ on: false, recovery_codes: 0 });
    // Begun again, the first secret is good for nothing.
    const secret = await begin(user);
    if (codeOf(secret) !== codeOf(answer.body.secret))
      expectProblem(await confirm(user, codeOf(answer.body.secret)), 403, 'otp_invalid');
    const { status, body } = await confirm(user, codeOf(secret));
    expect(status).to.equal(200);
    expect(body.recovery_codes).to.have.lengthOf(10);
    expect(await stateOf(user)).to.deep.equal({ on: true, recovery_codes: 10 });
    expectProblem(await logIn(user), 403, 'otp_required');
    expectProblem(await user.post<object>(PATH, { password: PASSWORD }), 409, 'conflict');
    expectProblem(await confirm(user, codeOf(secret, 1)), 404, 'not_found');
    // Sessions from before go on.
    expect((await user.get('/users/me')).status).to.equal(200);
  });

  it('lets in with each code once, also of two logins at the same time, and with no older one', async () => {
    const { user, secret } = await withFactor();
    const code = codeOf(secret);
    const answers = await Promise.all([logIn(user, code), logIn(user, code), logIn(user, code)]);
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 403, 403]);
    for (const answer of answers.filter(({ status }) => status === 403))
      expectProblem(answer, 403, 'otp_invalid');
    expectProblem(await logIn(user, codeOf(secret, -1)), 403, 'otp_invalid');
    expect((await logIn(user, codeOf(secret, 1))).status).to.equal(200);
  });

  it('lets in with a code however it is typed', async () => {
    const { user, secret } = await withFactor();
    const wide = codeOf(secret).replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)));
    expect((await logIn(user, wide)).status).to.equal(200);
    expect((await logIn(user, codeOf(secret, 1).replace(/^.../, '$&-'))).status).to.equal(200);
  });

  it('does not let the code in that confirmed it', async () => {
    const user = await world.user();
    const secret = await begin(user);
    const code = codeOf(secret);
    expect((await confirm(user, code)).status).to.equal(200);
    expectProblem(await logIn(user, code), 403, 'otp_invalid');
  });

  it('is taken from the form of OAuth2 as well', async () => {
    const { user, secret } = await withFactor();
    const form = (fields: Record<string, string>) =>
      world.anonymous.request<object>('POST', '/login', new URLSearchParams({ ...fields }).toString(), {
        'content-type': 'application/x-www-form-urlencoded',
      });
    const login = { username: user.email, password: PASSWORD };
    expectProblem(await form({ ...login, otp: '' }), 403, 'otp_required');
    expect((await form({ ...login, otp: codeOf(secret) })).status).to.equal(200);
  });

  it('tells nobody without the password that there is one', async () => {
    const { user, secret } = await withFactor();
    const plain = await world.user();
    const said = async (answer: Promise<Answer<object>>) => {
      const { status, body } = await answer;
      return [status, { ...body, request_id: '' }];
    };
    const expected = await said(logIn(plain, undefined, 'wrong'));
    expect(expected[0]).to.equal(403);
    for (const otp of [undefined, '000000', codeOf(secret)])
      expect(await said(logIn(user, otp, 'wrong'))).to.deep.equal(expected);
    // The code is not used up by it.
    expect((await logIn(user, codeOf(secret))).status).to.equal(200);
  });

  it('lets in with a recovery code in place of the app, each once', async () => {
    const { user, codes } = await withFactor();
    const [first = '', second = ''] = codes;
    const answers = await Promise.all([logIn(user, first), logIn(user, first)]);
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 403]);
    expect((await logIn(user, second.toUpperCase().replaceAll('-', ' '))).status).to.equal(200);
    expectProblem(await logIn(user, second), 403, 'otp_invalid');
    expect(await stateOf(user)).to.deep.equal({ on: true, recovery_codes: 8 });
    const other = await withFactor();
    expectProblem(await logIn(other.user, codes[2]), 403, 'otp_invalid');
  });

  it('ends with the password, and takes its recovery codes along', async () => {
    const { user } = await withFactor();
    expectProblem(await user.delete<object>(PATH, { password: 'wrong' }), 403, 'invalid_credentials');
    expectProblem(await user.post<object>(PATH, { password: 'wrong' }), 403, 'invalid_credentials');
    expect((await user.delete(PATH, { password: PASSWORD })).status).to.equal(204);
    expect(await stateOf(user)).to.deep.equal({ on: false, recovery_codes: 0 });
    expect((await logIn(user)).status).to.equal(200);
    expectProblem(await user.delete<object>(PATH, { password: PASSWORD }), 404, 'not_found');
    expect(faultsOf(await user.delete(PATH, {}))).to.deep.equal(['body.password']);
  });

  it('stays when the password is reset or changed, and goes with the account', async () => {
    const { user, secret } = await withFactor();
    const NEW = 'another battery staple';
    const token = await world.ctx.db.transaction(async (tx) => {
      const { link } = await createResetLink(tx, user.username, '');
      return link.replace(/^.*=/, '');
    });
    expect((await world.anonymous.post('/password/reset', { token, password: NEW })).status).to.equal(204);
    expectProblem(await logIn(user, undefined, NEW), 403, 'otp_required');
    expect((await logIn(user, codeOf(secret), NEW)).status).to.equal(200);
    const { user: leaver } = await withFactor();
    expect((await leaver.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    for (const table of ['totp_secrets', 'recovery_codes'])
      expect(await numberOf(world, `select count(*) from ${table} where user_id = $1`, [leaver.id])).to.equal(
        0,
      );
  });

  it('is ended by the operator, which is noted', async () => {
    const { user } = await withFactor();
    const { config, db } = world.ctx;
    const run = (...args: string[]) => totpOff.read(args)?.({ config, db });
    expect(await run(user.username.toUpperCase())).to.include('ask for no code any more');
    expect((await logIn(user)).status).to.equal(200);
    expect(await run(user.username)).to.include('ask for no code.');
    const noted = await rows(world, 'select action, actor_id from audit_log where user_id = $1', [user.id]);
    expect(noted).to.deep.equal([{ action: 'totp_off', actor_id: null }]);
    expect(await run('nobody')!.catch((error: unknown) => error)).to.include({ code: 'not_found' });
    expect([run(), run('a', 'b')]).to.deep.equal([undefined, undefined]);
  });

  it('leaves no secret and no code in the database or the log', async () => {
    const { user, secret, codes } = await withFactor();
    const code = codeOf(secret);
    expect((await logIn(user, code)).status).to.equal(200);
    const [stored] = await rows<{ secret: Buffer }>(
      world,
      'select secret from totp_secrets where user_id = $1',
      [user.id],
    );
    expect(stored!.secret.toString('latin1')).not.to.include(secret);
    expect(stored!.secret.includes(Buffer.from(Secret.fromBase32(secret).bytes))).to.equal(false);
    const hashes = await rows<{ hash: Buffer }>(world, 'select hash from recovery_codes where user_id = $1', [
      user.id,
    ]);
    expect(hashes.map(({ hash }) => hash.length)).to.deep.equal(Array<number>(10).fill(32));
    const lines = JSON.stringify(log.all());
    for (const text of [secret, `"${code}"`, ...codes]) expect(lines).not.to.include(text);
  });
});

describe('a second factor where guesses are limited', () => {
  const ALLOWED = 10;
  const mailServer = new TestMailServer();
  const log = logLines();
  let world: World;
  before(async () => {
    await mailServer.start();
    world = await createWorld(
      { RATE_LIMITS: 'on', TRUST_PROXY: 'loopback', LOGIN_FAILURES: '30', ...mailServer.settings },
      undefined,
      log.read,
    );
  });
  after(async () => {
    await world.close();
    await mailServer.stop();
  });

  /** Somebody whose logins ask for a code. Each has an address of their own to guess from. */
  async function withFactor() {
    const user = await world.user();
    const { secret } = (await user.post<TotpSetup>(PATH, { password: PASSWORD })).body;
    const code = (at = Date.now()) => TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: at });
    const confirmed = await user.post<{ recovery_codes: string[] }>(`${PATH}/confirm`, { code: code() });
    expect(confirmed.status).to.equal(200);
    const wrong = () => (code() === '000000' ? '000001' : '000000');
    const logIn = (otp: string, address: string, password = PASSWORD) =>
      world.anonymous.post<object>(
        '/login',
        { email: user.email, password, otp },
        { 'x-forwarded-for': address },
      );
    /** Wrong codes from one address after the other, until no more are looked at. */
    const useUp = async () => {
      for (let at = 0; at < ALLOWED; at += 1)
        expectProblem(await logIn(wrong(), `198.51.100.${at}`), 403, 'otp_invalid');
      await execute(world, 'update totp_secrets set last_step = 0');
    };
    return { user, code, logIn, useUp, recovery: confirmed.body.recovery_codes };
  }

  it('looks at ten wrong codes a day, from whatever addresses, and tells the owner', async () => {
    const { user, code, logIn, useUp } = await withFactor();
    await useUp();
    const answer = await logIn(code(), '203.0.113.1');
    expectProblem(answer, 429, 'too_many_requests');
    expect(Number(answer.headers.get('retry-after'))).to.be.within(80_000, 86_400);
    const of = async (subject: string) => {
      const isIt = ({ to, headers }: ReceivedMail) => to.includes(user.email) && headers.subject === subject;
      await until(`the mail "${subject}"`, () => mailServer.received.some(isIt));
      return mailServer.received.filter(isIt);
    };
    const [told, ...again] = await of('Wrong codes for your account');
    expect(again).to.be.empty;
    expect(told!.text).to.include(`Hello ${user.username},`).and.include('for a day');
    // A password alone is judged as before: whether it is right, and that a code is needed.
    const without = { email: user.email, password: PASSWORD };
    expectProblem(await world.anonymous.post<object>('/login', without), 403, 'otp_required');
    expectProblem(await logIn(code(), '203.0.113.1', 'wrong'), 403, 'invalid_credentials');
    const metrics = (await world.anonymous.get<string>('/metrics')).body;
    expect(metrics).to.match(/^tidings_rate_limited_total\{limit="code"\} 1$/m);
  });

  it('lets an owner in whose codes others have used up: by a recovery code, a new password and a known address', async () => {
    const { user, code, logIn, useUp, recovery } = await withFactor();
    const home = '203.0.113.2';
    expect((await logIn(recovery[0]!, home)).status).to.equal(200);
    await useUp();
    expectProblem(await logIn(code(), '203.0.113.3'), 429);
    expect((await logIn(code(), home)).status).to.equal(200);
    expect((await logIn(recovery[1]!, '203.0.113.3')).status).to.equal(200);
    const NEW = 'another battery staple';
    const { link } = await world.ctx.db.transaction((tx) => createResetLink(tx, user.username, ''));
    const token = link.replace(/^.*=/, '');
    expect((await world.anonymous.post('/password/reset', { token, password: NEW })).status).to.equal(204);
    await execute(world, 'update totp_secrets set last_step = 0');
    expect((await logIn(code(), '203.0.113.4', NEW)).status).to.equal(200);
  });

  it('costs nothing of it while the secret of the app cannot be read, which is logged', async () => {
    const { user, code, logIn, recovery } = await withFactor();
    await execute(world, 'update totp_secrets set last_step = 0');
    const [kept] = await rows<{ secret: Buffer }>(
      world,
      'select secret from totp_secrets where user_id = $1',
      [user.id],
    );
    const write = (secret: Buffer) =>
      execute(world, 'update totp_secrets set secret = $2 where user_id = $1', [user.id, secret]);
    await write(new Seal(['a secret that the service no longer has'], 'totp').close('A'.repeat(32)));
    for (let at = 0; at <= ALLOWED; at += 1)
      expectProblem(await logIn(code(), `198.51.100.${at}`), 503, 'unavailable');
    expect((await logIn(recovery[0]!, '198.51.100.1')).status).to.equal(200);
    const lines = log.all().filter(({ msg }) => msg.startsWith('the secret of an authenticator app'));
    expect(lines.map(({ user_id }) => user_id)).to.deep.equal(Array(ALLOWED + 1).fill(user.id));
    await write(kept!.secret);
    expect((await logIn(code(), '198.51.100.99')).status).to.equal(200);
  });

  it('costs nothing of it with right codes, nor with wrong recovery codes', async () => {
    const { code, logIn } = await withFactor();
    for (let at = 0; at < ALLOWED + 2; at += 1) {
      await execute(world, 'update totp_secrets set last_step = 0');
      expect((await logIn(code(), `203.0.113.${10 + at}`)).status).to.equal(200);
      expectProblem(await logIn('abcd-efgh-2345-6722', `198.51.100.${10 + at}`), 403, 'otp_invalid');
    }
    await execute(world, 'update totp_secrets set last_step = 0');
    expect((await logIn(code(), '198.51.100.50')).status).to.equal(200);
  });

  it('tells the owner by mail when it is turned on and off, by the operator too, and of each recovery code', async () => {
    const { user, logIn, recovery } = await withFactor();
    const told = async (subject: string) => {
      const mail = await nextOf(user, subject);
      expect(mail.text).to.include(`Hello ${user.username},`).and.include('https://feed.example/social');
      return mail.text;
    };
    await told('Your logins ask for a code now');
    for (const [at, left] of [9, 8].entries()) {
      expect((await logIn(recovery[at]!, '203.0.113.5')).status).to.equal(200);
      const text = await told('A recovery code was used');
      expect(text).to.include(`${left} are left`);
      for (const code of recovery) expect(text).not.to.include(code);
    }
    expect((await user.delete(PATH, { password: PASSWORD })).status).to.equal(204);
    await told('Your logins ask for no code any more');
    const other = await withFactor();
    const { config, db } = world.ctx;
    expect(await totpOff.read([other.user.username])?.({ config, db })).to.include('no code any more');
    expect((await nextOf(other.user, 'Your logins ask for no code any more')).text).to.include('operator');
    expect(
      await numberOf(world, `select count(*) from mails where kind = 'second_factor_off' and user_id = $1`, [
        other.user.id,
      ]),
    ).to.equal(1);
  });

  it('sends its mails with what they tell: none without the change, no change without the mail', async () => {
    const { user, logIn, recovery } = await withFactor();
    await execute(world, 'alter table mails add constraint no_mail check (false) not valid');
    try {
      expect((await logIn(recovery[0]!, '203.0.113.6')).status).not.to.equal(200);
      expect((await user.delete(PATH, { password: PASSWORD })).status).not.to.equal(204);
    } finally {
      await execute(world, 'alter table mails drop constraint no_mail');
    }
    expect((await user.get<SecondFactorView>(PATH)).body).to.deep.equal({ on: true, recovery_codes: 10 });
    expect((await logIn(recovery[0]!, '203.0.113.6')).status).to.equal(200);
  });

  /** The next mail to somebody with this subject. */
  async function nextOf({ email }: TestUser, subject: string): Promise<ReceivedMail> {
    for (;;) {
      const mail = await mailServer.next(email);
      if (mail.headers.subject === subject) return mail;
    }
  }
});
