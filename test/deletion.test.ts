import { expect } from 'chai';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { execute, headOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('an account that is deleted', () => {
  let redis: TestRedis;
  let client: Redis;
  let world: World;
  before(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
    world = await createWorld({ REDIS_URL: redis.url, RATE_LIMITS: 'on' });
  });
  after(async () => {
    client.disconnect();
    await world.close();
    await redis.stop();
  });

  /** Where in the database one of these stands, as a column of a table. */
  async function placesInDatabase(secrets: readonly string[]): Promise<string[]> {
    const columns = await rows<{ table: string; column: string; type: string }>(
      world,
      `select c.table_name as table, c.column_name as column, c.data_type as type
       from information_schema.columns c
       join information_schema.tables t using (table_schema, table_name)
       where c.table_schema not in ('pg_catalog', 'information_schema') and t.table_type = 'BASE TABLE'
         and c.data_type not in ('bigint', 'integer', 'smallint', 'boolean', 'uuid', 'xid8', 'double precision')
         and c.data_type not like 'timestamp%'`,
    );
    expect(columns.map(({ type }) => type)).to.include.members(['text', 'json', 'bytea']);
    const found: string[] = [];
    for (const { table, column, type } of columns) {
      const text = type === 'bytea' ? `encode("${column}", 'escape')` : `"${column}"::text`;
      const [hit] = await rows(
        world,
        `select 1 from "${table}" where exists (
           select from unnest($1::text[]) as s (sought) where position(lower(sought) in lower(${text})) > 0) limit 1`,
        [secrets],
      );
      if (hit) found.push(`${table}.${column}`);
    }
    return found.sort();
  }

  /** Which keys of Redis hold one of these, in their name or their value. */
  async function keysInRedis(secrets: readonly string[]): Promise<string[]> {
    const holds = (text: string) =>
      secrets.some((secret) => text.toLowerCase().includes(secret.toLowerCase()));
    const found: string[] = [];
    for (const key of await client.keys('*')) {
      const type = await client.type(key);
      const value = type === 'zset' ? (await client.zrange(key, 0, '-1')).join() : await client.get(key);
      if (holds(key) || holds(value ?? '')) found.push(key);
    }
    return found;
  }

  /** Does all that an account can do, under two names, and tells what would give it away. */
  async function live(user: TestUser): Promise<string[]> {
    const names = { username: `${user.username}-now`, email: `now-${user.email}` };
    const hashes = async () =>
      (
        await rows<{ hash: string }>(world, 'select password_hash as hash from users where id = $1', [
          user.id,
        ])
      ).map(({ hash }) => hash);
    const post = await writePost(user);
    await writePost(user, { published: false });
    const gone = await writePost(user);
    await user.delete(`/posts/${gone.id}`);
    const withdrawn = await writePost(user);
    await user.patch(`/posts/${withdrawn.id}`, { published: false });
    await user.post('/posts', { title: 'x', content: '' }, { 'idempotency-key': crypto.randomUUID() });
    await user.put(`/posts/${post.id}/vote`);
    const before = await hashes();
    const password = 'another good one';
    expect(
      (await user.patch('/users/me', { ...names, password, current_password: PASSWORD })).status,
    ).to.equal(200);
    await logIn(world.url, { id: user.id, ...names }, password);
    for (const email of [names.email, user.email])
      expectProblem(await world.anonymous.post('/login', { email, password: 'not this one' }), 403);
    await user.get(`/posts?search=${names.username}`);
    return [user.email, user.username, ...Object.values(names), ...before, ...(await hashes())];
  }

  it('is in no row and no key any more: not its addresses, its names or its hashes', async () => {
    const user = await world.user();
    const stays = await world.user();
    const secrets = await live(user);
    expect(secrets).to.have.lengthOf(6);
    // The scan sees what is there.
    await headOf(world);
    expect(await placesInDatabase(secrets)).to.deep.equal([
      'event_log.data',
      'idempotency_keys.answer',
      'users.email',
      'users.password_hash',
      'users.username',
    ]);
    // Redis is not waited for: on a busy machine what is to be kept may not have reached it.
    const [, , username = '', email = ''] = secrets;
    await until('an address of theirs to be kept', async () => {
      if ((await keysInRedis([`u${user.id}`])).length > 0) return true;
      await logIn(world.url, { id: user.id, username, email }, 'another good one');
      // Not more of them than are allowed in a minute.
      return pause(1000, false);
    });

    expect((await user.delete('/users/me', { password: 'another good one' })).status).to.equal(204);
    await headOf(world);
    expect(await placesInDatabase(secrets)).to.be.empty;
    expect(await keysInRedis(secrets)).to.be.empty;
    expect(await placesInDatabase([stays.email])).to.deep.equal(['users.email']);
  });

  it('would be seen wherever else it were kept', async () => {
    await execute(world, 'create table elsewhere (note text, data jsonb, raw bytea)');
    await execute(
      world,
      `insert into elsewhere values ('by Planted@Example.org', null, null), (null, '{"a":["planted@example.org"]}', null),
         (null, null, '\\x00ff' || 'planted@example.org'::bytea)`,
    );
    await client.set('tidings:planted', 'of planted@example.org');
    const found = await placesInDatabase(['planted@example.org']);
    expect(found).to.deep.equal(['elsewhere.data', 'elsewhere.note', 'elsewhere.raw']);
    expect(await keysInRedis(['planted@example.org'])).to.deep.equal(['tidings:planted']);
  });
});
