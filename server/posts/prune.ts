import { type Prune, pruneBy } from '../database/pruner.ts';

/** Idempotency keys of yesterday. */
export const idempotencyPrunes: readonly Prune[] = [
  pruneBy(
    'idempotency keys',
    `delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < now() - interval '1 day' limit $1)`,
  ),
];

/** What was deleted with a thread or with many votes, a piece at a time. */
export const threadPurge: Prune = {
  what: 'deleted threads',
  run: async (pool, most) => {
    const { rows } = await pool.query<{ taken: number }>('select purge_thread($1) as taken', [most]);
    return (rows[0]?.taken ?? 0) > 0 ? most : 0;
  },
};

/** Posts in one statement: each is locked with all that it answers. */
const REMOVED = 50;

/** What moderators removed thirty days ago. */
export const removedPrune: Prune = {
  what: 'removed posts',
  run: async (pool, most) => {
    const { rows } = await pool.query<{ pruned: number }>('select prune_removed_posts($1) as pruned', [
      REMOVED,
    ]);
    return rows[0]?.pruned === REMOVED ? most : 0;
  },
};

/** Words that are checked in one round: half a million of them in two days. */
const WORDS = 200;

/** Words for searches that no post contains any more, a few in each round. */
export function wordPrune(): Prune {
  let after = '';
  return {
    what: 'words for searches',
    run: async (pool) => {
      const { rows } = await pool.query<{ word: string | null }>(
        'select prune_search_words($1, $2) as word',
        [after, WORDS],
      );
      after = rows[0]?.word ?? '';
      return 0; // the next ones have their turn in the next round
    },
  };
}
