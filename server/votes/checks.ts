import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';

/** Whether each tally equals its votes. */
export async function findWrongTallies(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; told: number | null; counted: number }>(
    `select p.id, t.votes as told, coalesce(v.counted, 0) as counted
     from posts p
     left join post_tallies t on t.post_id = p.id
     left join (select post_id, count(*) as counted from votes group by post_id) v on v.post_id = p.id
     where t.votes is distinct from coalesce(v.counted, 0)
     order by p.id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, told, counted }) => ({
    what: `Post ${id} has ${counted} ${counted === 1 ? 'vote' : 'votes'}, and its tally ${told === null ? 'is missing' : `says ${told}`}.`,
    repair: (tx) => recount(tx, id),
  }));
}

/** Counts a tally again under the post's lock, for which votes wait, with a new rev so that every client takes it. */
async function recount(tx: Transaction, postId: number): Promise<void> {
  const sequelize = sequelizeOf(tx);
  const bind = [postId];
  await sequelize.query('select 1 from posts where id = $1 for update', {
    bind,
    type: QueryTypes.SELECT,
    transaction: tx,
  });
  await sequelize.query(
    `insert into post_tallies as t (post_id, votes, rev, hot)
     select p.id, c.n, 1, hot_rank(c.n, p.listed_at)
     from posts p, (select count(*)::integer as n from votes where post_id = $1) c where p.id = $1
     on conflict (post_id) do update
     set votes = excluded.votes, rev = t.rev + 1, hot = excluded.hot, xid = pg_current_xact_id()`,
    { bind, type: QueryTypes.RAW, transaction: tx },
  );
}

export const voteChecks: readonly Check[] = [{ what: 'tallies', find: findWrongTallies }];
