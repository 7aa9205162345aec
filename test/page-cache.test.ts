import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import { Database } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { FeedReader } from '../server/posts/feed-reader.ts';
import { UnfoldedPosts } from '../server/posts/unfolded-posts.ts';
import { type ListPosts } from '../server/posts/schemas.ts';
import { appendPosts } from './support/append-sql.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

/** What a reader answers, as a client would read it. */
interface Seen {
  title: string;
  votes: number;
  voted: boolean;
}

describe('pages of the feed that are kept', () => {
  let database: TestDatabase;
  let db: Database;
  let reader: FeedReader;

  // As another node would: the reader is notified of nothing.
  const run = (sql: string) => db.sequelize.query(sql);
  const list = (sort: ListPosts['sort']): ListPosts => ({
    limit: 10,
    skip: 0,
    search: '',
    sort,
    view: 'all',
    replies: false,
  });
  const page = async (viewer = 1, sort: ListPosts['sort'] = 'new'): Promise<Seen[]> =>
    JSON.parse(String((await reader.read(viewer, list(sort), { senders: [`u${viewer}`] })).json)) as Seen[];
  const titles = async (viewer = 1) => (await page(viewer)).map((post) => post.title);
  const insert = (title: string, published = true) => `
    with post as (
      insert into posts (owner_id, title, content, published) values (1, '${title}', '', ${published}) returning id
    ), tally as (
      insert into post_tallies (post_id, hot) select id, 0 from post
    )`;
  const write = (title: string) =>
    run(
      `${insert(title)} ${appendPosts(`select 'post:created', id, json_build_object('id', id) from post`)}`,
    );
  const number = () => run('select * from number_events(100)');

  beforeEach(async () => {
    database = await createDatabase();
    db = new Database({ url: database.url, pool: 5, log: createLogger('silent') });
    const unfolded = new UnfoldedPosts(db, () => undefined);
    reader = new FeedReader(db, (milliseconds) => unfolded.catchUp(milliseconds));
    await run(`insert into users (email, username, password_hash)
      values ('a@example.org', 'ann', 'x'), ('b@example.org', 'bob', 'x')`);
    await write('one');
    await number();
    expect(await titles()).to.deep.equal(['one']);
  });
  afterEach(async () => {
    await db.close();
    await database.drop();
  });

  it('are given out again for a moment, and read again after it whatever happened', async () => {
    // By hand, with no event: nothing but time can tell. The moment may be over before the second look.
    let changes = 0;
    await until('a page to be given out again', async () => {
      const before = await titles();
      await run(`update posts set title = 'by hand ${(changes += 1)}'`);
      return isDeepStrictEqual(await titles(), before);
    });
    await until('the change by hand', async () => (await titles())[0] === `by hand ${changes}`, 2000);
  });

  it('show a write at once, before it has its number and after', async () => {
    await write('two');
    expect(await titles()).to.deep.equal(['two', 'one']);
    expect(await titles()).to.deep.equal(['two', 'one']);
    const before = (await reader.read(1, list('new'), { senders: ['u1'] })).seq;
    await number();
    const { seq } = await reader.read(1, list('new'), { senders: ['u1'] });
    expect([before, seq]).to.deep.equal([1, 2]);
    await write('three');
    await number();
    expect(await titles()).to.deep.equal(['three', 'two', 'one']);
  });

  it('show a commit that was in progress while they were read', async () => {
    const slow = await db.sequelize.transaction();
    await db.sequelize.query(
      `${insert('slow')} ${appendPosts(`select 'post:created', id, json_build_object('id', id) from post`)}`,
      { transaction: slow },
    );
    expect(await titles()).to.deep.equal(['one']);
    await slow.commit();
    expect(await titles()).to.deep.equal(['slow', 'one']);
  });

  for (const sort of ['new', 'top', 'hot'] as const) {
    it(`show a vote at once, and to the voter that it is theirs: sort=${sort}`, async () => {
      expect(await page(2, sort)).to.containSubset([{ votes: 0, voted: false }]);
      await run(`select * from cast_votes('{2}', '{1}', '{true}', true)`);
      expect(await page(2, sort)).to.containSubset([{ votes: 1, voted: true }]);
      expect(await page(1, sort)).to.containSubset([{ votes: 1, voted: false }]);
      // One comes and one goes in one statement: the tally stays as it was, and yet both see their own.
      await run(`select * from cast_votes('{1,2}', '{1,1}', '{true,false}', true)`);
      expect(await page(1, sort)).to.containSubset([{ votes: 1, voted: true }]);
      expect(await page(2, sort)).to.containSubset([{ votes: 1, voted: false }]);
    });
  }

  it('show a draft to its owner at once, and to nobody else', async () => {
    await run(`${insert('draft', false)} select 1`);
    expect(await titles(1)).to.deep.equal(['draft', 'one']);
    expect(await titles(2)).to.deep.equal(['one']);
  });

  it('are forgotten with the numbering that they belong to', async () => {
    await run(`update posts set title = 'of another database'`);
    await run('update feed_head set epoch = gen_random_uuid()');
    expect(await titles()).to.deep.equal(['of another database']);
  });
});
