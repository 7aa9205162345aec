import { expect } from 'chai';
import fc from 'fast-check';
import pg from 'pg';
import { Sequelize } from 'sequelize';
import { migrate, migrateDown } from '../server/database/migrate.ts';
import { readCursor, type Sort } from '../server/posts/cursor.ts';
import { Unprepared } from '../server/posts/list-statement.ts';
import { searchPage } from '../server/posts/search-page.ts';
import { linesOf, searchable, wordsOfAll } from '../server/posts/searchable.ts';
import { contains, wordsOf } from '../server/text/fold.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';

const INDEX = 'posts_search_keys_idx';
const SORTS = ['new', 'top', 'hot'] as const;

interface Row {
  id: number;
  owner: number;
  published: boolean;
  title: string | null;
  content: string;
  tags: string[];
  /** Whether it is a reply, and whether the thread of one is public. */
  reply: boolean;
  threadPublished: boolean;
  key: Record<Sort, string>;
}

interface Asked {
  words: string[];
  sort: Sort;
  limit: number;
  skip: number;
  owner: number | undefined;
  viewer: number | undefined;
  draftsOnly: boolean;
  tag?: string | undefined;
  replies?: boolean;
}

/** The index of searches is asked for blocks of 2,048 ids: see the migration 20261128003018. */
describe('searches block by block', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let sequelize: Sequelize;

  before(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 3 });
    sequelize = new Sequelize(database.url, { logging: false, pool: { max: 2 } });
    await sequelize.authenticate();
    await pool.query(`
      insert into users (email, username, password_hash)
      select 'u' || n || '@example.org', 'user' || n, 'x' from generate_series(1, 3) n`);
  });
  after(async () => {
    await sequelize.close();
    await pool.end();
    await database.drop();
  });

  interface Written {
    id: number;
    owner?: number;
    title: string;
    published?: boolean;
    votes?: number;
    hot?: number;
    /** Seconds ago. */
    age?: number;
    tags?: string[];
    /** What a reply answers: a post that is none. */
    parent?: number | undefined;
  }

  async function write(posts: readonly Written[]): Promise<void> {
    const searched = posts.map(({ title }) => searchable({ title, content: '' }));
    const repliesOf = (id: number) => posts.filter(({ parent }) => parent === id).length;
    // Each second post as of a node of the version before, which knows no keys.
    await pool.query(
      `with a as materialized (
         select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::boolean[], $5::integer[], $6::float8[], $7::integer[],
                              $8::text[], $9::text[], $11::text[], $12::bigint[], $13::integer[])
           as a (id, owner, title, published, votes, hot, age, text, keys, tags, parent, replies)
       ), post as (
         insert into posts (id, owner_id, title, content, published, listed_at, search_text, search_keys, search_fold, tags,
                            parsed_at, parent_id, root_id, ancestors)
         select id, owner, case when parent is null then title end, case when parent is null then '' else title end,
                published, now() - age * interval '1 second', text, array_to_tsvector(string_to_array(keys, chr(10))), 1,
                string_to_array(tags, ' '), now(), parent, parent, case when parent is not null then array[parent] end
         from a, add_search_words($10) returning id
       )
       insert into post_tallies (post_id, root_id, votes, replies, hot)
       select a.id, a.parent, a.votes, a.replies, a.hot from a join post using (id)`,
      [
        posts.map(({ id }) => id),
        posts.map(({ owner = 1 }) => owner),
        posts.map(({ title }) => title),
        posts.map(({ published = true }) => published),
        posts.map(({ votes = 0 }) => votes),
        posts.map(({ hot = 0 }) => hot),
        posts.map(({ age = 0 }) => age),
        searched.map(({ text }) => text),
        searched.map(({ keys }, at) => (at % 2 === 0 ? linesOf(keys) : null)),
        wordsOfAll(searched),
        posts.map(({ tags = [] }) => tags.join(' ')),
        posts.map(({ parent }) => parent ?? null),
        posts.map(({ id }) => repliesOf(id)),
      ],
    );
  }

  const empty = () => pool.query('truncate posts, post_tallies, post_tags cascade');

  /** As little as possible at a time, so that few posts are many. */
  const LITTLE = { walked: 1, asked: 10 };

  async function page(asked: Asked, cursor: string | undefined, effort?: typeof LITTLE) {
    const { words, sort, limit, owner, viewer, draftsOnly, tag, replies = false } = asked;
    return searchPage(
      sequelize,
      {
        list: {
          limit,
          skip: cursor === undefined ? asked.skip : 0,
          search: words.join(' '),
          sort,
          view: 'all',
          replies,
          ...(owner === undefined ? {} : { owner_id: owner }),
          ...(tag === undefined ? {} : { tag }),
          ...(draftsOnly ? { published: false } : {}),
        },
        cursor: cursor === undefined ? undefined : readCursor(cursor, sort),
        draftsOf: viewer,
        homeOf: undefined,
        hiddenFrom: undefined,
        words: wordsOf(words.join(' ')),
      },
      effort,
    );
  }

  async function everyPage(asked: Asked, effort?: typeof LITTLE): Promise<number[]> {
    const ids: number[] = [];
    let cursor: string | undefined;
    do {
      const read: Awaited<ReturnType<typeof page>> = await page(asked, cursor, effort);
      expect(read.ids.length).to.be.at.most(asked.limit);
      ids.push(...read.ids);
      cursor = read.next;
    } while (cursor !== undefined);
    return ids;
  }

  async function rows(): Promise<Row[]> {
    const { rows: all } = await pool.query<Row & Record<Sort, string>>(`
      select p.id::float8, p.owner_id::integer as owner, p.published, p.title, p.content, p.tags,
             p.root_id is not null as reply, coalesce(r.published, true) as "threadPublished",
             row_number() over (order by p.listed_at desc, p.id desc)::integer as new,
             row_number() over (order by t.votes desc, p.id desc)::integer as top,
             row_number() over (order by t.hot desc, p.id desc)::integer as hot
      from posts p join post_tallies t on t.post_id = p.id left join posts r on r.id = p.root_id`);
    return all.map((row) => ({ ...row, key: { new: row.new, top: row.top, hot: row.hot } }));
  }

  /** What a reader of all posts would find. */
  function wanted(all: readonly Row[], asked: Asked): number[] {
    const { words, sort, skip, owner, viewer, draftsOnly, tag, replies = false } = asked;
    return all
      .filter((row) => (draftsOnly ? false : row.published) || (!row.published && row.owner === viewer))
      .filter((row) => owner === undefined || row.owner === owner)
      .filter((row) => tag === undefined || row.tags.includes(tag))
      .filter((row) => (replies ? row.threadPublished : !row.reply))
      .filter((row) => contains(wordsOf(words.join(' ')), row.title ?? '', row.content))
      .sort((a, b) => Number(a.key[sort]) - Number(b.key[sort]))
      .slice(skip)
      .map(({ id }) => id);
  }

  let seed = 1;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;

  /**
   * Three posts in a block on average, some blocks empty; words that are where lists end and begin, or anywhere; some with a
   * tag, and some that answer one of the first two, of which the second is a draft.
   */
  function somePosts(count: number): Written[] {
    const roots: number[] = [];
    return Array.from({ length: count }, (_, at) => {
      const old = at < count / 2;
      const votes = random(8) * (old ? 1 : 4);
      const id = 1 + at * 700 + random(600) + (at > count / 3 ? 9_000_000 : 0);
      if (at < 2) roots.push(id);
      const parent = at > 1 && random(6) === 0 ? roots[random(2)] : undefined;
      return {
        id,
        owner: 1 + random(3),
        published: parent !== undefined || (at !== 1 && random(10) > 0),
        parent,
        tags: [...(random(3) === 0 ? ['often'] : []), ...(random(40) === 0 ? ['rare'] : [])],
        votes,
        hot: random(5) + at / 50,
        age: random(20) === 0 ? random(count) : count - at,
        title: [
          'post',
          old ? 'lantern' : '',
          at < count / 10 || random(60) === 0 ? 'quarry' : '',
          votes < 2 ? 'gangway' : '',
          votes > 20 ? '鯨の歌' : '',
          random(3) === 0 ? 'thunders understood' : '',
          random(90) === 0 ? 'zugzwang' : '',
        ].join(' '),
      };
    });
  }

  const anything: fc.Arbitrary<Asked> = fc.record({
    words: fc.uniqueArray(
      fc.constantFrom(
        ...[
          'lantern',
          'quarry',
          'gangway',
          '鯨',
          '鯨の',
          'thunderstood',
          'zugzwang',
          'zu',
          'n',
          'rr',
          'post',
          'absent',
        ],
      ),
      { minLength: 0, maxLength: 2 },
    ),
    sort: fc.constantFrom(...SORTS),
    limit: fc.constantFrom(1, 2, 7, 30),
    skip: fc.constantFrom(0, 0, 1, 40),
    owner: fc.constantFrom(undefined, undefined, 1, 2),
    viewer: fc.constantFrom(undefined, 1, 2),
    draftsOnly: fc.constantFrom(false, false, true),
    tag: fc.constantFrom(undefined, undefined, 'often', 'rare', 'none'),
    replies: fc.boolean(),
  });

  /** One list in few pages, so that a run of all asks is short. */
  const shortened = (asked: Asked): Asked => ({
    ...asked,
    limit: asked.words.length === 0 ? 30 : Math.max(asked.limit, 7),
  });

  it('find what a reader of all posts would, page by page, with each form of the index and without', async () => {
    await empty();
    await write(somePosts(600));
    await pool.query('analyze posts, post_tallies');
    const asks = fc.sample(anything, { numRuns: 24, seed: 11 }).map(shortened);
    const check = async (state: string) => {
      const all = await rows();
      for (const asked of asks)
        expect(await everyPage(asked, LITTLE), `${state}: ${JSON.stringify(asked)}`).to.deep.equal(
          wanted(all, asked),
        );
    };
    await check('at first');

    // Edits, deletions, publications, votes; and posts that wait in the index to be sorted in.
    await pool.query(`
      delete from posts where id % 13 = 0;
      update posts set published = not published where id % 11 = 0 and root_id is null;
      update post_tallies set votes = votes + 30, hot = hot + 9 where post_id % 17 = 0`);
    await pool.query(
      `update posts set title = 'edited quarry', search_text = $1, search_fold = 1, parsed_at = clock_timestamp()
       where id % 19 = 0 and root_id is null`,
      [searchable({ title: 'edited quarry', content: '' }).text],
    );
    await check('after changes');

    const { rows: definitions } = await pool.query<{ index: string }>(
      `select pg_get_indexdef('${INDEX}'::regclass) as index`,
    );
    await pool.query(`drop index ${INDEX}`);
    await check('without the index');
    await pool.query(
      `create index ${INDEX} on posts using gin (coalesce(search_keys, search_keys_of(search_text)))`,
    );
    await check('with an index that knows no blocks');
    await pool.query(`drop index ${INDEX}; ${definitions[0]!.index}`);
    for (const way of ['bitmapscan', 'indexscan', 'indexonlyscan']) {
      await pool.query(`alter database ${new URL(database.url).pathname.slice(1)} set enable_${way} = off`);
    }
    await sequelize.close();
    sequelize = new Sequelize(database.url, { logging: false, pool: { max: 2 } });
    await check('with index scans forbidden');
    for (const way of ['bitmapscan', 'indexscan', 'indexonlyscan']) {
      await pool.query(`alter database ${new URL(database.url).pathname.slice(1)} reset enable_${way}`);
    }
    await sequelize.close();
    sequelize = new Sequelize(database.url, { logging: false, pool: { max: 2 } });
  });

  it('find the same whatever is tried first', async () => {
    await empty();
    await write(somePosts(500));
    const all = await rows();
    await fc.assert(
      fc.asyncProperty(
        anything,
        fc.record({ walked: fc.constantFrom(1, 3, 50), asked: fc.constantFrom(8, 40, 2000) }),
        async (asked, effort) => {
          const { ids } = await page(asked, undefined, effort);
          expect(ids).to.deep.equal(wanted(all, asked).slice(0, asked.limit));
        },
      ),
      { numRuns: 120, seed: 3 },
    );
  });

  it('are not answered while a post is not folded yet', async () => {
    await empty();
    await write(somePosts(30));
    await pool.query(`update posts set content = 'changed' where id = (select max(id) from posts)`);
    const failure = await page(
      {
        words: ['post'],
        sort: 'new',
        limit: 7,
        skip: 0,
        owner: undefined,
        viewer: undefined,
        draftsOnly: false,
      },
      undefined,
    ).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(Unprepared);
  });

  it('find posts whose ids are farther apart than any block, and those of one moment', async () => {
    await empty();
    await write(
      Array.from({ length: 700 }, (_, at) => ({
        id: 1 + at * 2 ** 33,
        title: at < 400 ? 'lantern' : 'post',
        votes: at % 3,
      })),
    );
    const all = await rows();
    for (const sort of SORTS) {
      const asked = {
        words: ['lantern'],
        sort,
        limit: 90,
        skip: 0,
        owner: undefined,
        viewer: undefined,
        draftsOnly: false,
      };
      expect(await everyPage(asked, LITTLE), sort).to.deep.equal(wanted(all, asked));
    }
  });

  it('neither miss nor repeat a post that is there all the time, during new ones, edits and deletions', async () => {
    await empty();
    await write(somePosts(600));
    const { rows: staying } = await pool.query<{ id: number }>(
      `select id::integer from posts where published and id % 3 > 0 and title like '%lantern%' order by listed_at desc, id desc`,
    );
    const ids = staying.map(({ id }) => id);
    let writing = true;
    const writer = (async () => {
      for (let n = 0; writing; n += 1) {
        await write([{ id: 50_000_000 + n * 1500, title: 'new lantern', age: -1 - n }]);
        await pool.query(`delete from posts where id = (select min(id) from posts where id % 3 = 0)`);
        await pool.query(`update posts set version = version + 1 where id = $1`, [ids[n % ids.length]]);
      }
    })();
    try {
      for (let round = 0; round < 5; round += 1) {
        const seen = await everyPage(
          {
            words: ['lantern'],
            sort: 'new',
            limit: 7,
            skip: 0,
            owner: undefined,
            viewer: undefined,
            draftsOnly: false,
          },
          LITTLE,
        );
        expect(new Set(seen).size).to.equal(seen.length);
        const among = new Set(ids);
        expect(seen.filter((id) => among.has(id))).to.deep.equal(ids);
      }
    } finally {
      writing = false;
      await writer;
    }
  });

  it('get their index while posts are written, and instead of one that was never finished', async () => {
    const other = await createDatabase();
    const client = new pg.Pool({ connectionString: other.url, max: 2 });
    try {
      expect(await migrateDown(other.url, '20261128001601-updated-after-publication.cjs')).to.not.be.empty;
      await client.query(
        `insert into users (email, username, password_hash) values ('a@example.org', 'ann', 'x')`,
      );
      await client.query(`
        insert into posts (owner_id, title, content, search_text, search_grams, search_fold)
        select 1, 'a lantern', '', 'a lantern ', array_to_tsvector('{lan,ant,nte,ter,ern}'), 1 from generate_series(1, 5000);
        insert into post_tallies (post_id, hot) select id, 0 from posts;
        create index posts_search_blocks_idx on posts (title);
        update pg_index set indisvalid = false where indexrelid = 'posts_search_blocks_idx'::regclass`);
      let written = 0;
      let migrating = true;
      const writer = (async () => {
        for (; migrating; written += 1)
          await client.query(
            `insert into posts (owner_id, title, content, search_fold) values (1, 'meanwhile', '', 1)`,
          );
      })();
      await migrate(other.url).finally(() => (migrating = false));
      await writer;
      expect(written).to.be.above(0);
      const { rows: indexes } = await client.query<{ name: string; valid: boolean; keys: number }>(
        `select c.relname as name, i.indisvalid as valid, i.indnatts as keys
         from pg_index i join pg_class c on c.oid = i.indexrelid where c.relname like 'posts_search%'`,
      );
      expect(indexes).to.deep.equal([{ name: INDEX, valid: true, keys: 2 }]);
      const { rows: found } = await client.query(
        `select id from search_page('new', $$'lan' & 'ant'$$, '{%lantern%}', 11, 0, null, null, null, null, false, 50, 2000)`,
      );
      expect(found).to.have.lengthOf(11);
    } finally {
      await client.end();
      await other.drop();
    }
  });

  /** Words that no post has, though many have all their pieces. */
  const ABSENT = ['absent', 'thunderstood', '雷雨声', 'lantern thunders', '雨里声'];

  it('read few posts for a word of many old posts, whatever the statistics say', async () => {
    await empty();
    await pool.query(
      'alter table posts set (autovacuum_enabled = off); alter table post_tallies set (autovacuum_enabled = off)',
    );
    await pool.query('analyze posts, post_tallies'); // as if they were empty
    const [plain, old] = ['some words of 雷雨里雨声 thunders understood', 'some words of an old lantern'].map(
      (title) => ({
        title,
        text: searchable({ title, content: '' }).text,
      }),
    );
    await pool.query(
      `with post as (
         insert into posts (owner_id, title, content, listed_at, search_text, search_fold)
         select 1, case when n <= 4000 then $2 else $1 end, '', now() - (40000 - n) * interval '1 minute',
                case when n <= 4000 then $4 else $3 end, 1
         from generate_series(1, 40000) n returning id, listed_at
       )
       insert into post_tallies (post_id, votes, hot) select id, id % 100, hot_rank((id % 100)::integer, listed_at) from post`,
      [plain!.title, old!.title, plain!.text, old!.text],
    );
    const client = await pool.connect();
    const counted = async () => {
      const { rows: counts } = await client.query<{ read: number }>(
        `select sum(seq_tup_read + idx_tup_fetch)::integer as read from pg_stat_xact_user_tables
         where relname in ('posts', 'post_tallies')`,
      );
      return counts[0]!.read;
    };
    try {
      for (const state of ['analyzed when they were empty', 'analyzed now']) {
        if (state === 'analyzed now') await client.query('vacuum analyze posts, post_tallies');
        for (const sort of SORTS) {
          for (const word of ['lantern', 'some', 'la', 'ome wor', ...ABSENT]) {
            await client.query('begin');
            const before = await counted();
            const { rows: found } = await client.query(
              'select id from search_page($1, $2, 11, 0, null, null, null, null, false, 50, 2000)',
              [sort, word.split(' ')],
            );
            const read = (await counted()) - before;
            await client.query('rollback');
            expect(found, word).to.have.lengthOf(ABSENT.includes(word) ? 0 : 11);
            expect(read, `${word} by ${sort}, ${state}`).to.be.below(12_000);
          }
        }
      }
    } finally {
      client.release();
    }
  });

  it('read few posts of an author, with a tag or of a thread by votes, whatever the statistics say', async () => {
    await empty();
    const tables = 'posts, post_tallies, post_tags';
    // As if nobody had ever looked at them: what the tests before have left would be kept.
    await pool.query(`
      alter table posts set (autovacuum_enabled = off);
      alter table post_tallies set (autovacuum_enabled = off);
      alter table post_tags set (autovacuum_enabled = off);
      analyze ${tables};
      delete from pg_statistic where starelid in ('posts'::regclass, 'post_tallies'::regclass, 'post_tags'::regclass)`);
    // The first 15,000 are no replies, and the others answer the first. What is rare has few votes, and what is frequent many.
    await pool.query(`
      with post as (
        insert into posts (id, owner_id, title, content, listed_at, search_fold, parsed_at, tags, parent_id, root_id, ancestors)
        select n, case when n % 50 = 0 then 2 else 1 end, case when n <= 15000 then 'x' end, '',
          now() - (20000 - n) * interval '1 minute', 1, now(),
          case when n % 1000 = 0 then '{rare}' when n % 20 = 0 then '{seldom}' when n % 10 = 9 then '{often}' else '{}' end::text[],
          case when n > 15000 then 1 end, case when n > 15000 then 1 end, case when n > 15000 then '{1}'::bigint[] end
        from generate_series(1, 20000) n returning id, root_id, listed_at
      )
      insert into post_tallies (post_id, root_id, votes, hot)
      select id, root_id, id % 100, hot_rank((id % 100)::integer, listed_at) from post`);
    const client = await pool.connect();
    const counted = async () => {
      const { rows: counts } = await client.query<{ read: number }>(
        `select sum(seq_tup_read + idx_tup_fetch)::integer as read from pg_stat_xact_user_tables
         where relname in ('posts', 'post_tallies', 'post_tags')`,
      );
      return counts[0]!.read;
    };
    const list = (sort: string, owner: number | null, tag: string | null) =>
      client.query(
        `select id from search_page($1, '{}', 11, 0, null, null, $2, null, false, 50, 2000, null, '{}', $3, false)`,
        [sort, owner, tag],
      );
    const lists: [
      what: string,
      most: number,
      found: number,
      read: (sort: string) => Promise<pg.QueryResult>,
    ][] = [
      ['a rare tag', 150, 11, (sort) => list(sort, null, 'rare')],
      ['a tag of hundreds', 6000, 11, (sort) => list(sort, null, 'seldom')],
      ['a frequent tag', 1000, 11, (sort) => list(sort, null, 'often')],
      ['an author', 1000, 11, (sort) => list(sort, 2, null)],
      ['the most frequent author', 1000, 11, (sort) => list(sort, 1, null)],
      ['a thread', 50, 30, () => client.query('select * from top_replies(1, 50, 18000, 30)')],
    ];
    try {
      for (const state of ['analyzed when they were empty', 'analyzed now']) {
        if (state === 'analyzed now') await client.query(`vacuum analyze ${tables}`);
        for (const sort of ['top', 'hot'])
          for (const [what, most, expected, read] of lists) {
            await client.query('begin');
            const before = await counted();
            const { rows: found } = await read(sort);
            const cost = (await counted()) - before;
            await client.query('rollback');
            expect(found, what).to.have.lengthOf(expected);
            expect(cost, `${what} by ${sort}, ${state}`).to.be.below(most);
          }
      }
    } finally {
      client.release();
    }
  });
});
