import { QueryTypes } from 'sequelize';
import { about, Loop } from '../async/loop.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';

/** `last_seen_at` moves in steps of this: five minutes. A session is written at most once in each. */
export const LAST_SEEN_STEP = 5 * 60_000;
/** The beginning of the present step, in SQL. */
export const LAST_SEEN_NOW = `date_bin('5 minutes', clock_timestamp(), timestamptz 'epoch')`;

/** How often what has been seen is written. Milliseconds. */
const INTERVAL = 2000;
/** Sessions in one statement, and how many may wait; what is beyond that is written in a later step. */
const AT_ONCE = 500;
const MAX_WAITING = 10_000;

/** Writes when sessions were used last: soon afterwards, for many at once, so that no request waits for it. */
export class LastSeen extends Loop {
  readonly #db: DatabaseShare;
  readonly #mayWrite: () => boolean;
  readonly #seen = new Set<string>();

  /**
   * @param mayWrite asked before each statement: while no write may be sent to the database none is
   * @param onFailed told of what is tried again
   */
  constructor(db: DatabaseShare, mayWrite: () => boolean, onFailed: (error: unknown) => void) {
    super({ work: () => this.#write(), pause: () => about(INTERVAL), onFailed });
    this.#db = db;
    this.#mayWrite = mayWrite;
  }

  override start(): void {
    super.start(about(INTERVAL));
  }

  /** A session has been used. */
  note(sessionId: string): void {
    if (this.#seen.size < MAX_WAITING) this.#seen.add(sessionId);
  }

  async #write(): Promise<void> {
    while (this.#seen.size > 0 && this.#mayWrite() && !this.signal.aborted) {
      const sessions = [...this.#seen].slice(0, AT_ONCE);
      // A locked row is being refreshed, which writes the same, or is ending.
      await this.#db.query(
        `update sessions set last_seen_at = ${LAST_SEEN_NOW} where id = any(array(
           select id from sessions where id = any($1::uuid[])
             and (last_seen_at is null or last_seen_at < ${LAST_SEEN_NOW})
           for no key update skip locked))`,
        { type: QueryTypes.RAW, bind: [sessions] },
      );
      for (const session of sessions) this.#seen.delete(session);
    }
  }
}
