import { expect } from 'chai';
import pg from 'pg';
import { fillCommunity } from '../load/fill/community.ts';
import type { DatabaseShare } from '../server/database/connection-queue.ts';
import type { ThreadSort } from '../server/posts/cursor.ts';
import { readFeedPage } from '../server/posts/feed-page.ts';
import type { ListPosts, ListReplies } from '../server/posts/schemas.ts';
import { threadPage } from '../server/posts/thread-page.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';

const POSTS = 20_000;
const LIMIT = 50;
/** A page may have so many rows read: each of its posts and their tallies, twice, and a few more. */
const FEW = 5 * LIMIT;

describe('pages of a large community', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let wide: { id: number; replies: number };
  /** To read pages on the one connection whose statistics are looked at. */
  let db: Pick<DatabaseShare, 'query'>;

  before(async function () {
    this.timeout(120_000);
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
    const size = { users: 1000, posts: POSTS, followsEach: 20, votesEach: 100 };
    await fillCommunity(client, size, undefined, false);
    const { rows } = await client.query<{ id: number; replies: number }>(
      'select post_id::integer as id, replies from post_tallies order by replies desc limit 1',
    );
    wide = rows[0]!;
    const query = async (sql: string, { bind }: { bind: unknown[] }) =>
      (await client.query<object>(sql, bind)).rows;
    db = { query } as unknown as Pick<DatabaseShare, 'query'>;
  });
  after(async () => {
    await client.end();
    await database.drop();
  });

  /** How many rows of posts and of their tallies something reads. */
  async function rowsRead(read: () => Promise<unknown>): Promise<number> {
    await client.query('begin');
    try {
      const before = await rowsReadSoFar();
      await read();
      return (await rowsReadSoFar()) - before;
    } finally {
      await client.query('rollback');
    }
  }

  async function rowsReadSoFar(): Promise<number> {
    const { rows } = await client.query<{ read: number }>(
      `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::integer as read
       from pg_stat_xact_user_tables where relname in ('posts', 'post_tallies')`,
    );
    return rows[0]!.read;
  }

  for (const sort of ['old', 'new', 'top'] satisfies ThreadSort[]) {
    it(`read few replies of a wide thread, in the order ${sort}`, async () => {
      expect(wide.replies).to.be.greaterThan(2 * FEW);
      let cursor: string | undefined;
      for (let page = 0; page < 3; page += 1) {
        const list: ListReplies = { limit: LIMIT, sort, ...(cursor === undefined ? {} : { cursor }) };
        const read = await rowsRead(async () => {
          const found = await threadPage(db, { id: 1 }, wide.id, list);
          expect(found.replies).to.have.lengthOf(LIMIT);
          cursor = found.next;
        });
        expect(read, `page ${page}`).to.be.within(LIMIT, FEW);
      }
    });
  }

  for (const sort of ['new', 'top', 'hot'] satisfies ListPosts['sort'][]) {
    it(`read few posts of all, in the order ${sort}`, async () => {
      const list = { limit: LIMIT, skip: 0, search: '', sort, replies: false } as ListPosts;
      const scope = { list, cursor: undefined, draftsOf: 1, homeOf: undefined, hiddenFrom: 1 };
      const read = await rowsRead(async () => {
        expect((await readFeedPage(db, scope)).ids).to.have.lengthOf(LIMIT);
      });
      expect(read).to.be.within(LIMIT, FEW);
    });
  }
});
