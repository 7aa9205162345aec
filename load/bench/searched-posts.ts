import { linesOf, searchable, wordsOfAll } from '../../server/posts/searchable.ts';
import { withClient } from './stage.ts';

/** A word that is searched for, and which of the posts contain it. */
export interface SearchedWord {
  /** What kind of word it is. */
  kind: string;
  search: string;
  /** What is written into a post that has it, if that is something else; a search finds it all the same. */
  text?: string;
  /** Whether the post of this age (0 for the newest, 1 for the oldest) and number has it. */
  in: (age: number, number: number, posts: number) => boolean;
}

const never = () => false;
const everywhere = (_age: number, number: number) => number % 5 === 0;
/** In some twenty posts of the newest or the oldest twentieth. */
const few = (age: number, number: number, posts: number) =>
  number % Math.max(1, Math.floor(posts / 400)) === 0 && age < 0.05;
const fewOld = (age: number, number: number, posts: number) => few(1 - age, number, posts);
const oldTenth = (age: number) => age >= 0.9;
const oldHalf = (age: number) => age >= 0.5;

interface Script {
  rare: string;
  /** Rare, and in old posts alone. */
  rareOld: string;
  common: string;
  /** In the oldest tenth of the posts. */
  old: string;
  /** Each in a fifth of the posts, never together. */
  apart: readonly [string, string];
  /** Parts of words that overlap, which stand in one fifth of the posts; what they would be together stands in none. */
  overlapping?: readonly [first: string, second: string, together: string];
}

const SCRIPTS: Record<string, Script> = {
  'two letters': { rare: 'qx', rareOld: 'qj', common: 'ef', old: 'kz', apart: ['gv', 'wk'] },
  Latin: {
    rare: 'obelisk',
    rareOld: 'xylograph',
    common: 'ferry',
    old: 'lantern',
    apart: ['gangway', 'windlass'],
    overlapping: ['thunders', 'understood', 'thunderstood'],
  },
  Chinese: {
    rare: '鯨鯨',
    rareOld: '鰐鰐',
    common: '海',
    old: '鯱',
    apart: ['河川', '山岳'],
    overlapping: ['雷雨', '雨声', '雷雨声'],
  },
  Korean: {
    rare: '고래',
    rareOld: '악어',
    common: '가',
    old: '갈',
    apart: ['바다', '하늘'],
    overlapping: ['천둥', '둥지', '천둥지'],
  },
  Cyrillic: {
    rare: 'ыщ',
    rareOld: 'эюй',
    common: 'ко',
    old: 'жук',
    apart: ['море', 'небо'],
    overlapping: ['громкая', 'каятся', 'громкаятся'],
  },
  Greek: {
    rare: 'ὀξύς',
    rareOld: 'ψῆφος',
    common: 'και',
    old: 'ζώο',
    apart: ['βουνό', 'ποτάμι'],
    overlapping: ['θάλασσα', 'λασσαφ', 'θάλασσαφ'],
  },
  Arabic: {
    rare: 'نادرة',
    rareOld: 'تمساح',
    common: 'ال',
    old: 'بيت',
    apart: ['بحر', 'جبل'],
    overlapping: ['كتاب', 'تابوت', 'كتابوت'],
  },
  Thai: {
    rare: 'หายาก',
    rareOld: 'จระเข้',
    common: 'ที่',
    old: 'บ้าน',
    apart: ['ภูเขา', 'แม่น้ำ'],
    overlapping: ['ทะเล', 'ะเลือก', 'ทะเลือก'],
  },
  emoji: {
    rare: '🦑',
    rareOld: '🐊',
    common: '🎉',
    old: '🏮',
    apart: ['🌊', '🌋'],
    overlapping: ['🍎🍏', '🍏🍐', '🍎🍏🍐'],
  },
};

const SYLLABLES = 'ba de li mo nu pa re si to va ce do ga hi la me ni po ra su'.split(' ');
const VOCABULARY = Array.from({ length: 8000 }, (_, n) =>
  [n % 20, Math.floor(n / 20) % 20, Math.floor(n / 400)].map((at) => SYLLABLES[at]).join(''),
);

export const searchedWords: readonly SearchedWord[] = [
  { kind: 'rare', search: 'zugzwang', in: few },
  { kind: 'in the older half', search: 'quarry', in: oldHalf },
  { kind: 'in none', search: 'jabberwock', in: never },
  ...Object.entries(SCRIPTS).flatMap(([script, { rare, rareOld, common, old, apart, overlapping }]) => [
    { kind: `${script}, rare`, search: rare, in: few },
    { kind: `${script}, rare, old posts`, search: rareOld, in: fewOld },
    { kind: `${script}, in a fifth`, search: common, in: everywhere },
    { kind: `${script}, in the oldest tenth`, search: old, in: oldTenth },
    {
      kind: `${script}, two words, each in a fifth, together in none`,
      search: apart.join(' '),
      in: never,
    },
    ...(overlapping
      ? [{ kind: `${script}, in none, its pieces in a fifth each`, search: overlapping[2], in: never }]
      : []),
  ]),
  { kind: 'two letters, of a hundred words in the oldest tenth', search: 'vy', in: never },
  { kind: 'three letters, of four hundred words in the oldest tenth', search: 'xyo', in: never },
  { kind: 'two letters of two thousand words, beside a rare word', search: 'zugzwang ba', in: never },
];

/** What is only a part of what is searched for, or stands apart from it. */
function partsOf(age: number, number: number): string[] {
  const parts: string[] = [];
  for (const { apart, overlapping } of Object.values(SCRIPTS)) {
    if (number % 5 === 1) parts.push(apart[0]);
    if (number % 5 === 2) parts.push(apart[1]);
    // Anywhere in a longer word, as they are where nothing stands between words.
    if (number % 5 === 3 && overlapping) {
      const [before = ''] = apart[0];
      parts.push(
        before.repeat(number % 7) + overlapping[0],
        before.repeat(Math.floor(number / 5) % 7) + overlapping[1],
      );
    }
  }
  if (oldTenth(age)) {
    parts.push(
      `vy${VOCABULARY[number % 100] ?? ''}`,
      `${VOCABULARY[number % 20] ?? ''}xyo${VOCABULARY[number % 400] ?? ''}`,
    );
  }
  return parts;
}

const WORDS_OF_A_POST = 30;
const PIECE = 2000;

/** Fills an empty database with so many posts, the newest last, which are less and less voted for with age. */
export async function fillSearchedPosts(
  databaseUrl: string,
  posts: number,
  onFilled: (filled: number) => void,
): Promise<void> {
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  /** As words are in texts: few of them often. */
  const anyWord = () => VOCABULARY[Math.floor(VOCABULARY.length * random() ** 3)] ?? '';
  await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ definition: string }>(
      `select pg_get_indexdef('posts_search_keys_idx'::regclass) as definition`,
    );
    await client.query(`
      insert into users (email, username, password_hash)
      select 'u' || n || '@example.org', 'user' || n, 'x' from generate_series(1, 1000) n`);
    await client.query('drop index posts_search_keys_idx');
    for (let from = 0; from < posts; from += PIECE) {
      const piece = Array.from({ length: Math.min(PIECE, posts - from) }, (_, at) => {
        const number = from + at;
        const age = 1 - number / posts;
        const content = [
          ...Array.from({ length: WORDS_OF_A_POST }, anyWord),
          ...searchedWords
            .filter((word) => word.in(age, number, posts))
            .map(({ search, text = search }) => text),
          ...partsOf(age, number),
        ].join(' ');
        const title = `${anyWord()} ${anyWord()}`;
        return {
          title,
          content,
          age: posts - number,
          votes: Math.floor((1 - age) * 100 * random() ** 4),
          searched: searchable({ title, content }),
        };
      });
      await client.query('select add_search_words($1)', [wordsOfAll(piece.map(({ searched }) => searched))]);
      await client.query(
        `with a as materialized (
           select *, nextval('posts_id_seq') as id
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[])
             as a (title, content, text, keys, age, votes)
         ), post as (
           insert into posts (id, owner_id, title, content, created_at, updated_at, listed_at, parsed_at, search_text, search_keys, search_fold)
           select id, 1 + id % 1000, title, content, at, at, at, now(), text, array_to_tsvector(string_to_array(keys, chr(10))), 1
           from a, lateral (select now() - age * interval '37 seconds' as at) t
         )
         insert into post_tallies (post_id, votes, rev, hot)
         select id, votes, votes, hot_rank(votes, now() - age * interval '37 seconds') from a`,
        [
          piece.map(({ title }) => title),
          piece.map(({ content }) => content),
          piece.map(({ searched }) => searched.text),
          piece.map(({ searched }) => linesOf(searched.keys)),
          piece.map(({ age }) => age),
          piece.map(({ votes }) => votes),
        ],
      );
      onFilled(from + piece.length);
    }
    await client.query(`set maintenance_work_mem = '512MB'`);
    await client.query(rows[0]?.definition ?? '');
    await client.query('vacuum analyze');
  });
}
