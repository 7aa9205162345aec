import type pg from 'pg';
import { ownXid } from '../own-xid.ts';
import type { Tally } from '../protocol.ts';
import { inPublicThread } from '../public-thread.ts';
import { type Head, NoHead } from './reader.ts';

/** A committed end of sessions. */
export interface RevocationRow {
  id: number;
  userId: number;
  /** Null: all of the user's sessions. */
  sessionId: string | null;
  exceptSessionId: string | null;
  /** Why, if their user did not want it. */
  code: string | null;
}

/** How many changed rows one poll lists one by one. */
export interface TailLimits {
  tallies: number;
  revocations: number;
}

export const TAIL_LIMITS: TailLimits = { tallies: 4000, revocations: 1000 };

/** What every node polls several times a second, in one statement and therefore in one snapshot. */
export interface Tail extends Head {
  /** The snapshot of this poll. The next poll reads what this one could not see. */
  snapshot: string;
  /** How far the database's write-ahead log is on disk, in bytes; null on a standby. */
  wal: number | null;
  /** Whether this is the database that the log was numbered in. A proxy may have put another one in its place unnoticed. */
  here: boolean;
  tallies: Tally[];
  /** More tallies have changed than the limit: none of them is in `tallies`. */
  tooManyTallies: boolean;
  revocations: RevocationRow[];
  /** More sessions have been ended than the limit: none of them is in `revocations`. */
  tooManyRevocations: boolean;
}

/**
 * Tallies and revocations have no number of their own; each row carries the number of the transaction that wrote it last.
 * What a snapshot could not see was written by a transaction that ran at that moment (`xip`) or began later (from `xmax`
 * on). Both are ranges of the index on `xid`, and each row is read once, however long some other transaction runs.
 *
 * One transaction may write millions of rows, so at most `limit + 1` of each range are read. If there are more than the
 * limit, the look says only that, and the next look continues from this snapshot all the same: see `Follower`. The
 * range with equal ends keeps the planner from a sequential scan where most rows have the same `xid`.
 */
const changed = (table: string, columns: string, limit: string) => `
    (select ${columns} from ${table} where xid >= pg_snapshot_xmax($1::pg_snapshot) and ${ownXid}
     order by xid limit ${limit}::integer + 1)
    union all
    (select late.* from pg_snapshot_xip($1::pg_snapshot) as running (xid)
     cross join lateral (
       select ${columns} from ${table} where xid >= running.xid and xid <= running.xid
       order by xid limit ${limit}::integer + 1
     ) late limit ${limit}::integer + 1)`;

const text = `
  with changed_tallies as materialized (${changed('post_tallies', 'post_id, votes, replies, rev', '$2')}
  ), ended as materialized (${changed('revocations', 'id, user_id, session_id, except_session_id, code', '$3')}
  ), counted as materialized (
    select (select count(*) from changed_tallies) > $2::integer as tallies,
           (select count(*) from ended) > $3::integer as revocations
  )
  select h.epoch, h.seq, h.floor,
    h.fingerprint = database_fingerprint() and feed_head_is_own(h.written_by, h.xmin) as here,
    pg_current_snapshot()::text as snapshot, flushed_wal() as wal,
    c.tallies as "tooManyTallies", c.revocations as "tooManyRevocations",
    case when c.tallies then '[]' else (
      select coalesce(json_agg(json_build_object('post_id', t.post_id, 'votes', t.votes, 'replies', t.replies, 'rev', t.rev)), '[]')
      from changed_tallies t join posts p on p.id = t.post_id
      where p.published and t.rev > 0
        and ${inPublicThread}) end as tallies,
    case when c.revocations then '[]' else (
      select coalesce(json_agg(json_build_object('id', r.id, 'userId', r.user_id,
        'sessionId', r.session_id, 'exceptSessionId', r.except_session_id, 'code', r.code)), '[]')
      from ended r) end as revocations
  from feed_head h, counted c`;

/** @param seen the snapshot of the last look; undefined for the first one, which then tells no past change. */
export async function readTail(
  pool: pg.Pool,
  seen: string | undefined,
  limits: TailLimits = TAIL_LIMITS,
): Promise<Tail> {
  const since = seen ?? (await readSnapshot(pool));
  const { rows } = await pool.query<Tail>({
    name: 'feed-tail',
    text,
    values: [since, limits.tallies, limits.revocations],
  });
  const tail = rows[0];
  if (!tail) throw new NoHead();
  return tail;
}

async function readSnapshot(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot');
  return rows[0]?.snapshot ?? '';
}
