import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import { append } from '../outbox/append.ts';
import { postCreated, postDeleted, postUpdated } from '../posts/events.ts';
import { postColumns, type PostRow, presentPost } from '../posts/present.ts';
import type { Repair } from './log-checks.ts';

/**
 * Puts one finding right under the post's lock: a tally is counted anew, with a new rev so that every client takes it;
 * an event is written that tells the post as it is. The row is the truth, and what the log said wrongly is corrected by
 * what it says next, never in place. Who has seen the version that the log told must not take the row for the same one, or
 * for an older: the row gets a version beyond it.
 */
export async function repair(db: Database, found: Repair): Promise<void> {
  await db.transaction(async (tx) => {
    const sequelize = db.sequelize;
    if (found.kind === 'floor') return raiseFloor(sequelize, tx, found.seq);
    const { kind, postId } = found;
    await sequelize.query('select 1 from posts where id = $1 for update', {
      bind: [postId],
      type: QueryTypes.SELECT,
      transaction: tx,
    });
    if (kind === 'tally') await recount(sequelize, tx, postId);
    else await tellAnew(sequelize, tx, postId);
    return undefined;
  });
}

/**
 * What the log has lost nobody can put back. Its floor moves above the hole, so that whoever would have been handed less
 * than happened is told `reset` instead. A node that runs takes the new floor with its next look at the log.
 */
async function raiseFloor(sequelize: Sequelize, tx: Transaction, seq: number): Promise<void> {
  await sequelize.query('update feed_head set floor = greatest(floor, $1)', {
    bind: [seq],
    type: QueryTypes.RAW,
    transaction: tx,
  });
  await sequelize.query('delete from event_log where seq <= $1', {
    bind: [seq],
    type: QueryTypes.RAW,
    transaction: tx,
  });
}

/**
 * Gives the log another epoch: every client is told `reset` and reads anew. For a database that was put back in a way that
 * nothing can notice by itself.
 * @returns the new epoch
 */
export async function makeNewEpoch(db: Database): Promise<string> {
  const [rows] = (await db.sequelize.query(
    'update feed_head set epoch = gen_random_uuid() returning epoch',
  )) as [{ epoch: string }[], unknown];
  const [head] = rows;
  if (!head) throw new Error('feed_head has no row');
  return head.epoch;
}

async function recount(sequelize: Sequelize, tx: Transaction, postId: number): Promise<void> {
  await sequelize.query(
    `insert into post_tallies as t (post_id, votes, rev, hot)
     select p.id, c.n, 1, hot_rank(c.n, p.listed_at)
     from posts p, (select count(*)::integer as n from votes where post_id = $1) c where p.id = $1
     on conflict (post_id) do update
     set votes = excluded.votes, rev = t.rev + 1, hot = excluded.hot, xid = pg_current_xact_id()`,
    { bind: [postId], type: QueryTypes.RAW, transaction: tx },
  );
}

async function tellAnew(sequelize: Sequelize, tx: Transaction, postId: number): Promise<void> {
  const [told] = await sequelize.query<{ name: string; version: number | null; owner_id: number | null }>(
    `select name, (data ->> 'version')::integer as version, (data ->> 'owner_id')::bigint as owner_id from (
       select name, data, 0 as waiting, seq as place from event_log where entity_type = $2 and entity_id = $1
       union all select name, data, 1, id from event_outbox where entity_type = $2 and entity_id = $1
     ) facts order by waiting desc, place desc limit 1`,
    { bind: [postId, postCreated.entityType], type: QueryTypes.SELECT, transaction: tx },
  );
  await sequelize.query('update posts set version = $2 + 1 where id = $1 and published and version <= $2', {
    bind: [postId, told?.version ?? 0],
    type: QueryTypes.RAW,
    transaction: tx,
  });
  const [post] = await sequelize.query<
    Omit<PostRow, 'votes' | 'rev'> & { votes: number | null; rev: number | null }
  >(
    `select ${postColumns}
     from posts p join users u on u.id = p.owner_id left join post_tallies t on t.post_id = p.id
     where p.id = $1`,
    { bind: [postId], type: QueryTypes.SELECT, transaction: tx },
  );
  const isThere = told !== undefined && told.name !== postDeleted.name;
  if (!post?.published)
    await append(tx, postDeleted, { id: postId, owner_id: post?.owner_id ?? told?.owner_id ?? 0 });
  else
    await append(
      tx,
      isThere ? postUpdated : postCreated,
      presentPost({ ...post, votes: post.votes ?? 0, rev: post.rev ?? 0 }),
    );
}
