import type pg from 'pg';
import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';

/** Living replies below each post that has any, in SQL. */
const livingReplies = `
  select a.id, count(*)::integer as counted from posts p cross join lateral unnest(p.ancestors) as a (id)
  where p.deleted_at is null group by a.id`;

/**
 * Whether each tally equals its votes and its replies. Nobody sees the counts of what is being taken away in pieces,
 * which are no longer kept, nor those of an account's posts that are still to be deleted.
 */
export async function findWrongTallies(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{
    id: number;
    votes: number | null;
    replies: number | null;
    counted_votes: number;
    counted_replies: number;
  }>(
    `select p.id, t.votes, t.replies, coalesce(v.counted, 0) as counted_votes, coalesce(c.counted, 0) as counted_replies
     from posts p
     join posts r on r.id = coalesce(p.root_id, p.id) and r.deleted_at is null
     left join post_tallies t on t.post_id = p.id
     left join (select post_id, count(*) as counted from votes group by post_id) v on v.post_id = p.id
     left join (${livingReplies}) c on c.id = p.id
     where (t.votes, t.replies) is distinct from (coalesce(v.counted, 0), coalesce(c.counted, 0))
     order by p.id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, votes, replies, counted_votes, counted_replies }) => ({
    what: `Post ${id} has ${counted(votes, counted_votes, 'vote', 'votes') ?? counted(replies, counted_replies, 'reply', 'replies') ?? ''}.`,
    repair: (tx) => recount(tx, id),
  }));
}

function counted(told: number | null, number: number, one: string, many: string): string | undefined {
  if (told === number) return undefined;
  return `${number} ${number === 1 ? one : many}, and its tally ${told === null ? 'is missing' : `says ${told}`}`;
}

/**
 * Counts a tally again under its lock and that of the post, for which votes wait, with a new rev so that every client
 * takes it. Who writes or deletes a reply changes the tally after the reply: what is not counted here waits for the
 * lock.
 */
async function recount(tx: Transaction, postId: number): Promise<void> {
  await select(tx, 'select 1 from posts where id = $1 for update', postId);
  await select(tx, 'select 1 from post_tallies where post_id = $1 for update', postId);
  await select(
    tx,
    `insert into post_tallies as t (post_id, root_id, votes, replies, rev, hot)
     select p.id, p.root_id, c.n, b.n, 1, hot_rank(c.n, p.listed_at)
     from posts p, (select count(*)::integer as n from votes where post_id = $1) c,
       (select count(*)::integer as n from posts q
        where q.root_id = (select coalesce(root_id, id) from posts where id = $1)
          and q.ancestors @> array[$1::bigint] and q.deleted_at is null) b
     where p.id = $1
     on conflict (post_id) do update
     set votes = excluded.votes, replies = excluded.replies, rev = t.rev + 1, hot = excluded.hot,
       xid = pg_current_xact_id()`,
    postId,
  );
}

export const voteChecks: readonly Check[] = [{ what: 'tallies', find: findWrongTallies }];
