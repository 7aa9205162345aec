import { QueryTypes, type Transaction } from 'sequelize';
import { Post } from '../../models/index.ts';
import type { Identity } from '../auth/identity.ts';
import type { Context } from '../context.ts';
import { violatedConstraint } from '../database/connection.ts';
import { unauthorized } from '../errors.ts';
import type { FeedEventName } from '../events.ts';
import { append } from '../outbox/append.ts';
import { claimKey, forgetAnswers, keepAnswer } from './idempotency.ts';
import { requireOwn, requireVersion } from './policy.ts';
import { type PostAnswer, type PostRow, presentAnswer, presentPost } from './present.ts';
import { postById } from './queries.ts';

export interface PostInput {
  title: string;
  content: string;
  published: boolean;
}

/**
 * Writes a post, its tally, its event and the record of its idempotency key, in one transaction. With a key that was
 * used before it changes nothing and gives the first answer again.
 * @throws {AppError} 422 if the key was used for something else, 404 if what it made has been deleted since
 */
export async function createPost(
  ctx: Context,
  user: Identity,
  input: PostInput,
  idempotencyKey?: string,
): Promise<PostAnswer> {
  try {
    return await ctx.db.transaction(async (tx) => {
      const claim = idempotencyKey === undefined ? undefined : { userId: user.id, key: idempotencyKey };
      if (claim) {
        const { title, content, published } = input; // in this order, whatever the order in the body
        const answer = await claimKey<PostAnswer>(tx, claim, { title, content, published });
        if (answer) return answer;
      }
      const row = await insertPost(tx, user.id, input);
      const answer = presentAnswer({ ...row, voted: false });
      if (claim) await keepAnswer(tx, claim, row.id, answer);
      if (row.published) await append(tx, 'post:created', presentPost(row));
      return answer;
    });
  } catch (error) {
    throw ownerGone(error) ?? error;
  }
}

/** A token outlives its user by a moment: the foreign key notices. */
function ownerGone(error: unknown): Error | undefined {
  const constraint = violatedConstraint(error);
  return constraint === 'posts_owner_id_fkey' || constraint === 'idempotency_keys_user_id_fkey'
    ? unauthorized('The user of this access token has been deleted.')
    : undefined;
}

/** One statement for the post and its tally: each round trip inside the transaction costs as much as the work. */
async function insertPost(tx: Transaction, ownerId: number, input: PostInput): Promise<PostRow> {
  const [row] = await sequelizeOf(tx).query<PostRow>(
    `with post as (
       insert into posts (owner_id, title, content, published) values ($1, $2, $3, $4) returning *
     ), tally as (
       insert into post_tallies (post_id, hot) select id, hot_rank(0, listed_at) from post returning votes, rev
     )
     select post.id, post.title, post.content, post.published, post.created_at, post.updated_at, post.version,
            post.owner_id, u.username, tally.votes, tally.rev
     from post cross join tally left join users u on u.id = post.owner_id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: [ownerId, input.title, input.content, input.published],
    },
  );
  if (!row) throw new Error('the post was not inserted');
  return row;
}

/**
 * Changes what is given of a post. To the others a draft that is published is a new post, and a post that is withdrawn
 * is a deleted one. A change that changes nothing writes nothing and tells nobody.
 * @throws {AppError} 404, 403, 412
 */
export async function updatePost(
  ctx: Context,
  user: Identity,
  id: number,
  input: Partial<PostInput>,
  ifMatch?: string,
): Promise<PostAnswer> {
  return ctx.db.transaction(async (tx) => {
    const post = requireOwn(await Post.findByPk(id, { transaction: tx, lock: tx.LOCK.UPDATE }), user, id);
    requireVersion(ifMatch, post.version);
    const wasPublished = post.published;
    post.set(input);
    if (!post.changed()) return postById(ctx, user, id, tx);

    const now = new Date();
    const publishes = !wasPublished && post.published;
    post.set({ version: post.version + 1, updatedAt: now, ...(publishes ? { listedAt: now } : {}) });
    await post.save({ transaction: tx });
    if (publishes) await rankAnew(tx, id);

    const answer = await postById(ctx, user, id, tx);
    const { voted: _voted, ...view } = answer;
    const name = eventOf(wasPublished, post.published);
    if (name) await append(tx, name, name === 'post:deleted' ? { id } : view);
    return answer;
  });
}

/** What the others see of a change. */
function eventOf(wasPublished: boolean, isPublished: boolean): FeedEventName | undefined {
  if (isPublished) return wasPublished ? 'post:updated' : 'post:created';
  return wasPublished ? 'post:deleted' : undefined;
}

/** A draft competes in `sort=hot` from the moment it is published. */
async function rankAnew(tx: Transaction, postId: number): Promise<void> {
  await sequelizeOf(tx).query(
    `update post_tallies t set hot = hot_rank(t.votes, p.listed_at) from posts p where p.id = t.post_id and p.id = $1`,
    { type: QueryTypes.RAW, transaction: tx, bind: [postId] },
  );
}

/** Deletes a post with its votes and its tally. @throws {AppError} 404, 403 */
export async function deletePost(ctx: Context, user: Identity, id: number): Promise<void> {
  await ctx.db.transaction(async (tx) => {
    const post = requireOwn(await Post.findByPk(id, { transaction: tx, lock: tx.LOCK.UPDATE }), user, id);
    await forgetAnswers(tx, id);
    await post.destroy({ transaction: tx });
    if (post.published) await append(tx, 'post:deleted', { id });
  });
}

/** The connection that a transaction runs on; Sequelize's typings leave it out. */
function sequelizeOf(tx: Transaction): NonNullable<typeof Post.sequelize> {
  return (tx as unknown as { sequelize: NonNullable<typeof Post.sequelize> }).sequelize;
}
