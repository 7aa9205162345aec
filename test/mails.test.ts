import { expect } from 'chai';
import type { NewApiKey } from '../server/auth/keys.ts';
import { readConfig } from '../server/config.ts';
import { examine } from '../server/doctor/examine.ts';
import { Seal } from '../server/mail/seal.ts';
import { smtpTransport } from '../server/mail/transport.ts';
import { MailWorker } from '../server/mail/worker.ts';
import { mailPrunes } from '../server/mail/prune.ts';
import { logLines } from './support/log-lines.ts';
import { TestMailServer } from './support/mail-server.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const SECRET = 'a secret that seals the mails that wait';
const FROM = 'news@feed.example';

describe('mails', () => {
  const server = new TestMailServer();
  const log = logLines();
  let world: World;
  let database: TestDatabase;
  /** A node on the database that all of them have one after the other. */
  const start = (more: NodeJS.ProcessEnv = {}) =>
    createWorld(
      { JWT_SECRET: SECRET, ...server.settings, MAIL_FROM: `Tidings <${FROM}>`, ...more },
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
  afterEach(() => {
    server.trouble = undefined;
    server.received.length = 0;
  });

  /** Somebody who has had the mail of their sign-up. */
  const person = async (name?: string) => {
    const user = await world.user(name);
    await server.next(user.email);
    await until('the mail to be done with', async () => (await waiting()) === 0);
    return user;
  };
  /** Has a mail sent to somebody: their password was changed. */
  const mailTo = async ({ token }: TestUser) => {
    const answer = await world.anonymous.patch(
      '/users/me',
      { password: PASSWORD, current_password: PASSWORD },
      { authorization: `Bearer ${token}` },
    );
    expect(answer.status).to.equal(200);
  };
  const waiting = () => numberOf(world, 'select count(*) from mails where content is not null');
  /** What the doctor says of mails. */
  const examined = async () => {
    const looked = await examine(readConfig({ DATABASE_URL: database.url }), database.url, { schema: false });
    const about = looked.filter(({ what }) => what === 'mail');
    return {
      findings: about.flatMap(({ findings }) => findings.map(({ what }) => what)),
      hint: about.find(({ hint }) => hint !== undefined)?.hint,
    };
  };
  const of = ({ id }: TestUser) =>
    numberOf(world, `select count(*) from mails where user_id = $1 and kind = 'password_changed'`, [id]);
  const tried = (attempts: number) =>
    until(`${attempts} tries`, async () => {
      return (await numberOf(world, 'select max(attempts) from mails where content is not null')) >= attempts;
    });
  /** Not one that is just being sent: that is left to its node for a minute. */
  const IS_IDLE = `content is not null and next_attempt_at < now() + interval '45 seconds'`;
  const tryAgain = () => execute(world, `update mails set next_attempt_at = now() where ${IS_IDLE}`);

  it('tell an owner of a new password, and are gone from the database when they are sent', async () => {
    const ada = await person('ada');
    await mailTo(ada);
    const { from, to, headers, text } = await server.next(ada.email);
    expect([from, to]).to.deep.equal([FROM, [ada.email]]);
    expect(headers).to.include({
      from: `Tidings <${FROM}>`,
      to: ada.email,
      subject: 'Your password was changed',
      'auto-submitted': 'auto-generated',
    });
    expect(headers['message-id']).to.match(/^<[0-9a-f-]{36}@feed\.example>$/);
    expect(headers['content-type']).to.match(/^text\/plain; charset=utf-8/);
    expect(text).to.include('Hello ada,').and.include('https://feed.example/social');
    await until('the mail to be done with', async () => (await waiting()) === 0);
  });

  it('tell an owner of an API key that was made', async () => {
    const user = await person('with-a-bot');
    const body = { name: 'a bot', scopes: ['read'], password: PASSWORD };
    const { status, body: made } = await user.post<NewApiKey>('/users/me/keys', body);
    expect(status).to.equal(201);
    const { headers, text } = await server.next(user.email);
    expect(headers.subject).to.equal('Your account has a new API key');
    expect(text).to.match(/^Hello with-a-bot,\n\nan API key was made for your account at https:/);
    expect(text).not.to.include(made.key);
    await until('the mail to be done with', async () => (await waiting()) === 0);
  });

  it('tell of one thing three times an hour, the last time with the word that it is, and of others nevertheless', async () => {
    const user = await person();
    await execute(world, 'update users set email_verified_at = now() where id = $1', [user.id]);
    const texts: string[] = [];
    for (let made = 1; made <= 4; made += 1) {
      const body = { name: 'a bot', scopes: ['read'], password: PASSWORD };
      expect((await user.post('/users/me/keys', body)).status).to.equal(201);
      if (made <= 3) texts.push((await server.next(user.email)).text);
    }
    expect(texts.map((text) => text.includes('the third mail of this kind'))).to.deep.equal([
      false,
      false,
      true,
    ]);
    await mailTo(user);
    expect((await server.next(user.email)).headers.subject).to.equal('Your password was changed');
    expect(
      await numberOf(world, `select count(*) from mails where user_id = $1 and kind = 'key_created'`, [
        user.id,
      ]),
    ).to.equal(3);
    await until('the mail to be done with', async () => (await waiting()) === 0);
  });

  it('with a link go before those that only tell, which have more time', async () => {
    const user = await person();
    await server.stop();
    await mailTo(user);
    await world.anonymous.post('/password/forgot', { email: user.email });
    await until('both to be put off', async () => {
      await execute(world, `update mails set next_attempt_at = now() + interval '1 hour' where ${IS_IDLE}`);
      const off = `content is not null and next_attempt_at > now() + interval '30 minutes'`;
      return (await numberOf(world, `select count(*) from mails where ${off}`)) === 2;
    });
    await server.start();
    await execute(world, 'update mails set next_attempt_at = created_at where content is not null');
    await until('both to be sent', () => server.received.length === 2);
    expect(server.received.map(({ headers }) => headers.subject)).to.deep.equal([
      'Choose a new password',
      'Your password was changed',
    ]);
    await until('the mail to be done with', async () => (await waiting()) === 0);
  });

  it('wait for a mail server that is down, and are sent once by the node after a restart when it is up', async () => {
    const bob = await person('bob');
    await server.stop();
    await mailTo(bob);
    await tried(1);
    expect((await world.anonymous.get('/readyz')).status).to.equal(200);
    const [kept] = await rows<{ content: Buffer }>(
      world,
      'select content from mails where content is not null',
    );
    expect(kept!.content.toString('latin1')).to.not.include(bob.email).and.not.include('bob');
    await world.close();
    await server.start();
    world = await start();
    await tryAgain();
    const { headers } = await server.next(bob.email);
    expect(headers).to.include({ to: bob.email });
    await until('the mail to be done with', async () => (await waiting()) === 0);
    await tryAgain();
    expect(server.received).to.deep.equal([]);
  });

  it('are sent again with the same Message-ID when it is not known whether they arrived', async () => {
    const eve = await person();
    server.trouble = 'cut';
    await mailTo(eve);
    const first = await server.next(eve.email);
    await tried(1);
    server.trouble = undefined;
    await until('the failure to be noted', async () => {
      await tryAgain();
      return server.received.length > 0;
    });
    const second = await server.next(eve.email);
    for (const name of ['message-id', 'date', 'subject'])
      expect(second.headers[name], name).to.equal(first.headers[name]);
  });

  it('are each sent by one of many nodes', async () => {
    const people = await Promise.all(Array.from({ length: 8 }, () => person()));
    server.trouble = { refuse: 451 };
    for (const one of people) await mailTo(one);
    await tried(1);
    const { db, log: logger, metrics } = world.ctx;
    const workers = Array.from(
      { length: 4 },
      () =>
        new MailWorker({
          db,
          seal: new Seal([SECRET], 'mails'),
          transport: smtpTransport(
            { host: '127.0.0.1', port: Number(new URL(server.url).port), secure: false },
            { name: '', address: FROM },
          ),
          mayWrite: () => true,
          log: logger,
          metrics,
        }),
    );
    server.trouble = undefined;
    await tryAgain();
    for (const worker of workers) {
      worker.start();
      worker.wake();
    }
    await until('all mails to be sent', async () => (await waiting()) === 0);
    await Promise.all(workers.map((worker) => worker.stop()));
    expect(server.received.map(({ to }) => to[0])).to.have.members(people.map(({ email }) => email));
  });

  it('are given up when the mail server refuses them for good, and the log has neither address nor text', async () => {
    const people = [await person(), await person()];
    server.trouble = { refuse: 550 };
    for (const one of people) await mailTo(one);
    await until('the mails to be given up', async () => (await waiting()) === 0);
    const refused = log.all().filter(({ msg }) => msg === 'the mail server has refused a mail');
    expect(refused.map(({ response_code }) => response_code)).to.deep.equal([550, 550]);
    const lines = JSON.stringify(log.all());
    for (const { email } of people) expect(lines).to.not.include(email);
    expect(lines).to.not.include('your account at');
    // Counted a moment after they have been given up.
    await until('both to be counted', async () =>
      (await world.anonymous.get<string>('/metrics')).body.includes(
        'tidings_mails_total{outcome="refused"} 2',
      ),
    );
    expect(await examined()).to.deep.equal({
      findings: [],
      hint: 'Given up lately: 2 were refused by the mail server.',
    });
    await execute(world, 'delete from mails');
  });

  it('wait for the secret that they were sealed with until their time is up', async () => {
    const ada = await person();
    const putOff = (attempts: number) =>
      until(`it to be put off after ${attempts} tries`, async () => {
        const sql = `select count(*) from mails where ${IS_IDLE} and attempts >= $1 and next_attempt_at > now()`;
        return (await numberOf(world, sql, [attempts])) === 1;
      });
    const seal = (content: Buffer) =>
      execute(world, `update mails set content = $1, next_attempt_at = now() where ${IS_IDLE}`, [content]);
    server.trouble = { refuse: 451 };
    await mailTo(ada);
    await putOff(1);
    server.trouble = undefined;
    const [row] = await rows<{ content: Buffer }>(world, `select content from mails where ${IS_IDLE}`);
    const [own, other] = [new Seal([SECRET], 'mails'), new Seal(['x'.repeat(64)], 'mails')];
    await seal(other.close(own.open(row!.content)!));
    await putOff(2);
    // As by a node that has the secret.
    await seal(row!.content);
    await server.next(ada.email);
    await until('the mail to be done with', async () => (await waiting()) === 0);
    await execute(world, 'delete from mails');
  });

  it('that wait too long are told of by the doctor, with what to look at', async () => {
    const ada = await person();
    server.trouble = { refuse: 451 };
    await mailTo(ada);
    await tried(1);
    const set = (columns: string) => execute(world, `update mails set ${columns} where content is not null`);
    expect(await examined()).to.deep.equal({ findings: [], hint: undefined });
    await set(`attempts = 5, next_attempt_at = now() + interval '10 minutes'`);
    const [failing, ...others] = (await examined()).findings;
    expect(others).to.be.empty;
    expect(failing).to.match(
      /^The mail server takes no mail: 1 were tried 5 times or more, .+ The log says why\.$/,
    );
    // As when no node has a mail server: the one here has.
    await world.close();
    world = await start({ SMTP_URL: '' });
    await set(`attempts = 1, next_attempt_at = now() - interval '3 minutes'`);
    expect((await examined()).findings[0]).to.match(/^No node sends mails: 1 wait, the oldest for \d+ \w+\./);
    await set('expires_at = now()');
    await world.close();
    world = await start();
    expect(await examined()).to.deep.equal({
      findings: [],
      hint: 'Given up lately: the time of 1 was up before they could be sent.',
    });
    await execute(world, 'delete from mails');
  });

  it('are deleted with the account, and when their time is up', async () => {
    const [gone, late] = [await person(), await person()];
    server.trouble = { refuse: 451 };
    await mailTo(gone);
    await mailTo(late);
    expect([await of(gone), await of(late)]).to.deep.equal([1, 1]);
    expect((await gone.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    expect([await of(gone), await of(late)]).to.deep.equal([0, 1]);
    const prune = async () => {
      for (const one of mailPrunes) await one.run(world.pool, 100);
      return of(late);
    };
    expect(await prune()).to.equal(1);
    await execute(
      world,
      `update mails set created_at = now() - interval '1 day', expires_at = now() where user_id = $1`,
      [late.id],
    );
    expect(await prune()).to.equal(0);
    server.trouble = undefined;
  });

  it('hold up no node that stops: not by a mail server that says nothing', async () => {
    const ada = await person();
    server.trouble = 'silent';
    await mailTo(ada);
    await tried(1);
    const watch = new Stopwatch();
    await world.close();
    expect(watch.ran).to.be.lessThan(6000);
    world = await start();
  });

  it('are printed in development without a mail server, and written nowhere in production', async () => {
    for (const [env, printed] of [
      [{ NODE_ENV: 'development' }, true],
      [{ NODE_ENV: 'production' }, false],
    ] as const) {
      await world.close();
      world = await start({ ...env, SMTP_URL: '', JWT_SECRET: SECRET });
      let out = '';
      process.stdout.write = (text: string | Uint8Array) => {
        out += String(text);
        return true;
      };
      try {
        const ada = await world.user();
        await mailTo(ada);
        if (printed) await until('the mail to be printed', () => out.includes(`A mail to ${ada.email}`));
        else expect(await of(ada)).to.equal(0);
        expect(out.includes(ada.email)).to.equal(printed);
        expect(JSON.stringify(log.all())).to.not.include(ada.email);
      } finally {
        // The stream's own one is its prototype's.
        Reflect.deleteProperty(process.stdout, 'write');
      }
    }
  });
});
