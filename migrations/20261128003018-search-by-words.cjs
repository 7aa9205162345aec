'use strict';

const { makeMissingFunctions } = require('./helpers/functions.cjs');
const { isValid, makeConcurrently } = require('./helpers/indexes.cjs');

/**
 * Searches know the words of posts. A search for a part of a word first looks up which words contain it, in `search_words`, where
 * each word that posts have is once, and then asks the index for posts with any of these. Until now the index held the pieces
 * of three characters that words consist of, so all posts that had all pieces of a word, but in other words, had to be read
 * (`thunderstood` in posts with "thunders" and "understood"), and a word of two letters collected the posts of all pieces
 * that begin with it.
 *
 * What has no spaces between words (Chinese, Thai and others, see `search_word_is_cut`), and words of more than 40 characters, is cut
 * into pieces as before. Each now also has its place modulo 16, so that two pieces count only where they may be neighbours.
 *
 * The service makes these keys (server/text/keys.ts) and writes them with the post. Nodes of the version before know nothing of them: of
 * their posts, and of all that are there now, the index has what `search_keys_of` makes of the folded text, and triggers keep their
 * words. Their searches are answered by the new functions too. They go on writing the column `search_grams`, which nothing reads any
 * more; a later migration may drop it.
 */
const INDEX = 'posts_search_keys_idx';
const OLD_INDEX = 'posts_search_grams_idx';
const BLOCKS = '(array[id >> 11, -1 - 2 * (id >> 13), -2 - 2 * (id >> 15)])';
const COLUMNS = `using gin (${BLOCKS}, (coalesce(search_keys, search_keys_of(search_text))))`;
/** Each question reads what waits to be sorted in: of the default of 4 MB that would take some 3 ms. */
const PENDING = 'with (gin_pending_list_limit = 1024)';

/** Ids of posts whose words are added in one statement. */
const PIECE = 10_000;

/**
 * Without a unique index: of two transactions that write a new word neither waits for the other, and each writes it. `unused_since`:
 * see `prune_search_words`.
 */
const SEARCH_WORDS = `
  create table if not exists search_words (word text collate "C" not null, unused_since xid8);
  create index if not exists search_words_word_idx on search_words (word) where unused_since is null;
  create index if not exists search_words_unused_since_idx on search_words (unused_since) where unused_since is not null;
  create index if not exists search_words_parts_idx on search_words using gin (array_to_tsvector(search_parts(word)))
    with (gin_pending_list_limit = 64);
`;

const TRIGGERS = `
  create or replace trigger posts_search_words_of_insert after insert on posts
    for each row when (new.search_keys is null and new.search_text is not null) execute function keep_search_words();
  create or replace trigger posts_search_words_of_update after update of search_text on posts
    for each row when (new.search_text is distinct from old.search_text) execute function keep_search_words();
  create or replace trigger posts_forget_search_keys before update of search_text on posts
    for each row when (
      new.search_text is distinct from old.search_text and new.search_keys is not distinct from old.search_keys
    )
    execute function forget_search_keys();
`;

/** What the indexes and the triggers are made with. */
const FUNCTIONS = ['search_word_is_cut', 'search_pieces', 'search_keys_of', 'search_parts'].concat([
  'add_search_words',
  'keep_search_words',
  'forget_search_keys',
]);

/** Possibly more than once. The triggers come before the words of the posts that are there, so that none is missed. */
async function makeWords(sequelize) {
  const [[{ there }]] = await sequelize.query(`
    select exists (select from pg_attribute a where a.attrelid = to_regclass('posts')
                   and a.attname = 'search_keys' and not a.attisdropped) as there`);
  if (!there) await sequelize.query('alter table posts add column search_keys tsvector');
  await makeMissingFunctions(sequelize, FUNCTIONS);
  await sequelize.query(SEARCH_WORDS);
  await sequelize.query(TRIGGERS);
  const [[{ last }]] = await sequelize.query('select coalesce(max(id), 0)::float8 as last from posts');
  // A word that a post brings meanwhile may be there twice.
  for (let from = 0; from <= last; from += PIECE)
    await sequelize.query(`
      select add_search_words(array(
        select distinct w.word from posts p, unnest(string_to_array(p.search_text, ' ')) as w (word)
        where p.id >= ${from} and p.id < ${from + PIECE} and w.word <> '' and not search_word_is_cut(w.word)))`);
}

module.exports = {
  /** Without a transaction, so that posts are written meanwhile: at two million posts the words and the index take some minutes. */
  async prepare({ sequelize }) {
    if (await isValid(sequelize, INDEX)) return;
    await makeWords(sequelize);
    await sequelize.query('vacuum analyze search_words');
    await makeConcurrently(sequelize, { [INDEX]: `posts ${COLUMNS} ${PENDING}` });
  },

  async up({ sequelize }) {
    if (!(await isValid(sequelize, INDEX))) {
      await makeWords(sequelize);
      await sequelize.query(`
        drop index if exists ${INDEX};
        create index ${INDEX} on posts ${COLUMNS} ${PENDING};
      `);
    }
    await sequelize.query(`drop index ${OLD_INDEX}`);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop trigger posts_search_words_of_insert on posts;
      drop trigger posts_search_words_of_update on posts;
      drop trigger posts_forget_search_keys on posts;
      drop index ${INDEX};
      drop table search_words;
      -- Nodes of the version before fold these anew.
      update posts set search_fold = null where search_grams is null;
      alter table posts drop column search_keys;
      create index ${OLD_INDEX} on posts using gin (${BLOCKS}, search_grams) ${PENDING} where search_grams is not null;
    `);
  },
};
