import type pg from 'pg';
import type { Check, Task } from '../database/check.ts';
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

export const postChecks: readonly Check[] = [{ what: 'search', hint: hintAtSearch }];

export const postTasks: readonly Task[] = [
  {
    option: 'refold',
    run: async (db) => {
      const { looked, changed } = await refoldPosts(db);
      return `${looked} posts checked; ${changed} of them had outdated search text.`;
    },
  },
];
