import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { appendAll } from '../log/append.ts';
import { FOLD } from '../text/fold.ts';
import type { PostView } from './event-payloads.ts';
import { postDeleted, type Removed, removedFrom, threadDeleted } from './events.ts';
import { type PostRow, presentPost, publishedPosts } from './present.ts';
import { linesOf, searchable } from './searchable.ts';

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
export function removePosts(tx: Transaction, ids: readonly number[]): Promise<Removed[]> {
  return removeBy('delete_posts', tx, ids);
}

/**
 * Removes posts as a moderator: for everyone they are deleted, and they can be restored for thirty days.
 * @returns those whose removal is to be told, by id
 */
export async function removeAsModerator(tx: Transaction, ids: readonly number[]): Promise<Removed[]> {
  return (await removeBy('remove_posts', tx, ids)).map((post) => ({ ...post, by: 'moderator' }));
}

async function removeBy(
  remove: 'delete_posts' | 'remove_posts',
  tx: Transaction,
  ids: readonly number[],
): Promise<Removed[]> {
  await lockToDelete(tx, ids);
  const rows = await sequelizeOf(tx).query<
    Pick<Removed, 'id' | 'owner_id'> & {
      root_id: number | null;
      tags: string[];
      told: boolean;
      had_replies: boolean;
      thread_topics: string[][] | null;
    }
  >(`select * from ${remove}($1::bigint[])`, { type: QueryTypes.SELECT, transaction: tx, bind: [ids] });
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

/**
 * Brings back what a moderator has removed, with its votes and its thread, and a version beyond the one that was known.
 * Its owner and whom it mentions are locked.
 * @returns the post, if everyone sees it again; `hidden` if its thread is not public; undefined if it was not there
 */
export async function restorePost(tx: Transaction, id: number): Promise<PostView | 'hidden' | undefined> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  await lockToDelete(tx, [id]);
  const [kept] = await query<{ title: string | null; content: string }>(
    'select title, content from removed_posts where post_id = $1',
    id,
  );
  if (!kept) return undefined;
  const { text, keys } = searchable(kept);
  await query('select restore_post($1, $2, $3, $4::smallint)', id, text, linesOf(keys), FOLD);
  const [row] = await query<PostRow>(publishedPosts, [id]);
  return row ? presentPost(row) : 'hidden';
}

/** Deletes for good what moderators have removed. */
export async function forgetRemoved(tx: Transaction, ids: readonly number[]): Promise<void> {
  await lockToDelete(tx, ids);
  await sequelizeOf(tx).query('select forget_removed_posts($1::bigint[])', {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [ids],
  });
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
