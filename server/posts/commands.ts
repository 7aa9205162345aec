import { literal, QueryTypes, type Transaction } from 'sequelize';
import { Post } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import { AppError, userIsGone } from '../errors.ts';
import { type Preconditions, requirePreconditions } from '../preconditions.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { FOLD } from '../text/fold.ts';
import { usernameKey } from '../text/username-key.ts';
import { isVisible as hasText } from '../text/visible.ts';
import { vectorOf } from '../text/keys.ts';
import type { PostContext } from './context.ts';
import { departureOf, postCreated, postUpdated } from './events.ts';
import { claimOf, firstAnswer } from './idempotency.ts';
import { isVisible, requireOwn } from './policy.ts';
import { blockedBetween, refusedByBlock } from '../relations/policy.ts';
import {
  type FindUsers,
  namesOf,
  NOTHING,
  type References,
  referencesIn,
  USERS_OF_NAMES,
} from './references.ts';
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
  if (row && row !== BLOCKED && row !== REFUSED) return presentAnswer({ ...row, voted: false });
  // What was answered before is answered again, also if a block came since.
  const first = claim && (await firstAnswer<PostAnswer>(ctx.db.share(requester), claim));
  if (first) return first;
  throw row === BLOCKED ? refusedByBlock() : userIsGone();
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
    await holdPeople(tx, user.id, id, given, published === true);
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
    const references = await changedReferences(tx, post, wasPublished);
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
    // Before the tags change: they are left out that the event is told under in any case, those of before.
    const threadTopics = wasPublished && !post.published ? await topicsOfThread(tx, id) : [];
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
  // It has no title: without a text it would say nothing.
  if (isReply && given.content !== undefined && !hasText(given.content))
    errors.push({
      loc: ['body', 'content'],
      msg: '"content" must contain a visible character',
      type: 'string.invisible',
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
 * Locks, before any post as everyone does, the owner of a post that is published and whom it will mention: their names and the
 * blocks between them stay as they are until the end of the transaction.
 */
async function holdPeople(
  tx: Transaction,
  ownerId: number,
  id: number,
  given: Partial<PostInput>,
  published: boolean,
): Promise<void> {
  const post = await Post.findByPk(id, {
    attributes: ['title', 'content', 'published', 'mentions'],
    transaction: tx,
  });
  if (!post) return;
  const names = namesOf({ title: given.title ?? post.title, content: given.content ?? post.content });
  if (!published && names.length === 0) return;
  const said = published && !post.published ? idsOf(post.mentions ?? []) : [];
  await sequelizeOf(tx).query(
    `select 1 from users u where u.id = any($1::bigint[]) or (u.deleted_at is null and ${usernameKey} = any($2::text[]))
     order by u.id for key share`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [[ownerId, ...said], names] },
  );
}

/**
 * What the text of a post refers to now, if that may be something else than before. Whom a post mentions that was a draft is
 * mentioned when it is published.
 * @param post locked, and changed in memory
 * @throws {AppError} 403 if it mentions somebody anew who blocks its owner, or whom the owner blocks
 */
async function changedReferences(
  tx: Transaction,
  post: Post,
  wasPublished: boolean,
): Promise<References | undefined> {
  const isSaid = post.published && !wasPublished;
  const isRead = post.changed('title') || post.changed('content') || !post.parsedAt;
  if (!isRead && !isSaid) return undefined;
  const query = <T extends object>(sql: string, bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const find: FindUsers = (names) => query(`${USERS_OF_NAMES} order by u.id for key share of u`, [names]);
  const references = isRead ? ((await referencesIn([post], find))[0] ?? NOTHING) : undefined;
  const before = idsOf(post.mentions ?? []);
  const mentioned = references ? idsOf(references.mentions) : before;
  const fresh = isSaid ? mentioned : mentioned.filter((id) => !before.includes(id));
  if (fresh.length > 0) {
    const [row] = await query<{ blocked: boolean }>(
      `select exists (select from unnest($2::bigint[]) as m (id) where ${blockedBetween('$1::bigint', 'm.id')}) as blocked`,
      [post.ownerId, fresh],
    );
    if (row?.blocked) throw refusedByBlock();
  }
  return references;
}

function idsOf(users: readonly { id: number }[]): number[] {
  return users.map(({ id }) => id);
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
