import { expect } from 'chai';
import fc from 'fast-check';
import type pg from 'pg';
import { Sequelize } from 'sequelize';
import { schemaDrift } from '../server/database/drift.ts';
import { migrate } from '../server/database/migrate.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { searchPage } from '../server/posts/search-page.ts';
import { contains, wordsOf } from '../server/text/fold.ts';
import { createEmptyDatabase, query } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** Many posts as a node of the version before writes them: without what searches need. */
const OLD_NODE = `
  with post as (
    insert into posts (owner_id, title, content, listed_at)
    select $1, title, content, now() - n * interval '1 second'
    from unnest($2::text[], $3::text[]) with ordinality as t (title, content, n) returning id
  )
  insert into post_tallies (post_id, votes, hot) select id, id % 7, id % 11 from post`;

const WORDS = [
  ...[
    'the',
    'ferry',
    'late',
    'Straße',
    'İstanbul',
    'naïve',
    'C++',
    '50%',
    'snake_case',
    `o'clock`,
    'back\\slash',
  ],
  ...[
    'привет',
    'Ёлка',
    'ΟΔΟΣ',
    'مُحَمَّد',
    'שָׁלוֹם',
    'ไม่',
    'हिन्दी',
    'ガギグ',
    '鯨の歌',
    '我能吞下玻璃',
    '한국어',
    '👩‍👩‍👧🎉',
    'e\u0301te\u0301',
  ],
];

describe('searches', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  let seed = 1;
  /** Even enough, and the same in each run. */
  const pick = <T>(list: readonly T[]): T => list[(seed = (seed * 48_271) % 2_147_483_647) % list.length]!;

  before(async () => {
    world = await createWorld();
    [ada, bob] = [await world.user(), await world.user()];
    const phrase = (words: number) => Array.from({ length: words }, () => pick(WORDS)).join(' ');
    const posts = Array.from({ length: 3000 }, () => [phrase(2), phrase(1 + (seed % 4))] as const);
    for (const [user, part] of [
      [ada, posts.slice(0, 2500)],
      [bob, posts.slice(2500)],
    ] as const)
      await world.pool.query(OLD_NODE, [
        user.id,
        part.map(([title]) => title),
        part.map(([, content]) => content),
      ]);
    await world.pool.query('analyze');
  });
  after(() => world.close());

  const ask = (search: string, rest = '') =>
    ada.get<PostAnswer[]>(`/posts?limit=100&search=${encodeURIComponent(search)}${rest}`);

  /** How many posts the statements of this transaction have read. */
  async function postsRead(client: pg.PoolClient): Promise<number> {
    const { rows } = await client.query<{ read: number }>(
      `select (seq_tup_read + idx_tup_fetch)::integer as read from pg_stat_xact_user_tables where relname = 'posts'`,
    );
    return rows[0]!.read;
  }

  async function everyPage(search: string, rest: string): Promise<number[]> {
    const ids: number[] = [];
    let path: string | undefined = `/posts?limit=60&search=${encodeURIComponent(search)}${rest}`;
    while (path !== undefined) {
      const answer: Awaited<ReturnType<typeof ask>> = await ada.get<PostAnswer[]>(path);
      expect(answer.status, search).to.equal(200);
      ids.push(...answer.body.map(({ id }) => id));
      path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    return ids;
  }

  it('wait for the posts that nodes of the version before have written, and miss none', async () => {
    let answer = await ask('istanbul', '&sort=top');
    // A slow machine is not done within the time of one request.
    await until('a search to find them', async () => {
      if (answer.status === 503) answer = await ask('istanbul', '&sort=top');
      return answer.status !== 503;
    });
    expect(answer.status).to.equal(200);
    expect(answer.body).to.have.lengthOf(100);
    const { rows } = await world.pool.query('select from posts where search_fold is distinct from 1');
    expect(rows).to.be.empty;
  });

  it('find what contains all words, in every order, with the index and without', async () => {
    const { rows: posts } = await world.pool.query<
      Record<'title' | 'content', string> & { id: number; owner: number }
    >('select id::integer, owner_id::integer as owner, title, content from posts');
    const word = fc.constantFrom(...WORDS);
    const part = fc.tuple(word, fc.nat(5), fc.integer({ min: 1, max: 5 })).map(([of, from, length]) => {
      const characters = Array.from(of);
      return characters.slice(from % characters.length, (from % characters.length) + length).join('');
    });
    const asked = fc.sample(
      fc.tuple(
        fc.array(fc.oneof(word, part, fc.constantFrom('qx', '鯨鯨', 'ы', '%', '_', 'tt')), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.constantFrom('new', 'top', 'hot'),
        fc.boolean(),
      ),
      { numRuns: 40, seed: 7 },
    );
    const answers = async () => {
      const all: number[][] = [];
      for (const [words, sort, own] of asked)
        all.push(await everyPage(words.join(' '), `&sort=${sort}${own ? `&owner_id=${bob.id}` : ''}`));
      return all;
    };
    const indexed = await answers();
    for (const [at, [words, sort, own]] of asked.entries()) {
      const wanted = posts.filter(
        (post) =>
          (!own || post.owner === bob.id) && contains(wordsOf(words.join(' ')), post.title, post.content),
      );
      const ids = indexed[at]!;
      expect(
        [...ids].sort((a, b) => a - b),
        `${words.join(' ')} by ${sort}`,
      ).to.deep.equal(wanted.map(({ id }) => id).sort((a, b) => a - b));
    }
    const { rows } = await world.pool.query<{ index: string }>(
      `select pg_get_indexdef('posts_search_keys_idx'::regclass) as index`,
    );
    await world.pool.query('drop index posts_search_keys_idx');
    try {
      expect(await answers()).to.deep.equal(indexed);
    } finally {
      await world.pool.query(rows[0]!.index);
    }
  });

  it('read no more posts than are found, of a rare word in any script', async () => {
    const client = await world.pool.connect();
    try {
      await client.query('vacuum posts'); // what waits to be sorted into the index would be read as well
      for (const search of [
        'xylophone',
        'qx',
        'привыкший',
        'ыщ',
        'نادرة',
        '鯨鯨',
        '고래',
        'ὀξύς',
        'หายาก',
        '🦑🐙',
        'ガガ',
      ]) {
        const { id } = await writePost(bob, { title: `— ${search} —` });
        await client.query('begin');
        const before = await postsRead(client);
        const { rows: found } = await client.query<{ id: string }>(
          `select unnest(c.hits) as id
           from search_queries($1) q,
             search_candidates(q.queries, q.rough, array['%' || $2 || '%'], 1000, 0, $3, true, false) c`,
          [wordsOf(search), wordsOf(search)[0], id],
        );
        const read = (await postsRead(client)) - before;
        await client.query('rollback');
        expect(
          found.map((row) => Number(row.id)),
          search,
        ).to.deep.equal([id]);
        expect(read, search).to.be.within(1, 5);
        expect((await ask(search)).body.map((post) => post.id)).to.deep.equal([id]);
      }
    } finally {
      client.release();
    }
  });

  it('read the posts that have a word once, though none of the newest has it', async () => {
    const { rows: old } = await world.pool.query<{ id: number }>(
      'select id::integer from posts order by listed_at limit 2000',
    );
    const ids = old.map(({ id }) => id);
    await world.pool.query(`update posts set content = 'erstwhile ' || content where id = any ($1)`, [ids]);
    await until('the edits to be found', async () => (await ask('erstwhile')).status === 200);
    await world.pool.query('vacuum analyze posts');
    // One connection in one transaction: what the service itself reads meanwhile does not count.
    const sequelize = new Sequelize(world.databaseUrl, { logging: false, pool: { max: 1, min: 1 } });
    const counted = async () => {
      const [[row]] = (await sequelize.query(
        `select (seq_tup_read + idx_tup_fetch)::integer as read from pg_stat_xact_user_tables where relname = 'posts'`,
      )) as [{ read: number }[], unknown];
      return row!.read;
    };
    await sequelize.query('begin');
    try {
      for (const sort of ['new', 'top', 'hot'] as const) {
        const before = await counted();
        const page = await searchPage(sequelize, {
          list: { limit: 1, skip: 0, search: 'erstwhile', sort, view: 'all', replies: false },
          cursor: undefined,
          draftsOf: undefined,
          homeOf: undefined,
          hiddenFrom: undefined,
          words: ['erstwhile'],
        });
        expect(page.ids, sort).to.have.lengthOf(1);
        expect(await counted(), sort).to.be.within(before + 1, before + 2300);
      }
    } finally {
      await sequelize.close();
    }
  });

  it('pass over the posts of an account that is being deleted, and continue behind them', async () => {
    const gone = await world.user();
    await world.pool.query(OLD_NODE, [
      gone.id,
      Array.from({ length: 250 }, () => 'farewell'),
      Array.from({ length: 250 }, () => ''),
    ]);
    const kept = await writePost(ada, { title: 'a last farewell' });
    await world.pool.query(`update posts set listed_at = now() - interval '1 day' where id = $1`, [kept.id]);
    await world.pool.query(
      `with task as (insert into account_tasks (user_id, kind, worked_at) values ($1, 'delete', 'infinity'))
       update users set deleted_at = now() where id = $1`,
      [gone.id],
    );
    try {
      for (const sort of ['new', 'top', 'hot']) {
        const answer = await ada.get<PostAnswer[]>(`/posts?limit=1&search=farewell&sort=${sort}`);
        expect(
          answer.body.map(({ id }) => id),
          sort,
        ).to.deep.equal([kept.id]);
      }
    } finally {
      await world.pool.query('delete from users where id = $1', [gone.id]);
    }
  });

  it('know the text of an edit, whoever made it', async () => {
    const post = await writePost(ada, { title: 'before zugzwang', content: '' });
    await ada.patch(`/posts/${post.id}`, { title: 'meanwhile zwischenzug' });
    expect((await ask('zugzwang')).body).to.be.empty;
    expect((await ask('zwischenzug')).body).to.have.lengthOf(1);
    // As a node of the version before would: it knows nothing of what else has to change.
    await world.pool.query(`update posts set title = 'after ÉPÉE', version = version + 1 where id = $1`, [
      post.id,
    ]);
    await until(
      'the page of before to be forgotten',
      async () => (await ask('zwischenzug')).body.length === 0,
    );
    expect((await ask('epee')).body).to.have.lengthOf(1);
  });

  it('know an edited text as they know a new one, whatever signs are in it', async () => {
    const { id } = await writePost(ada);
    const columns = async (post: number) => {
      const { rows } = await world.pool.query(
        'select title, content, search_text, search_fold from posts where id = $1',
        [post],
      );
      return rows[0] as object;
    };
    const text = fc.oneof(
      fc.constantFrom(
        'US$ 5',
        'us$now',
        'a $1 b',
        '$$',
        '($sequelize_1)',
        ':name ?',
        `$'$$`,
        `\\$2 ''`,
        '%s $& {}',
        '@$now',
      ),
      fc.string({
        unit: fc.constantFrom('$', '1', ':', '?', "'", '\\', '_', 'a', ' ', '"', '&'),
        minLength: 1,
      }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((any) => !any.includes('\0')),
    );
    await fc.assert(
      fc.asyncProperty(text, text, fc.boolean(), async (first, content, whole) => {
        const title = `x${first}`;
        const edited = whole
          ? await ada.put(`/posts/${id}`, { title, content })
          : await ada.patch(`/posts/${id}`, { title, content });
        expect(edited.status, JSON.stringify(edited.body)).to.equal(200);
        const fresh = await writePost(ada, { title, content });
        expect(await columns(id)).to.deep.equal(await columns(fresh.id));
      }),
      {
        numRuns: 60,
        examples: [
          ['US$ 5', 'us$now $$ $1 $sequelize_2', true],
          ['us$now', '', false],
        ],
      },
    );
  });

  it('are refused for a while, rather than answered with less, when posts cannot be prepared', async () => {
    const client = await world.pool.connect();
    try {
      await client.query('begin');
      await client.query(
        `update posts set content = content || ' unheard' where id = (select max(id) from posts)`,
      );
      await client.query('commit; begin; select from posts order by id desc limit 1 for update');
      const answer = await ask('unheard');
      expectProblem(answer, 503, 'unavailable');
      expect(answer.headers.get('retry-after')).to.equal('5');
      expect((await ada.get('/posts')).status).to.equal(200);
    } finally {
      await client.query('rollback');
      client.release();
    }
    expect((await ask('unheard')).body).to.have.lengthOf(1);
  });

  it('have their index in the models as in the migrations', async () => {
    const database = await createEmptyDatabase();
    try {
      const without = await schemaDrift(database.url, {
        actual: migrate,
        wanted: async (url) => {
          await migrate(url);
          await query(url, 'drop index posts_search_keys_idx');
        },
      });
      expect(without.up, 'a difference that is there is seen').to.have.lengthOf(1);
      expect(without.up[0]).to.contain('posts_search_keys_idx');
      expect((await schemaDrift(database.url)).up).to.be.empty;
    } finally {
      await database.drop();
    }
  });
});
