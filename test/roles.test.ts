import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { Role } from '../models/index.ts';
import { examine } from '../server/doctor/examine.ts';
import { repair } from '../server/doctor/repair.ts';
import { AppError } from '../server/errors.ts';
import { append } from '../server/log/append.ts';
import type { RoleChanged } from '../server/moderation/event-payloads.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { packageRoot } from '../server/paths.ts';
import type { OwnUser } from '../server/users/present.ts';
import { compiledProgram } from './support/compiled-service.ts';
import { reportFiled } from './support/note-events.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { caughtUp, execute, headOf, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const run = promisify(execFile);

describe('roles', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  before(async () => {
    world = await createWorld();
    [ada, bob] = await Promise.all([world.user('ada'), world.user('bob')]);
  });
  after(() => world.close());

  const grant = (name: string, role: Role) =>
    world.ctx.db.transaction((tx) => grantRole(tx, name, role, 'for a test'));
  const roleOf = async (user: TestUser) => (await user.get<OwnUser>('/users/me')).body.role;
  /** What the doctor finds wrong. */
  async function faults(repairs = false): Promise<string[]> {
    const examined = await examine(world.ctx.config, world.databaseUrl, { schema: false });
    const findings = examined.flatMap((one) => (/moderation|relations/.test(one.what) ? one.findings : []));
    if (repairs) for (const finding of findings) await repair(world.ctx.db, finding);
    return findings.map(({ what }) => what);
  }
  const noted = () =>
    rows<{ action: string; actor_id: number | null; user_id: number; details: object }>(
      world,
      'select action, actor_id, user_id, reason, details from audit_log order by id',
    );

  it('are given by the operator, shown to their user, and noted', async () => {
    expect(await roleOf(ada)).to.equal('user');
    const admin = (...args: string[]) =>
      run(process.execPath, [compiledProgram('server/admin/main.ts'), ...args], {
        cwd: packageRoot,
        env: { PATH: process.env.PATH, DATABASE_URL: world.databaseUrl },
      });
    const refusalOf = (...args: string[]) => admin(...args).catch((error: unknown) => error);
    expect((await admin('grant', 'ADA', 'admin', '--reason', 'the first')).stdout).to.equal(
      'ada is an administrator now, and was a user.\n',
    );
    expect(await roleOf(ada)).to.equal('admin');
    const entry = { action: 'grant', actor_id: null, user_id: ada.id, reason: 'the first' };
    expect(await noted()).to.deep.equal([{ ...entry, details: { role: 'admin', before: 'user' } }]);
    for (const args of [['grant', 'ada'], ['grant', 'ada', 'king'], ['grant', 'ada', 'user', '--no'], []])
      expect(await refusalOf(...args), args.join(' '))
        .to.include({ code: 2 })
        .and.have.property('stderr')
        .that.matches(/^Usage: npm run admin -- grant NAME/m);
    expect(await refusalOf('grant', 'ada', 'user')).to.include({
      code: 1,
      stderr: 'ada is the last administrator. Make somebody else one first.\n',
    });
  });

  it('cannot be given where there is no database, which is told without a stack', async () => {
    const other = (change: Partial<URL>) => Object.assign(new URL(world.databaseUrl), change).href;
    for (const [DATABASE_URL, said] of [
      [other({ port: '1' }), /ECONNREFUSED/],
      [other({ pathname: '/nowhere' }), /database "nowhere" does not exist/],
      [other({ pathname: '/postgres' }), /relation "(users|invitations)" does not exist/],
    ] as const)
      for (const [file, ...args] of [
        ['server/admin/main.ts', 'grant', 'ada', 'admin'],
        ['server/invite/main.ts'],
      ] as const) {
        const failure: unknown = await run(process.execPath, [compiledProgram(file), ...args], {
          cwd: packageRoot,
          env: { PATH: process.env.PATH, DATABASE_URL },
        }).catch((error: unknown) => error);
        expect(failure).to.include({ code: 1 });
        expect(failure)
          .to.have.property('stderr')
          .that.matches(said)
          .and.matches(/^The database cannot be used: .*\n$/);
      }
  });

  it('change nothing, and note nothing, where somebody has the role or there is nobody', async () => {
    const before = await noted();
    expect(await grant('ada', 'admin')).to.deep.equal({ username: 'ada', before: 'admin' });
    expect(await grant('nobody', 'admin').catch((error: unknown) => error)).to.include({ code: 'not_found' });
    expect(await noted()).to.deep.equal(before);
  });

  it('leave one administrator when two are demoted at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      await grant('ada', 'admin');
      await grant('bob', 'admin');
      const ended = await Promise.all(
        ['ada', 'bob'].map((name) => grant(name, 'user').catch((error: unknown) => error)),
      );
      expect(
        ended.filter((error) => error instanceof AppError && error.code === 'conflict'),
      ).to.have.lengthOf(1);
      expect(await numberOf(world, `select count(*) from users where role = 'admin'`)).to.equal(1);
    }
    expect([await roleOf(ada), await roleOf(bob)]).to.have.members(['admin', 'user']);
  });

  it('reach open connections at their number: what moderators are told comes from then on, and no longer', async () => {
    const cid = await world.user('cid');
    const report = (id: number) =>
      world.ctx.db.transaction((tx) => append(tx, reportFiled, { id, reader: 0, words: 'for moderators' }));
    const start = await caughtUp(world);
    const listen = async (auth: object = {}) => {
      const client = await RawClient.join(world.url, { token: cid.token, ...auth });
      return () =>
        client.events.flatMap(({ name, args: [data] }): (number | string)[] =>
          name === 'report:filed'
            ? [(data as { id: number }).id]
            : name === 'role:changed'
              ? [(data as RoleChanged).role]
              : [],
        );
    };
    const live = [await listen(), await listen({ topics: [] }), await listen({ topics: ['home'] })];
    await report(1);
    await grant('cid', 'moderator');
    await report(2);
    // He moderates all the while.
    await grant('cid', 'admin');
    await report(3);
    await caughtUp(world);
    const told = ['moderator', 2, 'admin', 3];
    for (const heard of live) await until('what a moderator is told', () => heard().length === told.length);
    for (const topics of [undefined, [], ['feed']]) {
      const heard = await listen({ after: start, epoch: world.ctx.feed.epoch, ...(topics && { topics }) });
      await until('what a moderator has missed', () => heard().length === told.length);
      live.push(heard);
    }
    await grant('cid', 'user');
    await report(4);
    await grant('cid', 'moderator');
    await report(5);
    for (const heard of live) await until('the last report', () => heard().at(-1) === 5);
    for (const heard of live) expect(heard()).to.deep.equal([...told, 'user', 'moderator', 5]);
    const late = await listen({ after: start, epoch: world.ctx.feed.epoch });
    await until('the last report', () => late().at(-1) === 5);
    expect(late(), 'of a user who does not moderate any more').to.deep.equal([
      'moderator',
      'admin',
      'user',
      'moderator',
      5,
    ]);
    expect(await faults()).to.deep.equal([]);
    endRawClients();
  });

  it('that the stream goes by wrongly are found and repaired, and go with the account', async () => {
    const dan = await world.user('dan');
    await grant('dan', 'moderator');
    await headOf(world);
    await execute(world, `delete from stream_relations where kind = 'moderate' and user_id = ${dan.id}`);
    await execute(
      world,
      `insert into stream_relations values (${bob.id + 100}, 'moderate', ${bob.id + 100}, 1)`,
    );
    expect(await faults(true)).to.deep.equal([
      `User ${dan.id} moderates, and the stream does not know it.`,
      `The stream takes user ${bob.id + 100} for a moderator.`,
    ]);
    await headOf(world);
    expect(await faults()).to.deep.equal([]);
    expect((await dan.delete('/users/me', { password: dan.password })).status).to.equal(204);
    await headOf(world);
    expect(
      await numberOf(world, 'select count(*) from stream_relations where user_id = $1', [dan.id]),
    ).to.equal(0);
    expect(await faults()).to.deep.equal([]);
  });

  it('are noted for good: no entry is changed or deleted', async () => {
    const before = await noted();
    for (const sql of [
      `update audit_log set reason = 'none'`,
      'delete from audit_log',
      'truncate audit_log',
      'delete from audit_log where id < 0',
    ])
      expect(await execute(world, sql).catch((error: unknown) => String(error)), sql).to.match(/append-only/);
    expect(await noted()).to.deep.equal(before);
  });
});
