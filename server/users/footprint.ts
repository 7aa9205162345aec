import { QueryTypes, type Transaction } from 'sequelize';
import { AccountTask, User } from '../../models/index.ts';
import type { Tally } from '../protocol.ts';
import { inPublicThread } from '../public-thread.ts';
import { appendAll } from '../log/append.ts';
import { postUpdated, type Removed } from '../posts/events.ts';
import { type PostRow, presentPost, publishedPosts } from '../posts/present.ts';
import { appendRemovals, forgetRemoved, removePosts } from '../posts/removal.ts';
import { eraseMentions } from './mentions-of.ts';
import { endNotifications } from './notifications-of.ts';
import { endRelations, eraseName } from './relations-of.ts';
import { endRole } from './role-of.ts';

/**
 * What a user has left in other tables, changed a piece at a time: a user may have 100,000 posts and votes. Each piece is one
 * transaction, with the events of what it changes. Locks are taken in the order users, account_tasks, posts, tallies,
 * posts and tallies each by id, as in `cast_votes`.
 */

/** What one piece did. */
export interface Piece {
  /** Whether nothing is left. */
  done: boolean;
  /** Tallies of others' posts that it changed. */
  tallies: Tally[];
  /** Whether it could do nothing, since what goes before it has no number yet. */
  waits?: boolean;
}

/** Votes on posts, and replies to them, that one piece of a deletion takes along, unless a single post has more. */
const MOST_TAKEN = 2000;
/** Rows of other kinds that one piece of a deletion takes away. */
const MOST_ROWS = 2000;

async function rows<T extends object>(tx: Transaction, sql: string, ...bind: unknown[]): Promise<T[]> {
  if (!User.sequelize) throw new Error('the models are not bound');
  return User.sequelize.query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
}

/** Notes, with the change of the account, that its posts are to follow. */
export async function beginTask(tx: Transaction, userId: number, kind: 'rename' | 'delete'): Promise<void> {
  await rows(
    tx,
    `insert into account_tasks (user_id, kind) values ($1, $2)
     on conflict (user_id) do update
     set kind = excluded.kind, before_listed_at = excluded.before_listed_at,
         before_post_id = excluded.before_post_id, worked_at = excluded.worked_at`,
    userId,
    kind,
  );
}

/**
 * Does the next piece of whatever is to be done for an account, while nobody else changes it.
 * @param most posts in one piece
 */
export async function workPiece(tx: Transaction, userId: number, most: number): Promise<Piece> {
  // A deletion has to see every post and vote of the user, so nobody may write one meanwhile.
  await rows(tx, 'select 1 from users where id = $1 and deleted_at is not null for update', userId);
  await rows(tx, 'select 1 from users where id = $1 for key share', userId);
  const task = await AccountTask.findByPk(userId, {
    attributes: ['userId', 'kind'],
    transaction: tx,
    lock: tx.LOCK.UPDATE,
  });
  if (!task) return { done: true, tallies: [] };
  await rows(tx, 'update account_tasks set worked_at = clock_timestamp() where user_id = $1', userId);
  return task.kind === 'rename' ? renamePiece(tx, userId, most) : deletePiece(tx, userId, most);
}

/**
 * Gives the next published posts of a renamed user a new version and tells of them. From the newest one down: what is
 * published meanwhile has the new name already.
 */
async function renamePiece(tx: Transaction, userId: number, most: number): Promise<Piece> {
  const page = await rows<{ id: number }>(
    tx,
    `select p.id from account_tasks a cross join lateral (
       select id from posts
       where owner_id = $1 and published and (listed_at, id) < (a.before_listed_at, a.before_post_id)
       order by listed_at desc, id desc limit $2
     ) p where a.user_id = $1`,
    userId,
    most,
  );
  const ids = page.map(({ id }) => id);
  const done = ids.length < most;
  // With the first posts of their threads: none of these is withdrawn before the events of its replies are written.
  await rows(
    tx,
    `select id from posts
     where id = any($1::bigint[]) or id in (select root_id from posts where id = any($1::bigint[]))
     order by id for no key update`,
    ids,
  );
  await rows(tx, 'update posts set version = version + 1 where id = any($1::bigint[]) and published', ids);
  if (done) await rows(tx, 'delete from account_tasks where user_id = $1', userId);
  else {
    await rows(
      tx,
      `update account_tasks a set before_listed_at = p.listed_at, before_post_id = p.id
       from posts p where a.user_id = $1 and p.id = $2`,
      userId,
      ids.at(-1),
    );
  }
  // Their rows are locked.
  await appendAll(tx, postUpdated, (await rows<PostRow>(tx, publishedPosts, ids)).map(presentPost));
  return { done, tallies: [] };
}

/**
 * Takes away the next posts of a deleted user, those first that moderators have removed; when there are none left, the votes, the mentions, the relations, the
 * notifications, the rest, and the user at last. What locks posts is a piece by itself: it has locked what comes behind
 * them in the order of locks.
 */
async function deletePiece(tx: Transaction, userId: number, most: number): Promise<Piece> {
  const removed = await rows<{ id: number }>(
    tx,
    'select post_id as id from removed_posts where owner_id = $1 order by post_id limit $2',
    userId,
    most,
  );
  if (removed.length > 0) {
    await forgetRemoved(
      tx,
      removed.map(({ id }) => id),
    );
    return { done: false, tallies: [] };
  }
  const told = await deletePosts(tx, userId, most);
  if (told) {
    await appendRemovals(tx, told);
    return { done: false, tallies: [] };
  }
  const tallies = await takeVotesBack(tx, userId, most);
  if (tallies) return { done: false, tallies };
  const noRelations =
    (await eraseMentions(tx, userId, most)) &&
    (await endRelations(tx, userId, most)) &&
    (await endNotifications(tx, userId, MOST_ROWS));
  if (noRelations) await endRole(tx, userId);
  const name = noRelations ? await eraseName(tx, userId) : 'more';
  const done = name === 'done' && (await deleteRest(tx, userId));
  return { done, tallies: [], waits: name === 'waits' };
}

/** @returns those whose deletion is to be told; undefined if there was none to delete */
async function deletePosts(tx: Transaction, userId: number, most: number): Promise<Removed[] | undefined> {
  // A post's votes go with it, and of its thread is told what it had, so it counts by both.
  const page = await rows<{ id: number }>(
    tx,
    `select id from (
       select p.id, sum(t.votes + t.replies) over newest as weight, row_number() over newest as place
       from (
         select id, listed_at from posts where owner_id = $1 order by listed_at desc, id desc limit $2
       ) p join post_tallies t on t.post_id = p.id
       window newest as (order by p.listed_at desc, p.id desc rows unbounded preceding)
     ) counted where weight <= $3 or place = 1`,
    userId,
    most,
    MOST_TAKEN,
  );
  if (page.length === 0) return undefined;
  return removePosts(
    tx,
    page.map(({ id }) => id),
  );
}

/**
 * The posts are others' by now: a user's own are gone, with the votes on them.
 * @returns the tallies that everyone sees; undefined if there was no vote
 */
async function takeVotesBack(tx: Transaction, userId: number, most: number): Promise<Tally[] | undefined> {
  const page = await rows<{ post_id: number }>(
    tx,
    'select post_id from votes where user_id = $1 order by post_id limit $2',
    userId,
    most,
  );
  const ids = page.map(({ post_id }) => post_id);
  if (ids.length === 0) return undefined;
  await rows(tx, 'select id from posts where id = any($1::bigint[]) order by id for key share', ids);
  await rows(
    tx,
    'select post_id from post_tallies where post_id = any($1::bigint[]) order by post_id for no key update',
    ids,
  );
  const changed = await rows<Tally & { published: boolean }>(
    tx,
    `with gone as (
       delete from votes where user_id = $1 and post_id = any($2::bigint[]) returning post_id
     )
     update post_tallies t
     set votes = t.votes - 1, rev = t.rev + 1, hot = hot_rank(t.votes - 1, p.listed_at), xid = pg_current_xact_id()
     from gone join posts p on p.id = gone.post_id
     where t.post_id = gone.post_id
     returning t.post_id, t.votes, t.replies, t.rev,
       coalesce(p.published and ${inPublicThread}, false) as published`,
    userId,
    ids,
  );
  return changed
    .filter((tally) => tally.published)
    .map(({ post_id, votes, replies, rev }) => ({ post_id, votes, replies, rev }));
}

/** @returns whether the user is gone too */
async function deleteRest(tx: Transaction, userId: number): Promise<boolean> {
  for (const sql of [
    `delete from reports where (case_id, reporter_id) in (
       select case_id, reporter_id from reports where reporter_id = $1 limit $2) returning 1`,
    `delete from idempotency_keys where ctid = any(array(
       select ctid from idempotency_keys where user_id = $1 limit $2)) returning 1`,
    `delete from refresh_tokens where hash = any(array(
       select t.hash from sessions s join refresh_tokens t on t.session_id = s.id where s.user_id = $1 limit $2)) returning 1`,
    `delete from sessions where id = any(array(
       select id from sessions where user_id = $1 limit $2)) returning 1`,
  ]) {
    if ((await rows(tx, sql, userId, MOST_ROWS)).length === MOST_ROWS) return false;
  }
  await rows(tx, 'delete from users where id = $1', userId);
  return true;
}
