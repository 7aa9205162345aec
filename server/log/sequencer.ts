import type pg from 'pg';
import { about } from '../async/loop.ts';
import { Pause } from '../async/pause.ts';
import type { Logger } from '../logger.ts';
import { type Numbered, numberedIn, type NumberedRow, numberEvents } from './numbering.ts';

/** How many events one call numbers at most: bounds the transaction and the memory of anyone who reads the batch. */
const BATCH = 500;

/**
 * How long to sleep without a wake-up, which each commit of this node is: finds events that another node committed
 * before it crashed. Milliseconds.
 */
const INTERVAL = 200;
/** After a call that failed, and while nothing may be written. */
const RETRY_INTERVAL = 50;

/** How long to wait, when woken, for another node that is just numbering: our row may lie behind its batch. */
const BUSY_INTERVAL = 5;

/**
 * The sequencer: numbers committed events 1, 2, 3 … without gaps, in an order that never changes for a reader. There is
 * no leader.
 *
 * A write appends to the outbox as the last statement of its transaction. `number_events` then, in one call and one
 * transaction, which is the sequencer's own, or that of the write where few posts are written (post-writer.ts):
 *   1. returns if nothing waits; locks the one row of `feed_head`, or says at once that somebody else has it;
 *   2. moves up to 500 outbox rows, in id order, into `events`, with seq = head + 1, + 2, …;
 *   3. moves the head, and cuts the text out of earlier events of the same posts, a bounded piece in each call;
 *   4. commits and returns the first and the last number, and the events if they are little text: most calls number one.
 *
 * No gap and no number twice: numbers are head + row_number under the row's lock, and the head moves in the same
 * transaction, so an abort at any point gives all of them back. `events.seq` and `events.outbox_id` are unique besides.
 *
 * No event forgotten or numbered twice: a row is deleted from the outbox in the transaction that inserts it into the
 * log. What is committed and not yet numbered is in the outbox; any node's next call finds it.
 *
 * Commit-safe: each statement of the function sees all that committed before the lock was got, and a later commit only
 * adds rows to later batches, which get higher numbers. A reader that has seen 6 can never meet a new 5.
 *
 * Order: if write A was answered before write B began, A had committed and its outbox id was drawn before B's, so A is
 * in an earlier batch or earlier in the same one. Two writes to one post exclude each other by the post's row lock, and
 * the id is drawn inside it. A slow transaction delays nobody: its row is just not visible yet.
 *
 * Who dies when: before the call, the rows wait (≤ 250 ms, any node). During it, the server rolls back when it notices
 * the lost connection, or commits, since the call is one statement and its result fits a socket buffer: a stopped
 * process holds the lock no longer than the statement runs. After the commit and before publishing: every node's
 * follower reads the log on its own clock. Two at once: the second finds the row locked and asks again
 * 5 ms later if it has something to number, and so does every node's timer. Nobody is elected, so nobody can be stale.
 */
export class Sequencer {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #onNumbered: (batch: Numbered) => void;
  readonly #mayWrite: () => boolean;
  readonly #onFailed: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #stopped = false;
  #woken = false;
  /** The pause until the next tick, which a commit ends. */
  readonly #idle = new Pause();
  /** The pause before another try, which lasts whatever is committed. */
  readonly #retry = new Pause();

  /**
   * @param onNumbered called after each batch that this process has numbered
   * @param mayWrite asked before each call: while no write may be sent to the database nothing is numbered
   * @param onFailed called after each call that failed
   */
  constructor(
    pool: pg.Pool,
    log: Logger,
    onNumbered: (batch: Numbered) => void,
    mayWrite: () => boolean = () => true,
    onFailed: (error: unknown) => void = () => undefined,
  ) {
    this.#pool = pool;
    this.#mayWrite = mayWrite;
    this.#onFailed = onFailed;
    this.#log = log;
    this.#onNumbered = onNumbered;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Something was committed on this node: number it now rather than at the next tick. */
  wake(): void {
    this.#woken = true;
    this.#idle.end();
  }

  /** Ends the loop after the call in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#idle.end();
    this.#retry.end();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    let due = false; // something of ours may still wait for its number
    while (!this.#stopped) {
      if (!this.#mayWrite()) {
        await this.#retry.for(RETRY_INTERVAL);
        continue;
      }
      due ||= this.#woken;
      this.#woken = false; // before the call: a commit that lands during it must still wake us
      let numbered = 0;
      let busy = false;
      try {
        // A batch that is too much for the database must not be tried in the same size for ever.
        const batch = await this.#number(Math.max(1, BATCH >> Math.min(failures, 10)));
        busy = batch === 'busy';
        if (typeof batch === 'object') {
          numbered = batch.last - batch.first + 1;
          this.#onNumbered(batch);
        }
        if (!busy) due = false;
        failures = 0;
      } catch (error) {
        failures += 1;
        this.#onFailed(error);
        if (failures === 1) this.#log.warn({ err: error }, 'numbering failed; retrying');
      }
      if (failures > 0) await this.#retry.for(Math.min(1000, RETRY_INTERVAL * 2 ** failures));
      else if (busy && due) await this.#retry.for(BUSY_INTERVAL);
      else if (numbered < BATCH && !this.#woken) await this.#idle.for(about(INTERVAL));
    }
  }

  async #number(atMost: number): Promise<Numbered | 'busy' | undefined> {
    const { rows } = await this.#pool.query<NumberedRow>({
      name: 'number-events',
      text: numberEvents('$1'),
      values: [atMost],
    });
    return numberedIn(rows);
  }
}
