import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { appendAll } from '../log/append.ts';
import { postDeleted, type Removed, removedFrom, threadDeleted } from './events.ts';

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
      thread_topics: string[][] | null;
    }
  >('select * from delete_posts($1::bigint[])', { type: QueryTypes.SELECT, transaction: tx, bind: [ids] });
  return rows
    .filter(({ told }) => told)
    .map(({ id, owner_id, root_id, tags, had_replies, thread_topics }) => ({
      id,
      owner_id,
      root_id,
      tags,
      hadReplies: had_replies,
      threadTopics: thread_topics ?? [],
    }));
}

/** The topics of a thread that is withdrawn, as of one that is deleted. Its first post is locked. */
export async function topicsOfThread(tx: Transaction, id: number): Promise<string[][]> {
  const rows = await sequelizeOf(tx).query<{ topics: string[] }>(
    'select topics from thread_topics($1) as t (topics)',
    { type: QueryTypes.SELECT, transaction: tx, bind: [id] },
  );
  return rows.map(({ topics }) => topics);
}

/**
 * Tells that posts are no longer visible, each with its thread: also those who know of it only by an author or a tag of
 * a reply. That is one event, but for a thread with more topics than one event is to have.
 */
export async function appendRemovals(tx: Transaction, removed: readonly Removed[]): Promise<void> {
  const departures = removed.map((post) => {
    const [topics, ...more] = post.threadTopics ?? [];
    return topics && more.length === 0 ? removedFrom(topics, post) : undefined;
  });
  await appendAll(tx, postDeleted, removed, departures);
  for (const post of removed) {
    const { threadTopics: pieces = [] } = post;
    if (pieces.length < 2) continue;
    await appendAll(
      tx,
      threadDeleted,
      pieces.map(() => post),
      pieces.map((topics) => removedFrom(topics, post)),
    );
  }
}
