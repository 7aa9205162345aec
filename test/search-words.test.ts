import { expect } from 'chai';
import fc from 'fast-check';
import pg from 'pg';
import { fold, wordsOf } from '../server/text/fold.ts';
import { keysOf } from '../server/text/keys.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

/** Letters of scripts with spaces between words and without, digits, signs and what is quoted in a query. */
const LETTERS = Array.from(`abcéßσжяבعहि가나ก็ទ海鯨の力👩🎉0%_\\'"&|!:* .-`);
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '海', '里', ' '), minLength: 1, maxLength: 120 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
);

describe('the words that searches know', () => {
  let database: TestDatabase;
  let pool: pg.Pool;

  before(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 3 });
    await pool.query(
      `insert into users (email, username, password_hash) values ('a@example.org', 'ann', 'x')`,
    );
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  const insert = `insert into posts (owner_id, title, content, search_text, search_fold) select 1, 'x', 'x', t, 1 from unnest($1::text[]) t`;
  const empty = () => pool.query('truncate posts, post_tallies, search_words cascade');
  const known = async () => {
    const { rows } = await pool.query<{ word: string }>('select word from search_words order by word');
    return rows.map(({ word }) => word);
  };
  /** Which texts the index would be asked for: all, if the words are parts of too many others. */
  const candidates = async (words: string[]) => {
    const { rows } = await pool.query<{ text: string }>(
      `select p.search_text as text from posts p, search_queries($1) as q
       where q.queries is null
         or exists (select from unnest(q.queries) u where coalesce(p.search_keys, search_keys_of(p.search_text)) @@ u)`,
      [words],
    );
    return rows.map((row) => row.text);
  };

  it('lead to every text that has the words, by any part of them, in any script', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 8 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 60 })), {
          minLength: 1,
          maxLength: 2,
        }),
        async (written, parts) => {
          const texts = written.map(fold).filter((one) => !one.includes('\0'));
          await empty();
          await pool.query(insert, [texts]);
          const words = parts.flatMap(([which, from, length]) => {
            const characters = Array.from(texts[which % Math.max(1, texts.length)] ?? '');
            const begin = characters.length === 0 ? 0 : from % characters.length;
            return wordsOf(characters.slice(begin, begin + length).join(''));
          });
          if (words.length === 0) return;
          const found = await candidates(words);
          const wanted = texts.filter((one) => words.every((word) => one.includes(word)));
          expect(found).to.include.members(wanted);
        },
      ),
      { numRuns: 150, seed: 5, examples: [[['我能吞下玻璃', 'iPhone手机'], [[0, 1, 3]]]] },
    );
  });

  it('are the same whether the service takes them from a text or the database', async () => {
    const range = (from: number, to: number) =>
      fc.integer({ min: from, max: to }).map((code) => String.fromCodePoint(code));
    const scripts = fc.string({
      unit: fc.oneof(
        fc.constantFrom(...LETTERS),
        range(0xe00, 0x109f),
        range(0x1780, 0x1aaf),
        range(0x2e80, 0x31ff),
        range(0x3400, 0x3500),
        range(0xa480, 0xa9ff),
        range(0xf900, 0xfb00),
        range(0x16fe0, 0x17000),
        range(0x1aff0, 0x1b2ff),
        range(0x1f300, 0x1f600),
        range(0x1fff0, 0x20010),
      ),
      minLength: 1,
      maxLength: 90,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(text, scripts), { minLength: 1, maxLength: 40 }),
        async (written) => {
          const texts = written.map(fold).filter((one) => !one.includes('\0'));
          const { rows } = await pool.query<{ keys: string[] }>(
            'select tsvector_to_array(search_keys_of(t.text)) as keys from unnest($1::text[]) with ordinality as t (text, at) order by at',
            [texts],
          );
          expect(rows.map(({ keys }) => new Set(keys))).to.deep.equal(
            texts.map((one) => new Set(keysOf(one).keys)),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are kept with each post and each edit, whoever writes it, once or by two at once', async () => {
    await empty();
    const [one, two] = [await pool.connect(), await pool.connect()];
    try {
      await one.query('begin');
      await one.query(insert, [['ferry lantern']]);
      // It does not wait for the other, who may never end.
      await two.query(`set lock_timeout = '2s'`);
      await two.query(insert, [['ferry quarry']]);
      await one.query('commit');
    } finally {
      await two.query('reset lock_timeout');
      one.release();
      two.release();
    }
    expect(new Set(await known())).to.deep.equal(new Set(['ferry', 'lantern', 'quarry']));
    expect(await candidates(['erry'])).to.have.lengthOf(2);
    await pool.query(insert, [['ferry quarry lantern', 'ferry 海里']]);
    await pool.query(`update posts set search_text = 'gangway' where search_text = 'ferry quarry'`);
    expect(await candidates(['gang'])).to.deep.equal(['gangway']);
    expect((await known()).filter((word) => word !== 'ferry')).to.deep.equal([
      'gangway',
      'lantern',
      'quarry',
    ]);
  });

  it('lead to no text that has their pieces in other words', async () => {
    await empty();
    await pool.query(insert, [
      [
        'thunders understood',
        '今天雷雨很大 听见雨声了',
        'громкая каятся',
        'ทะเลมา ะเลือก',
        '천둥 둥지',
        `${'a'.repeat(40)}bcxcbd`,
      ],
    ]);
    for (const word of ['thunderstood', '雷雨声', 'громкаятся', 'ทะเลือก', '천둥지', 'abcbd'])
      expect(await candidates([word]), word).to.be.empty;
    expect(await candidates(['thund', 'stood'])).to.have.lengthOf(1);
  });

  it('are asked for a few at a time where thousands have a part, and left out where others say enough', async () => {
    await empty();
    await pool.query(insert, [
      Array.from({ length: 50 }, (_, n) => Array.from({ length: 100 }, (_one, m) => `x${n}y${m}`).join(' ')),
    ]);
    await pool.query(insert, [['x1y1 rare']]);
    const queries = async (words: string[]) => {
      const { rows } = await pool.query<{ queries: number | null }>(
        'select cardinality(q.queries) as queries from search_queries($1) q',
        [words],
      );
      return rows[0]?.queries;
    };
    expect(await queries(['x'])).to.equal(null);
    expect(await queries(['x1'])).to.equal(69); // 1,100 words, sixteen in each
    expect(await queries(['x', 'rare'])).to.equal(1);
    expect(await queries(['x1', 'rare'])).to.equal(1);
    expect(await queries(['absent', 'x'])).to.equal(0);
    expect(await candidates(['x1'])).to.have.lengthOf(12);
  });

  it('are forgotten when no post has them, but not while a transaction may rely on them', async () => {
    await empty();
    await pool.query(insert, [['ferry lantern', 'quarry', `o'clock`]]);
    await pool.query(`delete from posts where search_text <> 'ferry lantern'`);
    const prune = () => pool.query(`select prune_search_words('', 100)`);
    const writer = await pool.connect();
    try {
      await writer.query('begin');
      await writer.query(insert, [['quarry gangway']]); // and so saw that the word is known
      await prune(); // marks it
      await prune(); // notes who may have seen it without the mark
      await prune();
      expect(await known()).to.include.members(['quarry', `o'clock`]);
      await writer.query('commit');
    } finally {
      writer.release();
    }
    await pool.query(insert, [[`o'clock`]]); // it is marked, and so added anew
    // Which may take more rounds while a transaction of another test is open.
    const left = (words: string[]) =>
      until('all other words to be gone', async () => {
        await prune();
        return [...new Set(await known())].join(' ') === words.join(' ');
      });
    for (let round = 0; round < 3; round += 1) await prune();
    await left(['ferry', 'gangway', 'lantern', `o'clock`, 'quarry']);
    expect(await candidates(['arry'])).to.deep.equal(['quarry gangway']);
    expect(await candidates([`o'c`])).to.deep.equal([`o'clock`]);
    await pool.query('delete from posts');
    await left([]);
  });

  it('answer nodes of the version before, which ask with pieces', async () => {
    await empty();
    await pool.query(insert, [["50% of o'clock", 'snake_case back\\slash', 'snakes']]);
    await pool.query('insert into post_tallies (post_id, hot) select id, 0 from posts');
    const { rows: ids } = await pool.query<{ id: string }>('select id from posts order by id');
    const ask = async (patterns: string[]) => {
      const { rows } = await pool.query<{ id: string }>(
        `select id from search_page('new', $1::tsquery, $2, 11, 0, null, null, null, null, false, 50, 2000)`,
        [`'pieces' & 'of':*`, patterns],
      );
      return rows.map(({ id }) => ids.findIndex((row) => row.id === id));
    };
    expect(await ask([String.raw`%50\%%`, '%clock%'])).to.deep.equal([0]);
    expect(await ask([String.raw`%e\_c%`, String.raw`%k\\s%`])).to.deep.equal([1]);
    expect(await ask(['%snake%'])).to.deep.equal([2, 1]);
  });
});
