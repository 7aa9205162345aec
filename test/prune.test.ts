import { expect } from 'chai';
import type pg from 'pg';
import { withConnection } from '../server/database/client.ts';
import { createFeedPool } from '../server/database/connection.ts';
import { createLogger, type Logger } from '../server/logger.ts';
import { readLog } from '../server/log/reader.ts';
import { Pruner, pruneBy } from '../server/database/pruner.ts';
import { pruneEvents } from '../server/log/retention.ts';
import { prunes } from '../server/prunes.ts';
import { appendPosts } from './support/append-sql.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

const DAY = 86_400_000;

const headOf = async (pool: pg.Pool) =>
  (await pool.query<{ seq: number; floor: number }>('select seq, floor from feed_head')).rows[0];

describe('pruning', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let pruner: Pruner;

  const newPruner = () =>
    new Pruner({ pool, log: createLogger('silent'), prunes: prunes({ eventRetention: 7 * DAY }) });

  beforeEach(async () => {
    database = await createDatabase();
    pool = createFeedPool(database.url, createLogger('silent'), 4);
    pruner = newPruner();
  });
  afterEach(async () => {
    await pruner.stop();
    await pool.end();
    await database.drop();
  });

  /** Events in the log, of which the first are this many days old. */
  const fill = async (old: number, young: number, days = 8) => {
    await pool.query(
      appendPosts(
        `select 'post:deleted', n, json_build_object('id', n) from generate_series(1, ${old + young}) n`,
      ),
    );
    while ((await pool.query('select * from number_events(500)')).rowCount);
    await pool.query(`update event_log set created_at = now() - interval '${days} days' where seq <= ${old}`);
  };

  it('takes away what is older than the retention, in many small steps, and moves the floor with it', async () => {
    await fill(4500, 20);
    await pruner.prune();
    expect(await headOf(pool)).to.include({ seq: 4520, floor: 4500 });
    expect((await readLog(pool, 4500)).map(({ seq }) => seq)).to.deep.equal(
      Array.from({ length: 20 }, (_, at) => 4501 + at),
    );
    await pruner.prune();
    expect(await headOf(pool)).to.include({ floor: 4500 });
  });

  it('takes nothing that is young, and leaves the head where it is when everything is old', async () => {
    await fill(30, 0, 6);
    await pruner.prune();
    expect(await headOf(pool)).to.include({ seq: 30, floor: 0 });
    await pool.query(`update event_log set created_at = now() - interval '8 days'`);
    await pruner.prune();
    expect(await headOf(pool)).to.include({ seq: 30, floor: 30 });
    await fill(0, 1);
    expect((await readLog(pool, 30)).map(({ seq }) => seq)).to.deep.equal([31]);
  });

  it('does no harm when several nodes prune while events are numbered', async () => {
    await fill(6000, 0);
    const others = [1, 2, 3].map(newPruner);
    await Promise.all([
      ...others.map((other) => other.prune()),
      (async () => {
        for (let at = 0; at < 50; at += 1) await fill(0, 1);
      })(),
    ]);
    expect(await headOf(pool)).to.include({ seq: 6050, floor: 6000 });
    expect(await readLog(pool, 6000)).to.have.lengthOf(50);
  });

  it('lets one process at a time prune the log, so that numbering does not wait behind all of them', async () => {
    await fill(100, 0);
    const numbering = await pool.connect();
    let ended = 0;
    try {
      await numbering.query('begin; select from feed_head for no key update');
      const pruned = [1, 2, 3].map(async () => {
        const count = await pruneEvents(7 * DAY).run(pool, 2000);
        ended += 1;
        return count;
      });
      await until('two of them to have left it to the third', () => ended === 2);
      await numbering.query('commit');
      expect((await Promise.all(pruned)).sort()).to.deep.equal([0, 0, 100]);
    } finally {
      numbering.release();
    }
  });

  it('reads few rows of a large log', async () => {
    const events = 100_000;
    // The service's own connections do not wait for so long.
    const large = `
      insert into event_log (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data, created_at)
      select n, n, 'post:created', 'post', n, 'public', array['feed', 'thread:' || n % 1000, 'tag:t' || n % 50], '{}', '{}',
        now() - interval '8 days' + n * interval '1 second' from generate_series(1, ${events}) n;
      insert into event_topics (topic, seq)
        select t.topic, e.seq from event_log e, probed_topics(e.audience, e.topics, e.departure) t (topic);
      update feed_head set seq = ${events};
      analyze event_log;
      analyze event_topics;
    `;
    await withConnection(database.url, { name: 'test' }, (client) => client.query(large));
    const client = await pool.connect();
    const read = async () =>
      (
        await client.query<{ read: number }>(
          `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::integer as read
           from pg_stat_xact_user_tables where relname in ('event_log', 'event_topics')`,
        )
      ).rows[0]!.read;
    try {
      await client.query('begin');
      const before = await read();
      expect(await pruneEvents(7 * DAY).run(client as unknown as pg.Pool, 2000)).to.equal(2000);
      // Each event twice, and its two topics.
      expect((await read()) - before).to.be.within(2000, 5 * 2000);
      await client.query('rollback');
    } finally {
      client.release();
    }
  });

  it('goes on with the other steps when one fails, and says once what is not deleted', async () => {
    const lines: [level: string, fields: object][] = [];
    const noted = (level: string) => (fields: object) => void lines.push([level, fields]);
    const log = { info: noted('info'), warn: noted('warn') } as unknown as Logger;
    const one = new Pruner({
      pool,
      log,
      prunes: [pruneBy('things', 'delete from things where $1 > 0'), pruneEvents(7 * DAY)],
    });
    await fill(10, 0);
    await one.prune();
    expect(await headOf(pool)).to.include({ seq: 10, floor: 10 });
    await one.prune();
    await pool.query('create table things ()');
    await one.prune();
    expect(lines).to.deep.equal([
      ['warn', { failed: { things: 'error: relation "things" does not exist' } }],
      ['info', { what: 'things' }],
    ]);
  });

  it('takes away ended sessions, old revocations and the idempotency keys of yesterday, and no others', async () => {
    await pool.query(`
      insert into users (id, email, username, password_hash) values (1, 'a@example.org', 'alice', 'x');
      insert into sessions (id, user_id, expires_at) values
        ('00000000-0000-4000-8000-000000000001', 1, now() - interval '25 hours'),
        ('00000000-0000-4000-8000-000000000002', 1, now() - interval '23 hours'),
        ('00000000-0000-4000-8000-000000000003', 1, now() + interval '1 hour');
      insert into sessions (id, user_id, expires_at, revoked_at) values
        ('00000000-0000-4000-8000-000000000004', 1, now() + interval '1 year', now() - interval '25 hours'),
        ('00000000-0000-4000-8000-000000000005', 1, now() + interval '1 year', now() - interval '23 hours'),
        ('00000000-0000-4000-8000-000000000006', 1, now() + interval '1 year', null),
        ('00000000-0000-4000-8000-000000000007', 1, now() + interval '1 hour', now() - interval '25 hours');
      insert into api_keys (session_id, hash, name, scopes)
        select id, sha256(id::text::bytea), 'a bot', '{read}' from sessions where expires_at > now() + interval '1 day';
      insert into refresh_tokens (hash, session_id, expires_at)
        select sha256(n::text::bytea), ('00000000-0000-4000-8000-00000000000' || 1 + n % 3)::uuid, now() from generate_series(1, 9000) n;
      create function refuse_many() returns trigger language plpgsql as $$
        begin
          if (select count(*) from gone) > 2000 then raise 'too many at once'; end if;
          return null;
        end $$;
      create trigger refuse_many after delete on refresh_tokens referencing old table as gone execute function refuse_many();
      insert into revocations (user_id, created_at) values (1, now() - interval '49 hours'), (1, now() - interval '47 hours');
      insert into idempotency_keys (user_id, key, request_hash, created_at) values
        (1, 'old', '\\x00', now() - interval '25 hours'), (1, 'young', '\\x00', now() - interval '23 hours');
    `);
    await pruner.prune();
    const left = await pool.query(`
      select (select string_agg(right(id::text, 1), '' order by id) from sessions) as sessions, (select count(*) from refresh_tokens) as tokens, (select count(*) from revocations) as revocations,
        (select string_agg(key, ',') from idempotency_keys) as keys`);
    expect(left.rows[0]).to.deep.equal({ sessions: '23567', tokens: 6000, revocations: 1, keys: 'young' });
  });

  it('leaves what somebody has locked for the next time, and waits for nobody', async () => {
    await pool.query(
      `insert into users (email, username, password_hash) values ('a@example.org', 'ada', 'x')`,
    );
    await pool.query(
      `insert into posts (owner_id, title, content) select id, 'One', '' from users, generate_series(1, 2)`,
    );
    await pool.query(
      `insert into vote_notices (post_id, pending, told_at) select id, false, now() - interval '1 hour' from posts`,
    );
    const left = async () => (await pool.query('select post_id from vote_notices')).rowCount;
    const other = await pool.connect();
    try {
      await other.query('begin');
      await other.query('select from vote_notices order by post_id limit 1 for update');
      await pruner.prune();
      expect(await left()).to.equal(1);
      await other.query('rollback');
    } finally {
      other.release();
    }
    await pruner.prune();
    expect(await left()).to.equal(0);
  });

  it('takes away words of searches that no post has any more, in a few rounds', async () => {
    await pool.query(`insert into search_words (word) values ('forgotten')`);
    // One marks it, one notes who may have seen it without the mark, and one deletes it when these have ended.
    await until('the word to be gone', async () => {
      await pruner.prune();
      return (await pool.query('select from search_words')).rowCount === 0;
    });
  });
});
