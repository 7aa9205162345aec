import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { Removed } from './events.ts';

/** Locks what the deletion of posts changes, in the order in which everyone locks posts. */
export async function lockToDelete(tx: Transaction, ids: readonly number[]): Promise<void> {
  await sequelizeOf(tx).query('select lock_to_delete($1::bigint[])', {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [ids],
  });
}

/**
 * Deletes posts, of any owner. What remains of a reply with replies below it, and of a post with a thread, is described
 * at the function `delete_posts`.
 * @returns those whose deletion is to be told, by id
 */
export async function removePosts(tx: Transaction, ids: readonly number[]): Promise<Removed[]> {
  await lockToDelete(tx, ids);
  const rows = await sequelizeOf(tx).query<
    Pick<Removed, 'id' | 'owner_id'> & {
      root_id: number | null;
      tags: string[];
      told: boolean;
      had_replies: boolean;
    }
  >('select * from delete_posts($1::bigint[])', { type: QueryTypes.SELECT, transaction: tx, bind: [ids] });
  return rows
    .filter(({ told }) => told)
    .map(({ id, owner_id, root_id, tags, had_replies }) => ({
      id,
      owner_id,
      root_id,
      tags,
      hadReplies: had_replies,
    }));
}
