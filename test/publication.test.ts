import { expect } from 'chai';
import pg from 'pg';
import { migrate, migrateDown } from '../server/database/migrate.ts';
import { createToken } from '../server/mail/tokens.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { createDatabase } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { execute, headOf, numberOf, postEventsSince } from './support/tables.ts';
import { createWorld, logIn, PASSWORD, signUp, type TestUser, type World } from './support/world.ts';

/** What a moment is that is stored, and when it is, as two columns. */
function transposed(moments: readonly string[]): [of: string[], moment: string[]] {
  const pairs = moments.map((moment) => moment.split(' = '));
  return [pairs.map(([of = '']) => of), pairs.map(([, moment = '']) => moment)];
}

describe('the first publication of a post', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  before(async () => {
    world = await createWorld(sharedSecret);
    ada = await world.user();
    bob = await world.user();
  });
  after(() => world.close());

  /** All that are stored, in whatever column. */
  async function moments(): Promise<string[]> {
    const { rows: columns } = await world.pool.query<{ select: string }>(
      `select format('select distinct %L || '' = '' || %I::text as moment from %s where %I is not null',
                     c.oid::regclass || '.' || a.attname, a.attname, c.oid::regclass, a.attname) as select
       from pg_attribute a join pg_class c on c.oid = a.attrelid
       where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
         and a.atttypid = 'timestamptz'::regtype and not a.attisdropped`,
    );
    const { rows } = await world.pool.query<{ moment: string }>(
      columns.map(({ select }) => select).join(' union all '),
    );
    return rows.map(({ moment }) => moment);
  }

  const listed = async (sort: 'new' | 'hot', reader = bob) =>
    (await reader.get<PostAnswer[]>(`/posts?limit=100&sort=${sort}`)).body.map(({ id }) => id);
  const publish = async (id: number, published: boolean, owner = ada) =>
    (await owner.patch<PostAnswer>(`/posts/${id}`, { published })).body;

  it('decides where it is listed, however often it is withdrawn and published again', async () => {
    const old = await writePost(ada);
    for (let at = 0; at < 5; at += 1) await bob.put(`/posts/${old.id}/vote`);
    const week = "interval '7 days'";
    await execute(
      world,
      `update posts set created_at = created_at - ${week}, listed_at = listed_at - ${week} where id = $1`,
      [old.id],
    );
    await execute(
      world,
      `update post_tallies t set hot = hot_rank(t.votes, p.listed_at) from posts p where p.id = t.post_id and p.id = $1`,
      [old.id],
    );
    const newer = await writePost(bob);
    const told = (await bob.get<PostAnswer>(`/posts/${old.id}`)).body.published_at;
    const before = [await listed('new'), await listed('hot')];
    for (let turn = 0; turn < 2; turn += 1) {
      const draft = await publish(old.id, false);
      expect(draft.published_at, 'of the withdrawn post, to its owner').to.equal(told);
      const head = await headOf(world);
      const again = await publish(old.id, true);
      expect(again.published_at).to.equal(told);
      const [event] = await postEventsSince(world, head);
      expect(event?.data).to.include({ published_at: told });
    }
    expect([await listed('new'), await listed('hot')]).to.deep.equal(before);
    expect((await listed('new')).indexOf(newer.id)).to.be.below((await listed('new')).indexOf(old.id));
    const { body: page } = await bob.get<PostAnswer[]>('/posts?limit=100');
    expect(page.find(({ id }) => id === old.id)?.published_at).to.equal(told);
  });

  it('is null for a draft, and its moment once it is published', async () => {
    const draft = await writePost(ada, { published: false });
    expect(draft.published_at).to.equal(null);
    expect((await ada.get<PostAnswer>(`/posts/${draft.id}`)).body.published_at).to.equal(null);
    await writePost(bob);
    const { published_at, created_at, updated_at } = await publish(draft.id, true);
    expect(published_at! > created_at).to.equal(true);
    expect(updated_at >= published_at!).to.equal(true);
    const { rows: kept } = await world.pool.query(
      'select updated_at >= listed_at as after from posts where id = $1',
      [draft.id],
    );
    expect(kept, 'to the microsecond').to.deep.equal([{ after: true }]);
    expect((await listed('new'))[0]).to.equal(draft.id);
    expect((await listed('hot'))[0]).to.equal(draft.id);
  });

  it('is told of each post when its owner is renamed', async () => {
    const eve = await world.user();
    const post = await writePost(eve);
    const head = await headOf(world);
    await eve.patch('/users/me', { username: `${eve.username}-2` });
    const [event] = await postEventsSince(world, head);
    expect(event?.data).to.include({ id: post.id, published_at: post.published_at });
  });

  it('and every other moment that is stored are by the clock of the database, not of the node', async () => {
    const slow = await startAnotherNode(world, 'a node 90 seconds behind', {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`
        const Real = Date;
        globalThis.Date = class extends Real {
          constructor(...parts) { if (parts.length > 0) super(...parts); else super(Real.now() - 90000); }
          static now() { return Real.now() - 90000; }
        };`)}`,
    });
    try {
      const before = await moments();
      const { rows: clock } = await world.pool.query<{ now: string }>(
        'select clock_timestamp()::text as now',
      );
      const there = await logIn(slow.url, ada);
      const draft = await writePost(there, { published: false });
      const post = await writePost(bob);
      const { published_at } = await publish(draft.id, true, there);
      expect(published_at! > post.published_at!).to.equal(true);
      for (const sort of ['new', 'hot'] as const) expect((await listed(sort))[0], sort).to.equal(draft.id);
      const edited = (await there.patch<PostAnswer>(`/posts/${draft.id}`, { title: 'Edited' })).body;
      expect(edited.updated_at > published_at!).to.equal(true);

      const sessions = 'from sessions where user_id = $1 order by created_at desc limit 1';
      const left = await numberOf(
        world,
        `select extract(epoch from expires_at - created_at)::float8 ${sessions}`,
        [ada.id],
      );
      expect(left).to.be.closeTo(world.ctx.config.refreshTokenTtl / 1000, 5);
      await there.post('/logout');
      const late = `select extract(epoch from revoked_at - created_at)::float8 ${sessions}`;
      expect(await numberOf(world, late, [ada.id])).to.be.within(0, 60);

      const eve = await signUp(slow.url);
      const { username, email } = eve;
      const token = await world.ctx.db.transaction((tx) =>
        createToken(tx, { userId: eve.id, purpose: 'verify', email, proves: email }, 60_000),
      );
      expect((await eve.post('/email/verify', { token })).status).to.equal(204);
      expect((await eve.patch('/users/me', { username: `${username}-2` })).status).to.equal(200);
      expect((await eve.put(`/posts/${post.id}/vote`)).status).to.equal(200);
      expect((await eve.put(`/users/${bob.id}/follow`)).status).to.equal(200);
      expect((await eve.put(`/posts/${post.id}/report`, { reason: 'spam' })).status).to.equal(204);
      const mallory = await signUp(slow.url);
      expect((await mallory.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      const { rows: early } = await world.pool.query(
        'select * from unnest($1::text[], $2::timestamptz[]) as m (of, moment) where isfinite(moment) and moment < $3::timestamptz',
        [...transposed((await moments()).filter((moment) => !before.includes(moment))), clock[0]?.now],
      );
      expect(early, 'moments of before it was done').to.deep.equal([]);
      expect(slow.misconduct).to.be.empty;
    } finally {
      await slow.stop();
    }
  });

  it('is kept by nodes of the version before, and known of the posts that were there', async () => {
    const database = await createDatabase();
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await migrateDown(database.url, '20261128000700');
      await client.query(
        `insert into users (email, username, password_hash) values ('a@example.org', 'ada', 'x')`,
      );
      const write = async (published: boolean, created: string, listed = created) =>
        (
          await client.query<{ id: string }>(
            `insert into posts (owner_id, title, content, published, created_at, listed_at)
             values (1, 'x', '', $1, $2, $3) returning id`,
            [published, created, listed],
          )
        ).rows[0]?.id;
      const shown = await write(true, '2026-01-01Z');
      const draft = await write(false, '2026-01-02Z');
      const withdrawn = await write(false, '2026-01-03Z', '2026-01-04Z');
      await migrate(database.url);
      // What a node of the version before does to publish and to withdraw.
      const set = async (id: string | undefined, published: boolean) => {
        await client.query(
          `update posts set published = $2, updated_at = now()${published ? ", listed_at = '2020-01-01Z'" : ''} where id = $1`,
          [id, published],
        );
        const { rows } = await client.query<{ moment: Date | null }>(
          'select case when published or was_published then listed_at end as moment from posts where id = $1',
          [id],
        );
        return rows[0]?.moment;
      };
      const before = Date.now() - 60_000;
      expect(await set(shown, false)).to.deep.equal(new Date('2026-01-01Z'));
      expect(await set(shown, true)).to.deep.equal(new Date('2026-01-01Z'));
      expect(await set(withdrawn, true)).to.deep.equal(new Date('2026-01-04Z'));
      const first = await set(draft, true);
      expect(first?.getTime()).to.be.above(before);
      expect(await set(draft, false)).to.deep.equal(first);
      expect(await set(draft, true)).to.deep.equal(first);
    } finally {
      await client.end();
      await database.drop();
    }
  });
});
