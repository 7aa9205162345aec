import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connection.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { prepared } from '../database/prepared.ts';
import { AppError, unavailable, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { hiddenAuthors, refusedByBlock } from '../relations/policy.ts';
import { claimOf, firstAnswer } from './idempotency.ts';
import { BLOCKED, type PostWriter, REFUSED } from './post-writer.ts';
import { type PostAnswer, presentAnswer } from './present.ts';

/** A reply to a reply to a reply …: so deep at most. The table has the same limit. */
const MOST_DEPTH = 50;

interface Parent {
  root_id: number;
  depth: number;
  deleted: boolean;
  /** Deleted, and nothing below it is left that would show it. */
  gone: boolean;
  published: boolean;
  locked: boolean;
  thread_owner_id: number | null;
  thread_deleted: boolean;
  blocked: boolean;
}

const PARENT = prepared(
  `select r.id as root_id, coalesce(cardinality(p.ancestors), 0) as depth,
     p.deleted_at is not null or u.deleted_at is not null as deleted,
     p.deleted_at is not null and t.replies = 0 as gone, r.published,
     r.locked_at is not null as locked,
     r.owner_id as thread_owner_id, r.deleted_at is not null as thread_deleted,
     p.owner_id in (${hiddenAuthors('$2', { mutes: false })}) is true as blocked
   from posts p join posts r on r.id = coalesce(p.root_id, p.id) join post_tallies t on t.post_id = p.id
   left join users u on u.id = p.owner_id
   where p.id = $1`,
);

/** Where a reply to a post goes. @throws {AppError} 404, 403, 409 */
async function requireOpen(db: DatabaseShare, user: Identity, parentId: number): Promise<Parent> {
  const [parent] = await db.query<Parent>(PARENT, { type: QueryTypes.SELECT, bind: [parentId, user.id] });
  // A row may outlive its post, as what a moderator has removed does: nobody can tell.
  if (
    !parent ||
    parent.gone ||
    parent.thread_deleted ||
    (!parent.published && parent.thread_owner_id !== user.id)
  )
    throw new AppError('not_found', `There is no post ${parentId}.`);
  if (parent.blocked) throw refusedByBlock();
  if (parent.deleted) throw new AppError('conflict', `Post ${parentId} has been deleted.`);
  if (parent.locked)
    throw new AppError(
      'conflict',
      `A moderator has locked the thread of post ${parentId}: nobody may reply.`,
    );
  if (!parent.published)
    throw new AppError(
      'conflict',
      `The thread of post ${parentId} is not public. Publish its first post first.`,
    );
  if (parent.depth >= MOST_DEPTH)
    throw new AppError(
      'conflict',
      `Post ${parentId} is ${MOST_DEPTH} replies deep in its thread, and none may be deeper. Reply to a post above it.`,
    );
  return parent;
}

/**
 * Writes a reply to a post, or to another reply; see `createPost` for the idempotency key.
 * @throws {AppError} 422 if the key was used for something else; 404 no such post; 403 one of the two blocks the other;
 *   409 the post was deleted or is not public, its thread is locked or too deep
 */
export async function createReply(
  ctx: { db: Database; postWriter: PostWriter },
  user: Identity,
  parentId: number,
  { content }: { content: string },
  requester: Requester,
  idempotencyKey?: string,
): Promise<PostAnswer> {
  const db = ctx.db.share(requester);
  const claim =
    idempotencyKey === undefined
      ? undefined
      : claimOf(user.id, idempotencyKey, { parent_id: parentId, content });
  const first = () => (claim ? firstAnswer<PostAnswer>(db, claim) : undefined);
  let parent;
  try {
    parent = await requireOpen(db, user, parentId);
  } catch (error) {
    // What was answered before is answered again, also if the post was deleted since, or a block came.
    const before = error instanceof AppError ? await first() : undefined;
    if (before) return before;
    throw error;
  }
  const input = { title: null, content, published: true, parentId, rootId: parent.root_id } as const;
  const row = await ctx.postWriter.write(user.id, input, claim, requester.senders);
  if (row && row !== BLOCKED && row !== REFUSED) return presentAnswer({ ...row, voted: false });
  const before = await first();
  if (before) return before;
  if (row === BLOCKED) throw refusedByBlock();
  if (row === REFUSED) {
    // Deleted, withdrawn or blocked since it was looked at.
    await requireOpen(db, user, parentId);
    throw unavailable('The thread has just changed. Try again.', 1);
  }
  throw userIsGone();
}
