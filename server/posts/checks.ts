import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { bounded, type Check, type Finding, MOST_FOUND, type Task } from '../database/check.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { refoldPosts } from './folding.ts';
import { UNFOLDED } from './unfolded-posts.ts';

/** What a database is told whose searches are slow or not complete yet: they find no less, but may have to wait. */
async function hintAtSearch(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ indexed: boolean; unfolded: number }>(
    `select exists (select from pg_index i where i.indexrelid = to_regclass('posts_search_keys_idx')
                      and i.indisvalid and i.indnatts = 2) as indexed,
            (select count(*) from posts p where ${UNFOLDED}) as unfolded`,
  );
  const { indexed, unfolded = 0 } = rows[0] ?? {};
  if (!indexed)
    return (
      'Searches are slow because their index is missing: create index concurrently ' +
      'posts_search_keys_idx on posts using gin ((array[id >> 11, -1 - 2 * (id >> 13), -2 - 2 * (id >> 15)]), ' +
      '(coalesce(search_keys, search_keys_of(search_text)))) with (gin_pending_list_limit = 1024);'
    );
  return unfolded === 0
    ? undefined
    : `${unfolded} posts are not prepared for searches yet. The nodes prepare them in the background, and searches wait for it.`;
}

/** The tables by which posts are found, with what each post `p` says of itself, in SQL: its rows must be these. */
const references = [
  {
    noun: 'tags',
    table: 'post_tags',
    columns: 'tag, listed_at, post_id',
    said: 'select distinct t.tag, p.listed_at, p.id from posts p cross join lateral unnest(p.tags) as t (tag)',
  },
  {
    noun: 'mentions',
    table: 'post_mentions',
    columns: 'user_id, post_id',
    said: `select distinct (m ->> 'id')::bigint, p.id from posts p cross join lateral jsonb_array_elements(p.mentions) m
           join users u on u.id = (m ->> 'id')::bigint`,
  },
] as const;

/** Whether posts are found by just those tags and mentions that they have. */
async function findWrongReferences(client: pg.ClientBase): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const { noun, table, columns, said } of references) {
    const { rows } = await client.query<{ post_id: number }>(
      `with said (${columns}) as (${said}), kept as (select ${columns} from ${table})
       select distinct post_id from (
         (select * from said except select * from kept) union all (select * from kept except select * from said)
       ) differing order by post_id limit $1`,
      [MOST_FOUND + 1],
    );
    found.push(
      ...bounded(rows, ({ post_id }) => ({
        what: `Post ${post_id} is not found by the ${noun} that it has.`,
        repair: async (tx: Transaction) => {
          const query = (sql: string) =>
            sequelizeOf(tx).query(sql, { bind: [post_id], type: QueryTypes.RAW, transaction: tx });
          await query('select 1 from posts where id = $1 for no key update');
          await query(`delete from ${table} where post_id = $1`);
          await query(`insert into ${table} (${columns}) ${said} where p.id = $1`);
        },
      })),
    );
  }
  return found;
}

export const postChecks: readonly Check[] = [
  { what: 'search', hint: hintAtSearch },
  { what: 'references', find: findWrongReferences },
];

export const postTasks: readonly Task[] = [
  {
    option: 'refold',
    usage: 'folds the text of every post again for searches',
    run: async (db) => {
      const { looked, changed } = await refoldPosts(db);
      return `${looked} posts checked; ${changed} of them had outdated search text.`;
    },
  },
];
