import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import pg from 'pg';
import { Database } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { foldFailures } from '../server/posts/fold-failures.ts';
import { refoldPosts } from '../server/posts/folding.ts';
import { searchable } from '../server/posts/searchable.ts';
import { UnfoldedPosts } from '../server/posts/unfolded-posts.ts';
import { FOLD } from '../server/text/fold.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

/** What searches need is made for posts that a node of the version before wrote. */
describe('posts that are not folded yet', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  const nodes: Database[] = [];

  const node = () => {
    const db = new Database({ url: database.url, pool: 3, log: createLogger('silent') });
    nodes.push(db);
    return db;
  };
  const write = (posts: number, content = 'Ein naïver Text ') =>
    pool.query(
      `insert into posts (owner_id, title, content) select 1, 'Nr. ' || n, $2::text || n from generate_series(1, $1) n`,
      [posts, content],
    );
  const unfolded = async () => {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*)::integer from posts where search_fold is distinct from ${FOLD}`,
    );
    return rows[0]!.count;
  };
  /** Posts that would not be found by what they say. */
  const wrong = async () => {
    const { rows } = await pool.query<{
      id: string;
      title: string;
      content: string;
      search_text: string | null;
      keys: string[] | null;
    }>(
      `select id, title, content, search_text, tsvector_to_array(coalesce(search_keys, search_keys_of(search_text))) as keys
       from posts order by id`,
    );
    return rows.filter((post) => {
      const { text, keys } = searchable(post);
      return (
        post.search_text !== text || [...(post.keys ?? [])].sort().join('\n') !== [...keys].sort().join('\n')
      );
    });
  };

  before(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 4 });
    await pool.query(
      `insert into users (email, username, password_hash) values ('a@example.org', 'ann', 'x')`,
    );
  });
  afterEach(async () => {
    await pool.query('delete from posts');
    for (const db of nodes.splice(0)) await db.close();
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  it('are folded however long a post takes, within the time that was given', async () => {
    // Two hundred such posts in one statement would take longer than a statement may.
    await pool.query(`
      create function take_long() returns trigger language plpgsql as $$
      begin perform pg_sleep(0.06); return new; end $$;
      create trigger take_long before update of search_text on posts for each row execute function take_long()`);
    try {
      await write(230);
      const posts = new UnfoldedPosts(node(), (error) => {
        throw error;
      });
      expect(await posts.catchUp(1500)).to.equal(false);
      // The piece that was under way goes on; on a busy machine it is the first.
      await until('some of them to be folded', async () => (await unfolded()) < 230);
      expect(await unfolded()).to.be.above(0);
      await posts.stop();
    } finally {
      await pool.query('drop function take_long() cascade');
    }
    const posts = new UnfoldedPosts(node(), () => undefined);
    await until('all posts to be folded', () => posts.catchUp(3000));
    expect(await wrong()).to.be.empty;
  });

  it('are all folded by two nodes at once, during edits of old nodes and lost connections', async () => {
    await write(1500);
    const failures: unknown[] = [];
    const both = [node(), node()].map((db) => new UnfoldedPosts(db, (error) => failures.push(error)));
    for (const each of both) each.start();
    for (let round = 1; round <= 20; round += 1) {
      await pool.query(
        `update posts set content = content || ' édité ' || $1::integer, version = version + 1 where id % 7 = $1::integer % 7`,
        [round],
      );
      if (round % 5 === 0) {
        await pool.query(`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'tidings' and datname = current_database() and xact_start is not null`);
      }
      await Promise.race([both[round % 2]!.catchUp(50), sleep(200)]);
    }
    await until('all posts to be folded', () => both[0]!.catchUp(3000), 60_000);
    for (const each of both) await each.stop();
    expect(await unfolded()).to.equal(0);
    expect(await wrong()).to.be.empty;
  });

  it('are folded by others where a node stops during its piece', async () => {
    await write(600);
    const stopping = new UnfoldedPosts(node(), () => undefined);
    stopping.start();
    await until('the first piece', async () => (await unfolded()) < 600);
    await stopping.stop();
    expect(await stopping.catchUp(10_000)).to.equal(false);
    await until('all posts to be folded', () => new UnfoldedPosts(node(), () => undefined).catchUp(3000));
    expect(await wrong()).to.be.empty;
  });

  it('are not waited for beyond the time that was given, and nothing fails for it, while they cannot be looked at', async () => {
    await write(30);
    const posts = new UnfoldedPosts(node(), () => undefined);
    const client = await pool.connect();
    try {
      // In the midst of it: between a piece that finds nothing, and the look whether anything is left.
      await until('all posts to be folded', () => posts.catchUp(3000));
      await client.query('begin');
      await client.query('lock table posts in access exclusive mode');
      let done: boolean | undefined;
      const waits = posts.catchUp(300).then((left) => (done = left));
      // A statement of ours gives up its wait for the lock after five seconds.
      await until('the answer', () => done !== undefined, 4000);
      expect(done).to.equal(false);
      await waits;
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  it('are named in one warning a minute, with the reason, where one cannot be folded', async () => {
    await write(30);
    const { rows } = await pool.query<{ id: string }>('select id from posts order by id offset 17 limit 1');
    const bad = Number(rows[0]!.id);
    await pool.query(`
      create function refuse() returns trigger language plpgsql as $$
      begin if new.id = ${bad} then raise exception 'no room for post %', new.id; end if; return new; end $$;
      create trigger refuse before update of search_text on posts for each row execute function refuse()`);
    const lines: { level: number; postId?: number; err: { message: string } }[] = [];
    const log = createLogger('debug', {
      write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]),
    });
    const posts = new UnfoldedPosts(node(), foldFailures(log));
    try {
      await until('the post to be named', async () => {
        await posts.catchUp(100);
        return lines.filter(({ err }) => err.message.includes(`Post ${bad} `)).length > 2;
      });
      expect(lines.filter(({ level }) => level === 40)).to.have.lengthOf(1);
      const warned = lines.find(({ level }) => level === 40)!;
      expect(warned.postId).to.equal(bad);
      expect(warned.err.message).to.contain(`no room for post ${bad}`);
      expect(await unfolded()).to.be.within(1, 13); // those before it are folded
    } finally {
      await pool.query('drop function refuse() cascade');
    }
    await until('all posts to be folded', () => posts.catchUp(3000));
    expect(await wrong()).to.be.empty;
  });

  it('are looked for in an index that knows the number of this fold', async () => {
    const { rows } = await pool.query<{ index: string }>(
      `select pg_get_indexdef('posts_unfolded_idx'::regclass) as index`,
    );
    expect(rows[0]!.index).to.contain(`(search_fold IS DISTINCT FROM ${FOLD})`);
  });

  it('are folded again by the doctor, with those whose text was changed past the triggers', async () => {
    await write(450);
    const db = node();
    await until('all posts to be folded', () => new UnfoldedPosts(db, () => undefined).catchUp(3000));
    await pool.query(`
      alter table posts disable trigger user;
      update posts set content = 'Straße' where id in (select id from posts order by id limit 3);
      update posts set search_keys = array_to_tsvector('{x}') where id in (select id from posts order by id offset 10 limit 1);
      update posts set search_fold = null where id in (select id from posts order by id desc limit 2);
      alter table posts enable trigger user`);
    expect(await wrong()).to.have.lengthOf(4);
    expect(await refoldPosts(db)).to.deep.equal({ looked: 450, changed: 6 });
    expect(await wrong()).to.be.empty;
    expect(await refoldPosts(db)).to.deep.equal({ looked: 450, changed: 0 });
  });
});
