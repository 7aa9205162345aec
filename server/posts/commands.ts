import { literal, QueryTypes, type Transaction } from 'sequelize';
import { Post, User } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import { AppError, userIsGone } from '../errors.ts';
import { type Preconditions, requirePreconditions } from '../preconditions.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { FOLD } from '../text/fold.ts';
import { vectorOf } from '../text/keys.ts';
import type { PostContext } from './context.ts';
import { departureOf, postCreated, postUpdated } from './events.ts';
import { claimOf, firstAnswer } from './idempotency.ts';
import { isVisible, requireOwn } from './policy.ts';
import { blockedBetween, refusedByBlock } from '../relations/policy.ts';
import { hasNames, NOTHING, type References, referencesIn, USERS_OF_NAMES } from './references.ts';
import { BLOCKED, type PostInput, REFUSED } from './post-writer.ts';
import { isTagOf, type PostAnswer, presentAnswer } from './present.ts';
import { postById } from './queries.ts';
import { appendRemovals, lockToDelete, removePosts, topicsOfThread } from './removal.ts';
import { searchable } from './searchable.ts';

/**
 * Writes a post, its tally, its event and the record of its idempotency key, in one transaction. With a key that was
 * used before it changes nothing and gives the first answer again.
 * @param requester whose turn it takes
 * @throws {AppError} 403 if it mentions somebody who blocks the user, or whom the user blocks, 422 if the key was used
 *   for something else, 404 if what it made has been deleted since
 */
export async function createPost(
  ctx: Pick<PostContext, 'db' | 'postWriter'>,
  user: Identity,
  input: PostInput,
  requester: Requester,
  idempotencyKey?: string,
): Promise<PostAnswer> {
  const { title, content, published } = input; // in this order, whatever the order in the body
  const claim =
    idempotencyKey === undefined
      ? undefined
      : claimOf(user.id, idempotencyKey, { title, content, published });
  const row = await ctx.postWriter.write(user.id, input, claim, requester.senders);
  if (row === BLOCKED) throw refusedByBlock();
  if (row && row !== REFUSED) return presentAnswer({ ...row, voted: false });
  const first = claim && (await firstAnswer<PostAnswer>(ctx.db.share(requester), claim));
  if (first) return first;
  throw userIsGone();
}

/**
 * Changes what is given of a post. To the others a draft that is published is a new post, and a post that is withdrawn
 * is a deleted one, which takes its thread along. A change without effect writes nothing and sends no event.
 * @param options.whole whether all of the post is given, as in a PUT
 * @throws {AppError} 422 for a field that a reply does not have, or that the whole of a post lacks; 404, 403, 412
 */
export async function updatePost(
  ctx: Pick<PostContext, 'db'>,
  user: Identity,
  id: number,
  given: Partial<PostInput>,
  conditions: Preconditions = {},
  { whole = false }: { whole?: boolean } = {},
): Promise<PostAnswer> {
  const db = ctx.db.share('edits');
  return db.transaction(async (tx) => {
    // A draft that is published meanwhile is none of the posts that its owner's new name would be told of.
    const published = given.published ?? (whole ? true : undefined);
    // Those who are mentioned are locked after it, as everywhere.
    if (published || hasNames(given)) await holdName(tx, user.id);
    // Votes continue meanwhile, unless whether there may be any is about to change.
    const lock = published === undefined ? tx.LOCK.NO_KEY_UPDATE : tx.LOCK.UPDATE;
    // Of a reply, the first post of its thread too, in the order in which everyone locks posts: it is not withdrawn
    // meanwhile.
    const posts = await Post.findAll({
      where: literal(`id = ${id} or id = (select root_id from posts where id = ${id})`),
      order: [['id', 'ASC']],
      transaction: tx,
      lock,
    });
    const found = posts.find((one) => one.id === id);
    const root = posts.find((one) => one.id === found?.rootId);
    const isReply = isVisible(found, user, root) && root !== undefined;
    requireFields(given, isReply, whole);
    const post = requireOwn(found, user, id, root);
    const input = isReply || published === undefined ? given : { ...given, published };
    const wasPublished = post.published;
    const before = { id, owner_id: post.ownerId, root_id: post.rootId ?? null, tags: post.tags ?? [] };
    post.set(input);
    const references = await changedReferences(tx, post);
    requireUnchanged(post, conditions);
    if (!post.changed()) return postById(db, user, id, tx);

    post.set({ version: post.version + 1 });
    // By the database's clock, as all moments are. Where it is listed a trigger decides: by its first publication.
    post.set('updatedAt', literal('clock_timestamp()') as never);
    if (post.changed('title') || post.changed('content')) setSearchable(post);
    if (references) {
      post.set(references);
      post.set('parsedAt', literal('clock_timestamp()') as never);
    }
    await post.save({ transaction: tx });
    if (!wasPublished && post.published) await rankAnew(tx, id);

    const answer = await postById(db, user, id, tx);
    const { voted: _voted, ...view } = answer;
    // What the others see of the change.
    if (root && !root.published) return answer;
    if (post.published && wasPublished) await append(tx, postUpdated, view, departureOf(before, view));
    else if (post.published) await append(tx, postCreated, view);
    else if (wasPublished) {
      const hadReplies = (view.replies ?? 0) > 0;
      const threadTopics = hadReplies ? await topicsOfThread(tx, id) : [];
      await appendRemovals(tx, [{ ...before, hadReplies, threadTopics }]);
    }
    return answer;
  });
}

/** @throws {AppError} 422 */
function requireFields(given: Partial<PostInput>, isReply: boolean, whole: boolean): void {
  const errors = [];
  if (isReply)
    for (const field of ['title', 'published'] as const)
      if (given[field] !== undefined)
        errors.push({
          loc: ['body', field],
          msg: `"${field}" is not allowed on a reply`,
          type: 'any.unknown',
        });
  if (!isReply && whole && given.title === undefined)
    errors.push({ loc: ['body', 'title'], msg: '"title" is required', type: 'any.required' });
  const [first] = errors;
  if (first) throw new AppError('invalid', `${first.msg}.`, { errors });
}

/** @param post locked: nobody changes it between this and what is done with it. @throws {AppError} 412 */
function requireUnchanged({ version, updatedAt }: Post, conditions: Preconditions): void {
  requirePreconditions(conditions, {
    matches: (tag) => isTagOf(version, tag),
    modifiedAt: updatedAt,
    state: `The post is at version ${version}.`,
  });
}

/**
 * Keeps a user's name as it is until the end of the transaction: anyone who changes it locks the user's row, and so
 * first.
 */
async function holdName(tx: Transaction, userId: number): Promise<void> {
  await User.findByPk(userId, { attributes: ['id'], transaction: tx, lock: tx.LOCK.KEY_SHARE });
}

/**
 * What the text of a post refers to now, if that may be something else than before.
 * @param post locked, and changed in memory. Its owner is locked too, if the change brings names
 * @throws {AppError} 403 if it mentions somebody new who blocks its owner, or whom the owner blocks
 */
async function changedReferences(tx: Transaction, post: Post): Promise<References | undefined> {
  if (!post.changed('title') && !post.changed('content') && post.parsedAt) return undefined;
  const sequelize = sequelizeOf(tx);
  const [references = NOTHING] = await referencesIn([post], (names) =>
    sequelize.query(`${USERS_OF_NAMES} order by u.id for key share of u`, {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: [names],
    }),
  );
  const known = new Set(post.mentions?.map(({ id }) => id));
  const fresh = references.mentions.map(({ id }) => id).filter((id) => !known.has(id));
  if (fresh.length > 0) {
    const [row] = await sequelize.query<{ blocked: boolean }>(
      `select exists (select from unnest($2::bigint[]) as m (id) where ${blockedBetween('$1::bigint', 'm.id')}) as blocked`,
      { type: QueryTypes.SELECT, transaction: tx, bind: [post.ownerId, fresh] },
    );
    if (row?.blocked) throw refusedByBlock();
  }
  return references;
}

/** In the statement that writes the text: see the trigger `posts_forget_fold`. */
function setSearchable(post: Post): void {
  const { text, keys } = searchable(post);
  post.set({ searchText: text, searchKeys: vectorOf(keys), searchGrams: null, searchFold: FOLD });
}

/** A draft competes in `sort=hot` from the moment it is first published. */
async function rankAnew(tx: Transaction, postId: number): Promise<void> {
  await sequelizeOf(tx).query(
    `update post_tallies t set hot = hot_rank(t.votes, p.listed_at) from posts p where p.id = t.post_id and p.id = $1`,
    { type: QueryTypes.RAW, transaction: tx, bind: [postId] },
  );
}

/**
 * Deletes a post with its votes and its tally. A post takes its thread along; a reply with others below it stays,
 * without its text and its owner.
 * @throws {AppError} 404, 403, 412
 */
export async function deletePost(
  ctx: Pick<PostContext, 'db'>,
  user: Identity,
  id: number,
  conditions: Preconditions = {},
): Promise<void> {
  await ctx.db.share('edits').transaction(async (tx) => {
    await lockToDelete(tx, [id]);
    const found = await Post.findByPk(id, { transaction: tx });
    const root = found?.rootId ? await Post.findByPk(found.rootId, { transaction: tx }) : undefined;
    requireUnchanged(requireOwn(found, user, id, root), conditions);
    await appendRemovals(tx, await removePosts(tx, [id]));
  });
}
