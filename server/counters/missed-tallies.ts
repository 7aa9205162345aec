import type pg from 'pg';
import { ownXid } from '../own-xid.ts';
import type { Tally } from '../protocol.ts';
import { inPublicThread } from '../public-thread.ts';

/**
 * How much earlier than the last event that a client saw its tallies may be stale: more than it takes to send a tally,
 * also if tens of thousands are sent. Milliseconds.
 */
const SLACK = 10_000;
/** Maximum number of tallies sent; of more, the ones that changed last. */
const MOST = 4000;
/** Clients whose positions are this close together get the same tallies: a few more than they missed. */
const STEP = 100;

/** How long those who ask are gathered before each read. Milliseconds. */
const BATCH_WINDOW = 50;
/** Reads that wait at most: with more positions than that, several share the read of the lowest. */
const MOST_PENDING = 8;

/** What a client missed. */
export interface Missed {
  tallies: Tally[];
  /** More tallies have changed than are sent: `tallies` are the ones that changed last. */
  incomplete: boolean;
}

/** A read that has not begun yet, and all who wait for it. */
class Pending {
  /** What changed since then is sent: clients that saw a later event get some tallies more than they missed. */
  position: number;
  begin!: () => Promise<void>;
  readonly missed: Promise<Missed>;

  constructor(position: number, read: () => Promise<Missed>) {
    this.position = position;
    this.missed = new Promise((resolve, reject) => (this.begin = () => read().then(resolve, reject)));
  }
}

/**
 * The tallies that changed since a client saw its last event. Votes are no events: a client that was away, or that came
 * from a list to the feed, would otherwise show an old number until somebody votes again.
 *
 * Each event says how far the transactions had ended when it was numbered. Whatever tally is not older than that of an
 * event that was numbered some seconds before the one at the client's position is told; what the client knew already it
 * recognises by `rev`.
 *
 * Clients that return together share an answer, and one is read at a time, fifty milliseconds apart, so how often the
 * database is asked depends on neither their number nor its speed, and nobody waits for more than a few reads, from however
 * many positions they come. An answer is shared only by those who asked before it was begun: what
 * changes later they hear live.
 */
export class MissedTallies {
  readonly #pool: pg.Pool;
  readonly #most: number;
  /** In the order in which they are read. */
  readonly #pending: Pending[] = [];
  #reading = false;

  /**
   * @param most maximum number of tallies for one client
   */
  constructor(pool: pg.Pool, most = MOST) {
    this.#pool = pool;
    this.#most = most;
  }

  /** @param after the position of the client, which must be hearing the live tallies already */
  since(after: number): Promise<Missed> {
    const position = after - (after % STEP);
    let pending = this.#pending.find((one) => one.position === position) ?? this.#sharedBy(position);
    if (!pending) {
      const own: Pending = (pending = new Pending(position, () => this.#read(own.position)));
      this.#pending.push(own);
      if (!this.#reading) void this.#readAll();
    }
    return pending.missed;
  }

  /** Where there are too many reads already: the one of the nearest earlier position, or the first of all, from here on. */
  #sharedBy(position: number): Pending | undefined {
    if (this.#pending.length < MOST_PENDING) return undefined;
    const sorted = [...this.#pending].sort((a, b) => a.position - b.position);
    const shared = sorted.findLast((one) => one.position < position) ?? sorted[0];
    if (shared) shared.position = Math.min(shared.position, position);
    return shared;
  }

  async #readAll(): Promise<void> {
    this.#reading = true;
    do {
      await new Promise((resolve) => setTimeout(resolve, BATCH_WINDOW));
      await this.#pending.shift()?.begin(); // who asks from here on waits for the next read
    } while (this.#pending.length > 0);
    this.#reading = false;
  }

  /** Bounded before the posts are joined: a transaction may have touched millions of drafts, or of tallies without votes. */
  async #read(after: number): Promise<Missed> {
    const { rows } = await this.#pool.query<Tally & { told: boolean }>({
      name: 'missed-tallies',
      text: `
        select t.post_id, t.votes, t.replies, t.rev,
          coalesce(p.published and t.rev > 0 and ${inPublicThread}, false) as told
        from (
          select post_id, votes, replies, rev, xid from post_tallies
          where xid >= coalesce((
            select case when e.seq <= h.foreign_seq then '0' else e.horizon end from event_log e cross join feed_head h
            where e.seq <= $1
              and e.numbered_at < (select l.numbered_at from event_log l where l.seq >= $1 order by l.seq limit 1)
                - $2 * interval '1 millisecond'
            order by e.seq desc limit 1), '0') and ${ownXid}
          order by xid desc limit $3::integer + 1
        ) t join posts p on p.id = t.post_id
        order by t.xid desc`,
      values: [after, SLACK, this.#most],
    });
    return {
      tallies: rows
        .slice(0, this.#most)
        .filter(({ told }) => told)
        .map(({ post_id, votes, replies, rev }) => ({ post_id, votes, replies, rev })),
      incomplete: rows.length > this.#most,
    };
  }
}
