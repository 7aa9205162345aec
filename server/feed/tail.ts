import type pg from 'pg';
import type { Tally } from '../events.ts';
import type { Head } from '../outbox/log.ts';

/** A committed end of sessions. */
export interface RevocationRow {
  id: number;
  userId: number;
  /** Null: all of the user's sessions. */
  sessionId: string | null;
  exceptSessionId: string | null;
}

/** What every node looks at several times a second, in one statement and so in one snapshot. */
export interface Tail extends Head {
  /** Every transaction below this number had ended when the snapshot was taken. */
  horizon: string;
  /** Whether this is the database that the log was numbered in. A proxy may have put another one in its place unnoticed. */
  here: boolean;
  tallies: Tally[];
  revocations: RevocationRow[];
}

/**
 * Tallies and revocations have no number of their own; each row carries the number of the transaction that wrote it
 * last. Asking for all that is not older than the oldest transaction that ran at the last look misses no late commit, at
 * the price of reading some rows twice: tallies heal by `rev`, and ending a session twice is no harm.
 */
const text = `
  select h.epoch, h.seq, h.floor, h.fingerprint = database_fingerprint() as here, pg_snapshot_xmin(pg_current_snapshot())::text as horizon,
    (select coalesce(json_agg(json_build_object('post_id', t.post_id, 'votes', t.votes, 'rev', t.rev)), '[]')
     from post_tallies t join posts p on p.id = t.post_id where t.xid >= $1::xid8 and p.published and t.rev > 0) as tallies,
    (select coalesce(json_agg(json_build_object('id', r.id, 'userId', r.user_id,
        'sessionId', r.session_id, 'exceptSessionId', r.except_session_id)), '[]')
     from revocations r where r.xid >= $1::xid8) as revocations
  from feed_head h`;

/** @param horizon that of the last look; undefined for the first, which then tells no past change. */
export async function readTail(pool: pg.Pool, horizon: string | undefined): Promise<Tail> {
  const { rows } = await pool.query<Tail>({
    name: 'feed-tail',
    text,
    values: [horizon ?? '18446744073709551615'],
  });
  const tail = rows[0];
  if (!tail) throw new Error('feed_head has no row');
  return tail;
}
