import { QueryTypes, type Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import type { Tally } from '../events.ts';
import { announce } from '../outbox/append.ts';

/**
 * What a user has left in other tables. Statements over whole sets: a user may have thousands of posts and votes.
 * Locks are taken in the order users (by the caller), posts, tallies, each by id, as in `cast_votes`.
 */

async function rows<T extends object>(tx: Transaction, sql: string, userId: number): Promise<T[]> {
  if (!User.sequelize) throw new Error('the models are not bound');
  return User.sequelize.query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind: [userId] });
}

/** Gives the user's published posts a new version, since their owner has a new name. */
export async function renamePosts(tx: Transaction, userId: number): Promise<void> {
  await rows(
    tx,
    `with locked as (
       select id from posts where owner_id = $1 and published order by id for update
     )
     update posts p set version = p.version + 1 from locked where p.id = locked.id`,
    userId,
  );
}

/**
 * Tells of each of the user's published posts as it now is, in the order of their ids. The rows are locked by the caller, and
 * this is the last statement of the transaction, as with `append`; it is made where the posts are, since all of them
 * together may be longer than any text in JavaScript. The payload is `presentPost`'s.
 */
export async function tellOfPosts(tx: Transaction, userId: number): Promise<void> {
  const moment = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  await rows(
    tx,
    `insert into outbox (name, post_id, data)
     select 'post:updated', p.id, row_to_json(view)
     from (
       select p.*, u.username, t.votes, t.rev
       from posts p join users u on u.id = p.owner_id join post_tallies t on t.post_id = p.id
       where p.owner_id = $1 and p.published order by p.id
     ) p
     cross join lateral (select p.owner_id as id, p.username) owner
     cross join lateral (
       select p.id, p.title, p.content, p.published, ${moment('p.created_at')} as created_at,
              ${moment('p.updated_at')} as updated_at, p.version, p.owner_id, row_to_json(owner) as owner, p.votes, p.rev
     ) view
     order by p.id`,
    userId,
  );
  const { sequelize } = User;
  if (sequelize) tx.afterCommit(() => announce(sequelize));
}

/** Locks the user's posts, the posts voted on, and the tallies of both. */
export async function lockFootprint(tx: Transaction, userId: number): Promise<void> {
  await rows(
    tx,
    `select id from posts
     where owner_id = $1 or id in (select post_id from votes where user_id = $1) order by id for update`,
    userId,
  );
  await rows(
    tx,
    `select post_id from post_tallies
     where post_id in (select id from posts where owner_id = $1 union select post_id from votes where user_id = $1)
     order by post_id for update`,
    userId,
  );
}

/** Takes the user's votes back and deletes the user's posts. */
export async function removeFootprint(
  tx: Transaction,
  userId: number,
): Promise<{ publishedPosts: number[]; changedTallies: Tally[] }> {
  const tallies = await rows<Tally & { published: boolean }>(
    tx,
    `with gone as (
       delete from votes where user_id = $1 returning post_id
     )
     update post_tallies t
     set votes = t.votes - 1, rev = t.rev + 1, hot = hot_rank(t.votes - 1, p.listed_at), xid = pg_current_xact_id()
     from gone join posts p on p.id = gone.post_id
     where t.post_id = gone.post_id and p.owner_id <> $1
     returning t.post_id, t.votes, t.rev, p.published`,
    userId,
  );
  const posts = await rows<{ id: number; published: boolean }>(
    tx,
    `with gone as (delete from posts where owner_id = $1 returning id, published)
     select id, published from gone order by id`,
    userId,
  );
  return {
    publishedPosts: posts.filter((post) => post.published).map((post) => post.id),
    changedTallies: tallies
      .filter((tally) => tally.published)
      .map(({ post_id, votes, rev }) => ({ post_id, votes, rev })),
  };
}
