import { expect } from 'chai';
import { QueryTypes } from 'sequelize';
import { Database } from '../server/database/connection.ts';
import { prepared } from '../server/database/prepared.ts';
import { createLogger } from '../server/logger.ts';
import { readFeedPage } from '../server/posts/feed-page.ts';
import { threadPage } from '../server/posts/thread-page.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

describe('statements that run often', () => {
  let database: TestDatabase;
  /** Of one connection, so that what it has prepared can be asked for. */
  let db: Database;

  const rowsOf = <T extends object>(text: string, ...bind: unknown[]) =>
    db.share('service').query<T>(text, { type: QueryTypes.SELECT, bind });
  const plansOf = (text: string) =>
    rowsOf<{ name: string; generic: number }>(
      'select name, generic_plans::integer as generic from pg_prepared_statements where statement = $1 order by name',
      text,
    );

  beforeEach(async () => {
    database = await createDatabase();
    db = new Database({ url: database.url, pool: 1, log: createLogger('silent') });
  });
  afterEach(async () => {
    await db.close();
    await database.drop();
  });

  it('are planned once by a connection, and anew as it grows older', async () => {
    const text = prepared('select id from users where id = $1');
    for (let times = 0; times < 10; times += 1) await rowsOf(text, times);
    const [plan] = await plansOf(text);
    expect(plan?.generic).to.be.greaterThan(0);
    await until('another plan', async () => {
      await rowsOf(text, 1);
      const [now, ...others] = await plansOf(text);
      expect(others, 'plans of before').to.deep.equal([]);
      return now?.name !== plan?.name;
    });
  });

  it('are not prepared unless they say so', async () => {
    const text = 'select id from users where id = $1 and true';
    await rowsOf(text, 1);
    expect(await plansOf(text)).to.deep.equal([]);
  });

  describe('where somebody has changed what they answer with', () => {
    const answering = (type: string) => `
      drop function if exists changing(integer);
      create function changing(asked integer) returns table (answer ${type}) language sql as 'select asked::${type}'`;
    const text = prepared('select * from changing($1)');

    beforeEach(async () => {
      await db.sequelize.query(answering('integer'));
      expect(await rowsOf(text, 5)).to.deep.equal([{ answer: 5 }]);
      await db.sequelize.query(answering('text'));
    });

    it('answer so', async () => {
      expect(await rowsOf(text, 6)).to.deep.equal([{ answer: '6' }]);
      expect(await rowsOf(text, 7)).to.deep.equal([{ answer: '7' }]);
      expect(await plansOf(text)).to.have.length(1);
    });

    it('have their transaction tried again', async () => {
      let tries = 0;
      const rows = await db.transaction((transaction) => {
        tries += 1;
        return db.sequelize.query(text, { type: QueryTypes.SELECT, bind: [8], transaction });
      });
      expect(rows).to.deep.equal([{ answer: '8' }]);
      expect(tries).to.equal(2);
    });
  });

  it('read no more of tables that have grown and were not analyzed since', async () => {
    await db.sequelize.query(`
      insert into users (email, username, password_hash)
        select n || '@example.org', 'user' || n, 'x' from generate_series(1, 1000) n;
      alter table posts set (autovacuum_enabled = off);
      alter table post_tallies set (autovacuum_enabled = off);
      insert into posts (owner_id, title, content, listed_at)
        select 1 + n % 1000, 'Post', 'Some sentences.', now() - n * interval '1 minute' from generate_series(1, 30000) n;
      insert into posts (owner_id, content, parent_id, root_id, ancestors)
        select 1, 'A reply', 1, 1, '{1}' from generate_series(1, 5000) n;
      insert into post_tallies (post_id, root_id, votes, hot, replies)
        select id, root_id, id % 50, id, case id when 1 then 5000 else 0 end from posts;`);
    const base = { limit: 10, skip: 0, search: '', view: 'all', replies: false } as const;
    const scope = { draftsOf: undefined, homeOf: undefined, hiddenFrom: 1, cursor: undefined };
    const share = db.share('service');
    const pages = {
      new: () => readFeedPage(share, { ...scope, list: { ...base, sort: 'new' } }),
      top: () => readFeedPage(share, { ...scope, list: { ...base, sort: 'top' } }),
      hot: () => readFeedPage(share, { ...scope, list: { ...base, sort: 'hot' } }),
      thread: () => threadPage(share, { id: 1 }, 1, { limit: 10, sort: 'old' }),
    };
    const seen = async () => {
      await rowsOf('select pg_stat_force_next_flush()');
      const [row] = await rowsOf<{ rows: number }>(
        `select sum(seq_tup_read + idx_tup_fetch)::float8 as rows from pg_stat_user_tables
         where relname in ('posts', 'post_tallies', 'users')`,
      );
      return row?.rows ?? NaN;
    };
    for (const [name, read] of Object.entries(pages)) {
      const before = await seen();
      for (let times = 0; times < 7; times += 1) await read();
      expect((await seen()) - before, name).to.be.lessThan(1000);
    }
  });
});
