import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { User } from '../models/index.ts';
import { packageRoot } from '../server/paths.ts';
import { readTask } from '../server/invite/arguments.ts';
import { createInvitation } from '../server/users/invitations.ts';
import { createEmptyDatabase } from './support/postgres.ts';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { compiledProgram } from './support/compiled-service.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { Reader } from './support/reader.ts';
import { execute, numberOf } from './support/tables.ts';
import { createWorld, logIn, PASSWORD, type World } from './support/world.ts';

const HOUR = 3_600_000;
const run = promisify(execFile);

/** An invitation, as `npm run invite` makes it. */
const invite = (world: World, uses: number, lifetime: number) =>
  world.ctx.db.share('service').run(() => createInvitation(world.ctx.db.sequelize, uses, lifetime));

describe('signing up by invitation', () => {
  let world: World;
  let browser: Browser;
  before(async () => {
    await buildPage();
    [world, browser] = await Promise.all([createWorld({ SIGN_UP: 'invite' }), launchBrowser()]);
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });

  let people = 0;
  const signUp = (more: object) =>
    world.anonymous.post<{ id: number; email: string; username: string }>('/users', {
      email: `person${(people += 1)}@example.org`,
      password: PASSWORD,
      ...more,
    });
  const accounts = () => numberOf(world, 'select count(*) from users');
  const usesLeft = (id: number) => numberOf(world, 'select uses_left from invitations where id = $1', [id]);

  it('is what GET / tells', async () => {
    expect((await world.anonymous.get('/')).body).to.include({ sign_up: 'invite' });
  });

  it('refuses anyone who has no good code with one problem, and tells nothing of addresses and names', async () => {
    const { code } = await invite(world, 2, HOUR);
    const first = await signUp({ username: 'first', invitation: code });
    expect(first.status).to.equal(201);
    const expired = await invite(world, 1, HOUR);
    await execute(world, `update invitations set expires_at = now() where id = ${expired.id}`);
    const before = await accounts();
    for (const invitation of [undefined, 'nonsense', code.slice(1), expired.code, '%', 'x'.repeat(100)]) {
      for (const more of [{}, { username: 'first' }, { email: first.body.email }]) {
        const answer = await signUp({ ...more, ...(invitation === undefined ? {} : { invitation }) });
        const { errors } = expectProblem(answer, 403, 'invitation_required');
        expect(errors?.map(({ loc }) => loc)).to.deep.equal([['body', 'invitation']]);
      }
    }
    expect(await accounts()).to.equal(before);
    expect(faultsOf(await signUp({ invitation: 'x'.repeat(101) }))).to.deep.equal(['body.invitation']);
    expect(faultsOf(await signUp({ invitation: 7 }))).to.deep.equal(['body.invitation']);
  });

  it('takes a code however it is typed, and keeps no code', async () => {
    const { code } = await invite(world, 1, HOUR);
    expect(code.replaceAll('-', '')).to.match(/^[0-9a-f]{32}$/);
    const typed = ` ${code.toUpperCase().replaceAll('-', ' ')} `;
    expect((await signUp({ invitation: typed })).status).to.equal(201);
    expect(
      await numberOf(
        world,
        `select count(*) from invitations where position(convert_to($1, 'UTF8') in hash) > 0`,
        [code],
      ),
    ).to.equal(0);
  });

  it('makes as many accounts as a code has uses, however many come at once', async () => {
    for (const uses of [1, 3]) {
      const { code, id } = await invite(world, uses, HOUR);
      const before = await accounts();
      const answers = await Promise.all(Array.from({ length: 12 }, () => signUp({ invitation: code })));
      const made = answers.filter(({ status }) => status === 201);
      for (const answer of answers)
        if (answer.status !== 201) expectProblem(answer, 403, 'invitation_required');
      expect(made).to.have.lengthOf(uses);
      expect(await accounts()).to.equal(before + uses);
      expect(await usesLeft(id)).to.equal(0);
    }
  });

  it('takes no use for an account that is not made, and gives none back for one that is deleted', async () => {
    const { code, id } = await invite(world, 2, HOUR);
    const made = await signUp({ invitation: code });
    expect(await usesLeft(id)).to.equal(1);
    expectProblem(await signUp({ email: made.body.email, invitation: code }), 409, 'conflict');
    expect(await usesLeft(id)).to.equal(1);
    const user = await logIn(world.url, made.body);
    expect((await user.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
    expect(await usesLeft(id)).to.equal(1);
    expect((await signUp({ invitation: code })).status).to.equal(201);
    expect(await usesLeft(id)).to.equal(0);
  });

  it('is set up by an operator: makes, lists and ends codes, and refuses what it does not understand', async () => {
    const env = {
      PATH: process.env.PATH,
      DATABASE_URL: world.databaseUrl,
      SIGN_UP: 'invite',
      PUBLIC_URL: 'https://feed.example/social',
    };
    const tool = (...args: string[]) =>
      run(process.execPath, [compiledProgram('server/invite/main.ts'), ...args], {
        cwd: packageRoot,
        env,
      });
    const { stdout } = await tool('--uses', '2', '--expires', '30d');
    const [code = '', link, said] = stdout.split('\n');
    expect(link).to.equal(`https://feed.example/social/#invitation=${code}`);
    const [, id, until = ''] = /^Invitation (\d+): 2 accounts, until (\S+)\./.exec(said ?? '') ?? [];
    expect(new Date(until).getTime() - Date.now()).to.be.within(29.9 * 24 * HOUR, 30 * 24 * HOUR);
    expect((await signUp({ invitation: code })).status).to.equal(201);
    expect((await tool('--list')).stdout).to.include(`${id}: 1 left, until ${until}\n`);
    expect((await tool('--revoke', id ?? '')).stdout).to.include('has ended');
    expectProblem(await signUp({ invitation: code }), 403, 'invitation_required');
    const empty = await createEmptyDatabase();
    const unmigrated: unknown = await run(process.execPath, [compiledProgram('server/invite/main.ts')], {
      cwd: packageRoot,
      env: { ...env, DATABASE_URL: empty.url },
    }).catch((error: unknown) => error);
    await empty.drop();
    expect(unmigrated)
      .to.include({ code: 1 })
      .and.have.property('stderr')
      .that.matches(
        /^The database cannot be used: relation "invitations" does not exist\. .*npm run db:migrate/,
      );
    const unread = spawn(process.execPath, [compiledProgram('server/invite/main.ts'), '--list'], {
      cwd: packageRoot,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    unread.stdout.destroy();
    expect(await once(unread, 'exit'), 'with a reader that has seen enough').to.deep.equal([0, null]);
    const refused: unknown = await tool('--uses', '0').catch((error: unknown) => error);
    expect(refused)
      .to.include({ code: 2 })
      .and.have.property('stderr')
      .that.matches(/^--uses must be .*\n\nUsage: npm run invite/);
  });

  it('understands the arguments of an operator, and bounds uses and lifetime', () => {
    const day = 24 * HOUR;
    expect(readTask([])).to.deep.equal({ make: { uses: 1, lifetime: 7 * day } });
    expect(readTask(['--uses', '10000', '--expires', '365d'])).to.deep.equal({
      make: { uses: 10_000, lifetime: 365 * day },
    });
    expect(readTask(['--list'])).to.deep.equal({ list: true });
    expect(readTask(['--revoke', '12'])).to.deep.equal({ revoke: 12 });
    for (const args of [
      '--uses 0',
      '--uses 10001',
      '--uses 1.5',
      '--uses -1',
      '--uses',
      '--expires 366d',
      '--expires 59s',
      '--expires soon',
      '--expires 7',
      '--list --uses 1',
      '--list --revoke 1',
      '--revoke 0',
      '--revoke x',
      '--unknown',
      'now',
    ])
      expect(() => readTask(args.split(' ')), args).to.throw();
  });

  it('has a field for the code on the page, filled in from the address', async () => {
    const { code } = await invite(world, 1, HOUR);
    const reader = await Reader.open(browser, world.url, 'guest');
    const { page } = reader;
    await page.getByLabel('Invitation').waitFor();
    await page.getByLabel('E-mail').fill(reader.email);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.locator('.at-fault', { has: page.getByLabel('Invitation') }).waitFor();
    reader.expectClean({ networkMayFail: true });
    await reader.leave();

    const invited = await Reader.open(browser, `${world.url}/#invitation=${code}`, 'invited');
    await invited.page.getByLabel('Invitation').waitFor();
    expect(await invited.page.getByLabel('Invitation').inputValue()).to.equal(code);
    await invited.signUp();
    invited.expectClean();
    await invited.leave();
  });
});

describe('a service that nobody may sign up to', () => {
  let world: World;
  before(async () => {
    await buildPage();
    world = await createWorld({ SIGN_UP: 'closed' });
  });
  after(() => world?.close());

  it('refuses it with a problem of its own, also with an invitation, and lets accounts log in', async () => {
    const { code } = await invite(world, 1, HOUR);
    const email = 'there@example.org';
    for (const invitation of [{}, { invitation: code }]) {
      const answer = await world.anonymous.post('/users', { email, password: PASSWORD, ...invitation });
      expectProblem(answer, 403, 'sign_up_closed');
    }
    expect(await numberOf(world, 'select count(*) from users')).to.equal(0);
    const hash = await world.ctx.passwords.hash(PASSWORD, { senders: ['the test'] });
    await world.ctx.db
      .share('service')
      .run(() => User.create({ email, username: 'there', passwordHash: hash }));
    await logIn(world.url, { id: 1, email, username: 'there' });
  });

  it('has no form for it on the page', async () => {
    const browser = await launchBrowser();
    try {
      const reader = await Reader.open(browser, world.url, 'nobody');
      await reader.page.getByText('Nobody can sign up here at present.').waitFor();
      await reader.page.getByRole('button', { name: 'Log in' }).waitFor();
      for (const name of ['New here', 'Sign up'])
        expect(await reader.page.getByRole('button', { name }).count()).to.equal(0);
      reader.expectClean();
      await reader.leave();
    } finally {
      await browser.close();
    }
  });
});
