import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import { AppError, invalid } from '../errors.ts';
import { append } from '../log/append.ts';
import { postCreated, postUpdated } from '../posts/events.ts';
import { type PostRow, presentPost, publishedPosts } from '../posts/present.ts';
import { appendRemovals, lockToDelete, removeAsModerator, restorePost } from '../posts/removal.ts';
import { lockForAct, type PostAct, type TargetPost, type TargetUser } from './act.ts';

/** Removes a post for everyone, with its thread. @throws {AppError} 404, 409 if it has been removed */
const remove: PostAct = async ({ tx }, { id, visible, removed }) => {
  if (removed) throw new AppError('conflict', `Post ${id} has been removed already.`);
  if (!visible) throw noPost(id);
  const told = await removeAsModerator(tx, [id]);
  return { tell: () => appendRemovals(tx, told) };
};

/** Brings back what was removed, with its thread. @throws {AppError} 404, 409 if it cannot come back */
const restore: PostAct = async ({ tx }, { id, visible, removed, orphaned }) => {
  if (visible) throw new AppError('conflict', `Post ${id} has not been removed.`);
  if (!removed) throw noPost(id);
  if (orphaned) throw new AppError('conflict', `The thread of post ${id} has been deleted.`);
  const post = await restorePost(tx, id);
  if (!post || post === 'hidden') return {};
  return { tell: () => append(tx, postCreated, post) };
};

/** @param locked whether nobody may reply in the thread of the post from now on */
function setLocked(locked: boolean): PostAct {
  return async ({ tx }, { id, rootId, visible, ...post }) => {
    if (!visible) throw noPost(id);
    if (rootId !== null) {
      const msg = `"post_id" must be the first post of a thread, as ${rootId} is`;
      throw invalid([{ loc: ['body', 'post_id'], msg, type: 'any.invalid' }], 1);
    }
    if (post.locked === locked)
      throw new AppError('conflict', `Post ${id} is ${locked ? 'locked already' : 'not locked'}.`);
    await select(
      tx,
      // Its author has changed nothing: `updated_at` stays.
      `update posts set version = version + 1, locked_at = case when $2 then clock_timestamp() end where id = $1`,
      id,
      locked,
    );
    const [row] = await select<PostRow>(tx, publishedPosts, [id]);
    return { tell: async () => row && append(tx, postUpdated, presentPost(row)) };
  };
}

/** Tells the owner of a post the reason, and does nothing else. @throws {AppError} 404 */
const warn: PostAct = (_ctx, { id, visible, removed }) =>
  visible || removed ? Promise.resolve({}) : Promise.reject(noPost(id));

export const actsOnPosts = {
  remove,
  restore,
  warn,
  lock: setLocked(true),
  unlock: setLocked(false),
} as const;

/**
 * Locks a post with its owner, and whom it mentions if it may come back: users before posts, as everyone.
 * @throws {AppError} 404; 403 for a post of one's own, or of a user on whom the moderator may not act
 */
export async function lockPost(
  tx: Transaction,
  moderatorId: number,
  id: number,
): Promise<{ post: TargetPost; owner: TargetUser }> {
  const query = <T extends object>(sql: string) => select<T>(tx, sql, id);
  const [found] = await query<{ owner_id: number | null; mentioned: number[] }>(
    `select coalesce(p.owner_id, k.owner_id) as owner_id,
       array(select (m ->> 'id')::bigint from jsonb_array_elements(k.mentions) m) as mentioned
     from posts p left join removed_posts k on k.post_id = p.id where p.id = $1`,
  );
  const owner =
    found && found.owner_id !== null
      ? await lockForAct(tx, moderatorId, found.owner_id, found.mentioned.map(Number))
      : undefined;
  if (!owner) throw noPost(id);
  await lockToDelete(tx, [id]);
  const [post] = await query<TargetPost>(
    `select p.id, p.root_id as "rootId", k.post_id is not null as removed, p.locked_at is not null as locked,
       p.published and r.published as visible,
       r.deleted_at is not null and not exists (select from removed_posts t where t.post_id = r.id) as orphaned
     from posts p join posts r on r.id = coalesce(p.root_id, p.id) left join removed_posts k on k.post_id = p.id
     where p.id = $1`,
  );
  if (!post) throw noPost(id);
  return { post, owner };
}

function noPost(id: number): AppError {
  return new AppError('not_found', `There is no post ${id}.`);
}
