import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { Pruner } from '../server/database/pruner.ts';
import { prunes } from '../server/prunes.ts';
import type { OwnUser } from '../server/users/present.ts';
import { isReservedName } from '../server/text/reserved-names.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('usernames', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  let people = 0;
  const signUp = (username: string) =>
    world.anonymous.post<OwnUser>('/users', {
      email: `person${(people += 1)}@example.org`,
      password: PASSWORD,
      username,
    });
  const rename = (user: TestUser, username: string) => user.patch<OwnUser>('/users/me', { username });
  const expectTaken = async (username: string) => {
    const { errors, detail } = expectProblem(await signUp(username), 409, 'conflict');
    expect(detail).to.equal('This username is taken.');
    expect(errors?.[0]?.loc).to.deep.equal(['body', 'username']);
  };
  const kept = () =>
    rows<{ name_hash: string; former_owner_id: number | null }>(
      world,
      `select encode(name_hash, 'hex') as name_hash, former_owner_id from kept_usernames`,
    );

  const hashOf = (name: string) => createHash('sha256').update(name).digest('hex');

  /** An account whose name was chosen before there were rules. */
  async function somebodyCalled(username: string): Promise<TestUser> {
    const user = await world.user();
    await execute(world, `update users set username = '${username}' where id = ${user.id}`);
    return logIn(world.url, { id: user.id, email: user.email, username });
  }

  describe('that are reserved', () => {
    it('are known in whatever case and form they look like one', () => {
      for (const name of [
        'admin',
        'Admin',
        'ADMINISTRATOR',
        'adm1n',
        'admln',
        '4dmin',
        'a.d.m.i.n',
        'ad-min',
        'adrnin',
        'admin1',
        'admin-2024',
        'r00t',
        'root',
        'Supp0rt',
        'api',
        'ap1',
        'tidings',
        'T1d1ngs',
        'tidings-support',
        'tidings_team',
        'system',
        's_y_s_t_e_m',
        'sy5tem',
        'moderator',
        'm0derator',
        'm.e',
        'everyone',
        'socket.io',
      ])
        expect(isReservedName(name), name).to.equal(true);
      for (const name of [
        'ada',
        'alice',
        'mira',
        'meme',
        'rooted',
        'adminton',
        'modesty',
        'bob',
        'user-0abc123',
        'ada-root',
        'home.run',
        'teamwork',
        'oliver',
        'load-1f-0',
      ])
        expect(isReservedName(name), name).to.equal(false);
    });

    it('are nobody’s to choose at sign-up or by renaming, and the fault says so beside all others', async () => {
      expect(faultsOf(await signUp('Adm1n'))).to.deep.equal(['body.username']);
      const answer = await world.anonymous.post('/users', { email: 'x', password: 'y', username: 'root' });
      expect(faultsOf(answer)).to.deep.equal(['body.email', 'body.password', 'body.username']);
      const { errors } = expectProblem(await signUp('support'), 422, 'invalid');
      expect(errors?.[0]?.msg).to.equal('"username" is reserved');
      const ada = await world.user();
      for (const name of ['moderator', 'T1dings', 'tidings-team'])
        expect(faultsOf(await rename(ada, name)), name).to.deep.equal(['body.username']);
      expect((await ada.get<OwnUser>('/users/me')).body.username).to.equal(ada.username);
    });
  });

  it('begin and end with a letter or digit', async () => {
    const ada = await world.user();
    for (const name of ['_ada', 'ada_', '.ada', 'ada.', '-ada', 'ada-', '...', '___']) {
      expect(faultsOf(await signUp(name)), name).to.deep.equal(['body.username']);
      expect(faultsOf(await rename(ada, name)), name).to.deep.equal(['body.username']);
    }
    for (const name of ['a-d', 'a__b', '0.0']) expect((await signUp(name)).status, name).to.equal(201);
  });

  it('that were chosen before stay: their owners log in, and change all else', async () => {
    for (const name of ['root', '_old.name_']) {
      const user = await somebodyCalled(name);
      expect((await rename(user, name)).status).to.equal(200);
      expect((await rename(user, name.toUpperCase())).body.username).to.equal(name.toUpperCase());
      expect((await user.post('/posts', { title: 'x', content: '' })).status).to.equal(201);
      const email = `new-${user.email}`;
      const edit = await user.patch<OwnUser>('/users/me', { email, current_password: PASSWORD });
      expect(edit.body).to.include({ email, username: name.toUpperCase() });
      expect((await rename(user, `was${name.replaceAll(/\W|_/g, '')}`)).status).to.equal(200);
      expect(faultsOf(await rename(user, name))).to.deep.equal(['body.username']);
    }
  });

  describe('that were given up', () => {
    it('by another name, are nobody else’s, in no case, and may be taken back', async () => {
      const ada = await world.user('Grace');
      expect((await rename(ada, 'grace.h')).status).to.equal(200);
      const other = await world.user();
      for (const name of ['grace', 'GRACE']) {
        await expectTaken(name);
        expectProblem(await rename(other, name), 409, 'conflict');
      }
      expect((await rename(ada, 'grace')).body.username).to.equal('grace');
      await expectTaken('GRACE.H');
      expect((await rename(ada, 'GRACE')).status, 'the same in another case').to.equal(200);
      expect((await kept()).filter(({ former_owner_id }) => former_owner_id === ada.id)).to.deep.equal([
        { name_hash: hashOf('grace.h'), former_owner_id: ada.id },
      ]);
    });

    it('with the account, are nobody’s, and nothing is kept of whose they were', async () => {
      const before = (await kept()).length;
      const ada = await world.user('Hopper');
      expect((await rename(ada, 'hopper.g')).status).to.equal(200);
      expect((await ada.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      await expectTaken('hopper');
      await expectTaken('Hopper.G');
      expect(await kept()).to.deep.include.members([
        { name_hash: hashOf('hopper'), former_owner_id: null },
        { name_hash: hashOf('hopper.g'), former_owner_id: null },
      ]);
      // The name that takes its place in the row is no name of anyone's.
      expect(await kept()).to.have.lengthOf(before + 2);
      // As a node of the version before the last deletes an account.
      const bob = await world.user('lovelace');
      await execute(world, `delete from users where id = ${bob.id}`);
      await expectTaken('Lovelace');
    });

    it('are free after ninety days, and their rows go', async () => {
      const ada = await world.user('turing');
      await rename(ada, 'turing.a');
      expect(
        await numberOf(
          world,
          `select (extract(epoch from kept_until - now()) / 86400)::float8 from kept_usernames where name_hash = '\\x${hashOf('turing')}'`,
        ),
      ).to.be.within(89.9, 90);
      await execute(
        world,
        `update kept_usernames set kept_until = now() where name_hash = '\\x${hashOf('turing')}'`,
      );
      const bob = await signUp('Turing');
      expect(bob.status).to.equal(201);
      expectProblem(await rename(ada, 'turing'), 409, 'conflict');
      await rename(ada, 'turing.b');
      await execute(
        world,
        `update kept_usernames set kept_until = now() where name_hash = '\\x${hashOf('turing.a')}'`,
      );
      await new Pruner({ pool: world.pool, log: world.ctx.log, prunes: prunes(world.ctx.config) }).prune();
      const turings = new Set(['turing', 'turing.a'].map(hashOf));
      expect((await kept()).filter(({ name_hash }) => turings.has(name_hash))).to.deep.equal([]);
    });

    it('are nobody’s from the commit on for anyone who waits for it', async () => {
      for (let round = 0; round < 8; round += 1) {
        const name = `busy${round}`;
        const ada = await world.user(name);
        const [left, ...answers] = await Promise.all([
          round % 2 === 0 ? rename(ada, `${name}.x`) : ada.delete('/users/me', { password: PASSWORD }),
          ...Array.from({ length: 6 }, () => signUp(name)),
        ]);
        expect(left.status).to.be.oneOf([200, 204]);
        expect(answers.map(({ status }) => status)).to.deep.equal(Array<number>(6).fill(409));
      }
    });

    it('are thirty of one account at most', async () => {
      const ada = await world.user('many-names');
      for (let at = 1; at <= 30; at += 1)
        expect((await rename(ada, `many-names.${at}`)).status).to.equal(200);
      const refused = expectProblem(await rename(ada, 'many-names.31'), 409, 'conflict');
      expect(refused.detail).to.include('30 names');
      expect((await rename(ada, 'many-names')).status, 'one of them').to.equal(200);
    });
  });
});
