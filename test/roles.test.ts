import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { Role } from '../models/index.ts';
import { AppError } from '../server/errors.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { packageRoot } from '../server/paths.ts';
import type { OwnUser } from '../server/users/present.ts';
import { compiledProgram } from './support/compiled-service.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const run = promisify(execFile);

describe('roles', function () {
  this.timeout(60_000);
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
        .that.matches(/^Usage: npm run admin -- grant NAME/);
    expect(await refusalOf('grant', 'ada', 'user')).to.include({
      code: 1,
      stderr: 'ada is the last administrator. Make somebody else one first.\n',
    });
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
