import { expect } from 'chai';
import pg from 'pg';
import { checks, folds } from '../server/capability-checks.ts';
import { findFoldMismatches } from '../server/doctor/fold-check.ts';
import { eventTypes } from '../server/event-registry.ts';
import { appendPosts } from './support/append-sql.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { execute, headOf, numberOf, postEventsSince, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** Three pieces, the last of them a short one. */
const MANY = 450;

describe('an account with more posts than fit one piece', () => {
  let world: World;
  let bob: TestUser;
  let client: pg.Client;

  before(async () => {
    world = await createWorld();
    // The answers here are those after the end, however slow the machine.
    Object.assign(world.ctx.accountTasks, { timeLimit: 60_000 });
    bob = await world.user('bob');
    client = new pg.Client({ connectionString: world.databaseUrl });
    await client.connect();
  });
  afterEach(async () => {
    endRawClients();
    await headOf(world);
    for (const fold of folds) expect(await findFoldMismatches(client, fold, eventTypes)).to.deep.equal([]);
    for (const { find } of checks) expect((await find?.(client, world.ctx.config)) ?? []).to.deep.equal([]);
  });
  after(async () => {
    await client.end();
    await world.close();
  });

  /** Somebody with so many published posts, told in the log, a draft, and a vote on each of bob's posts. */
  async function prolific(name: string): Promise<TestUser> {
    const user = await world.user(name);
    await execute(
      world,
      `with p as (
         insert into posts (owner_id, title, content)
         select case when n % 2 = 0 then $1::bigint else $2::bigint end, 'post ' || n, 'text' from generate_series(1, 2 * $3) n
         returning id, owner_id, title, content, version
       ), t as (
         insert into post_tallies (post_id, votes, rev, hot)
         select id, (owner_id = $2)::integer, 1, 0 from p
       ), v as (
         insert into votes (user_id, post_id) select $1, id from p where owner_id = $2
       )
       ${appendPosts(`select 'post:created', id, json_build_object('id', id, 'title', title, 'content', content, 'version', version,
         'owner', json_build_object('id', owner_id, 'username', case owner_id when $1 then $4 else 'bob' end)) from p`)}`,
      [user.id, bob.id, MANY, user.username],
    );
    await user.post('/posts', { title: 'a draft', content: '', published: false });
    await headOf(world);
    return user;
  }
  const tasks = () => numberOf(world, 'select count(*) from account_tasks');

  it('is renamed in pieces, and each published post is told once, as it is shown', async () => {
    const user = await prolific('carol');
    const before = await headOf(world);
    expect((await user.patch('/users/me', { username: 'caroline' })).status).to.equal(200);
    expect(await tasks()).to.equal(0);
    const told = await postEventsSince(world, before);
    expect(told).to.have.lengthOf(MANY);
    expect(new Set(told.map(({ post_id }) => post_id))).to.have.lengthOf(MANY);
    for (const { name, data } of told) {
      expect(name).to.equal('post:updated');
      expect(data).to.deep.include({ version: 2, owner: { id: user.id, username: 'caroline' } });
    }
    expect(
      await numberOf(world, 'select count(*) from posts where owner_id = $1 and version = 1', [user.id]),
    ).to.equal(1);
  });

  it('ends with its last name, whatever is edited, withdrawn and published meanwhile', async () => {
    const user = await prolific('dora');
    const posts = await rows<{ id: number }>(world, 'select id from posts where owner_id = $1 order by id', [
      user.id,
    ]);
    const edits = async () => {
      for (let at = 0; at < posts.length; at += 25) {
        const path = `/posts/${posts[at]!.id}`;
        await user.patch(path, { content: 'edited' });
        await user.patch(path, { published: false });
        await user.patch(path, { published: true });
      }
    };
    const renames = async () => {
      for (const username of ['dora-1', 'dora-2', 'dora-3'])
        expect((await user.patch('/users/me', { username })).status).to.equal(200);
    };
    await Promise.all([edits(), renames(), renames()]);
    await until('the end of all pieces', async () => (await tasks()) === 0);
    await headOf(world);
    const names = await rows(
      world,
      `select distinct on (entity_id) entity_id, data -> 'owner' ->> 'username' as name from event_log
       where entity_id = any($1) order by entity_id, seq desc`,
      [posts.map(({ id }) => id)],
    );
    expect(new Set(names.map((row) => (row as { name: string }).name))).to.deep.equal(new Set(['dora-3']));
  });

  it('has nothing written any more that was on its way when it was deleted', async () => {
    const user = await world.user();
    const write = () =>
      rows(
        world,
        `select * from write_posts(array[$1::bigint], array['late'], array[''], array[true], array[null], array[null],
           array['0', '1', '2'], array[null], array[null::bytea], true, array['late'], array[null], '{}'::text[],
           1::smallint)`,
        [user.id],
      );
    await execute(world, 'update users set deleted_at = now() where id = $1', [user.id]);
    expect(await write()).to.deep.equal([]);
    await execute(world, 'update users set deleted_at = null where id = $1', [user.id]);
  });

  it('is deleted in pieces, with its votes, and each published post is told once', async () => {
    const user = await prolific('emma');
    const before = await headOf(world);
    const socket = await RawClient.join(world.url, { token: bob.token });
    expect((await user.delete('/users/me', { password: user.password })).status).to.equal(204);
    const told = await postEventsSince(world, before);
    expect(new Set(told.map(({ name }) => name))).to.deep.equal(new Set(['post:deleted']));
    expect(new Set(told.map(({ post_id }) => post_id))).to.have.lengthOf(MANY);
    expect(told).to.have.lengthOf(MANY);
    for (const table of [
      'posts where owner_id',
      'votes where user_id',
      'sessions where user_id',
      'users where id',
    ])
      expect(await numberOf(world, `select count(*) from ${table} = $1`, [user.id]), table).to.equal(0);
    await until('a tally of each of his posts', () => {
      const tallies = socket.heard('votes').flatMap(([some]) => some as { votes: number; post_id: number }[]);
      return new Set(tallies.map(({ post_id }) => post_id)).size >= MANY;
    });
  });

  for (const kind of ['rename', 'delete'] as const)
    it(`whose ${kind} was left half done is out of every list where it should be, and is brought to its end by any node`, async () => {
      const user = await prolific(kind === 'rename' ? 'fay' : 'gina');
      const [post] = await rows<{ id: number }>(
        world,
        'select id from posts where owner_id = $1 and published order by id limit 1',
        [user.id],
      );
      const before = await headOf(world);
      // As a node leaves it that dies after its first commit. No node takes it up until all has been looked at.
      await execute(
        world,
        `with changed as (
           update users set username = $2 || '-later', deleted_at = case $3 when 'delete' then now() end where id = $1
         )
         insert into account_tasks (user_id, kind, worked_at) values ($1, $3, 'infinity')`,
        [user.id, user.username, kind],
      );
      const list = await bob.get<unknown[]>(`/posts?owner_id=${user.id}&limit=5`);
      expect(list.body).to.have.lengthOf(kind === 'rename' ? 5 : 0);
      expect((await bob.get(`/posts/${post!.id}`)).status).to.equal(kind === 'rename' ? 200 : 404);
      expect((await bob.get(`/users/${user.id}`)).status).to.equal(kind === 'rename' ? 200 : 404);
      expect((await user.patch('/users/me', { username: 'nobody' })).status).to.equal(
        kind === 'rename' ? 200 : 401,
      );
      await execute(world, `update account_tasks set worked_at = '-infinity'`);
      await until('its end', async () => (await tasks()) === 0);
      expect(await postEventsSince(world, before)).to.have.lengthOf(MANY);
    });

  it('is deleted while it votes and writes, and leaves nothing behind', async () => {
    const user = await prolific('hanna');
    const targets = await rows<{ id: number }>(world, 'select id from posts where owner_id = $1 limit 40', [
      bob.id,
    ]);
    const busy = Promise.all(
      targets.flatMap(({ id }) => [
        user.delete(`/posts/${id}/vote`),
        user.put(`/posts/${id}/vote`),
        user.post('/posts', { title: 'one more', content: '' }),
      ]),
    );
    const { status } = await user.delete('/users/me', { password: user.password });
    expect(status).to.equal(204);
    await busy;
    expect(await numberOf(world, 'select count(*) from users where id = $1', [user.id])).to.equal(0);
    expect(await numberOf(world, 'select count(*) from posts where owner_id = $1', [user.id])).to.equal(0);
  });
});
