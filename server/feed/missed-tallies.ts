import type pg from 'pg';
import type { Tally } from '../events.ts';

/** How much earlier than the last event that a client saw its tallies may be stale: more than a tally takes to be told. Milliseconds. */
const SLACK = 5000;
/** Tallies told at most; of more, the ones that changed last. */
const MOST = 4000;
/** For how long an answer serves others who ask the same. Milliseconds. */
const SHARED = 1000;

/**
 * The tallies that changed since a client saw its last event. Votes are no events: a client that was away, or that came
 * from a list to the feed, would otherwise show an old number until somebody votes again.
 *
 * Each event says how far the transactions had ended when it was numbered. Whatever tally is not older than that of an
 * event some seconds before the client's position is told; what the client knew already it recognises by `rev`. Clients
 * that return together stand at the same position and share one answer.
 */
export class MissedTallies {
  readonly #pool: pg.Pool;
  readonly #answers = new Map<string, { at: number; tallies: Promise<Tally[]> }>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** @param after the position of the client */
  since(after: number): Promise<Tally[]> {
    const key = String(after);
    const now = Date.now();
    for (const [old, { at }] of this.#answers) if (now - at > SHARED) this.#answers.delete(old);
    let answer = this.#answers.get(key);
    if (!answer) {
      answer = { at: now, tallies: this.#read(after) };
      answer.tallies.catch(() => this.#answers.delete(key));
      this.#answers.set(key, answer);
    }
    return answer.tallies;
  }

  async #read(after: number): Promise<Tally[]> {
    const { rows } = await this.#pool.query<Tally>({
      name: 'missed-tallies',
      text: `
        select t.post_id, t.votes, t.rev
        from post_tallies t join posts p on p.id = t.post_id
        where p.published and t.rev > 0 and t.xid >= coalesce((
          select e.horizon from events e
          where e.seq <= $1
            and e.created_at < (select l.created_at from events l where l.seq = $1) - $2 * interval '1 millisecond'
          order by e.seq desc limit 1), '0')
        order by t.xid desc limit $3`,
      values: [after, SLACK, MOST],
    });
    return rows;
  }
}
