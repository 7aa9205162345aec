import { DueWork } from '../async/due-work.ts';
import { about, Loop } from '../async/loop.ts';
import type { Database } from '../database/connection.ts';
import type { Tally } from '../protocol.ts';
import type { Logger } from '../logger.ts';
import { type Piece, workPiece } from './footprint.ts';

/** Posts in one piece: so many that a piece is a few hundredths of a second. */
const PIECE = 200;
/** The pause after a piece, as a share of how long it took. */
const PAUSE_SHARE = 0.5;
/** With so many events that wait for their number, no more are added: others' events would wait behind them. */
const MOST_WAITING = 300;
/** How often to check whether they have been numbered, at first; each time after twice as long. Milliseconds. */
const LOOK = 20;
/** A task that has rested so long has been left by its node. Milliseconds. */
const RESTED = 5000;
/** How often to look for such tasks. Milliseconds. */
const SWEEP = 5000;
/** How long an answer waits for the end of a task. Milliseconds. */
const TIME_LIMIT = 8000;
/** Until a piece that failed is tried again, and how long one waits for numbers at most. Milliseconds. */
const RETRY = 500;

/** A task that this node works on. */
interface ActiveTask {
  /** Who waits for its end. */
  waiting: (() => void)[];
  /** How long it has waited for numbers the last time. Milliseconds. */
  pause: number;
}

export interface AccountTasksOptions {
  db: Database;
  /** Asked before each piece. */
  mayWrite: () => boolean;
  log: Logger;
  reportTallies: (tallies: Tally[]) => void;
  /** Posts in one piece. */
  piece?: number;
  /** How long an answer waits for the end of a task. Milliseconds. */
  timeLimit?: number;
}

/**
 * Renames and deletes accounts of any size without blocking other requests. The change of the account itself is
 * committed at once, with the first piece of its posts and a row in `account_tasks`. The pieces that follow are short
 * transactions, each with its events, and pause so that others can write and get their numbers. The row says where to
 * continue, so if this node fails, another one finishes the task.
 */
export class AccountTasks {
  /** Posts in one piece. */
  readonly piece: number;
  readonly timeLimit: number;
  readonly #db: Database;
  readonly #mayWrite: () => boolean;
  readonly #log: Logger;
  readonly #reportTallies: AccountTasksOptions['reportTallies'];
  /** By account. Worked on in turn, one piece each. */
  readonly #active = new Map<number, ActiveTask>();
  readonly #rounds = new DueWork(
    () => this.#active.size > 0 && !this.#sweeps.signal.aborted,
    () => this.#round(),
  );
  /** Takes up what other nodes have left. */
  readonly #sweeps = new Loop({
    work: () => this.#takeUp(),
    pause: () => about(SWEEP),
    onFailed: (error) => this.#log.debug({ err: error }, 'account tasks could not be read'),
  });

  constructor({
    db,
    mayWrite,
    log,
    reportTallies,
    piece = PIECE,
    timeLimit = TIME_LIMIT,
  }: AccountTasksOptions) {
    this.#db = db;
    this.#mayWrite = mayWrite;
    this.#log = log;
    this.#reportTallies = reportTallies;
    this.piece = piece;
    this.timeLimit = timeLimit;
  }

  /** Takes up what other nodes have left, from now on. */
  start(): void {
    this.#sweeps.start(SWEEP * Math.random());
  }

  async stop(): Promise<void> {
    await this.#sweeps.stop();
    await this.#rounds.end();
    for (const { waiting } of this.#active.values()) for (const tell of waiting) tell();
  }

  /**
   * Brings the task of an account to its end. The caller waits for that for some seconds; the task continues in any
   * case.
   * @returns whether it was done by then
   */
  async finish(userId: number): Promise<boolean> {
    if (this.#sweeps.signal.aborted) return false;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), this.timeLimit);
      this.#add(userId, () => {
        clearTimeout(timer);
        resolve(!this.#active.has(userId));
      });
    });
  }

  #add(userId: number, tell?: () => void): void {
    const task = this.#active.get(userId) ?? { waiting: [], pause: 0 };
    if (tell) task.waiting.push(tell);
    this.#active.set(userId, task);
    this.#rounds.begin();
  }

  async #takeUp(): Promise<void> {
    const { rows } = await this.#db.query({
      text: `select user_id from account_tasks where worked_at < clock_timestamp() - $1 * interval '1 millisecond'
             order by worked_at limit 10`,
      values: [RESTED],
    });
    for (const { user_id } of rows as { user_id: number }[])
      if (!this.#sweeps.signal.aborted) this.#add(user_id);
  }

  async #round(): Promise<void> {
    for (const [userId, task] of [...this.#active]) {
      if (this.#sweeps.signal.aborted) return;
      await this.#work(userId, task);
    }
  }

  async #work(userId: number, task: ActiveTask): Promise<void> {
    try {
      await this.#letOthersBy();
      if (this.#sweeps.signal.aborted) return;
      const began = performance.now();
      const { done, tallies, waits } = await this.#db.transaction((tx): Promise<Piece> =>
        workPiece(tx, userId, this.piece),
      );
      if (tallies.length > 0) this.#reportTallies(tallies);
      task.pause = waits ? Math.min(RETRY, Math.max(LOOK, 2 * task.pause)) : 0;
      if (done) {
        this.#active.delete(userId);
        for (const tell of task.waiting) tell();
      } else if (waits) await this.#sweeps.sleep(task.pause);
      else await this.#sweeps.sleep((performance.now() - began) * PAUSE_SHARE);
    } catch (error) {
      this.#log.debug({ err: error, user_id: userId }, 'a batch of an account task failed; retrying');
      await this.#sweeps.sleep(RETRY);
    }
  }

  async #letOthersBy(): Promise<void> {
    for (let pause = LOOK; !this.#sweeps.signal.aborted; pause = Math.min(RETRY, 2 * pause)) {
      if (!this.#mayWrite()) {
        await this.#sweeps.sleep(RETRY);
        continue;
      }
      const { rows } = await this.#db.query({
        text: 'select count(*) as waiting from (select from event_outbox limit $1) unnumbered',
        values: [MOST_WAITING],
      });
      if ((rows[0] as { waiting: number } | undefined)?.waiting !== MOST_WAITING) return;
      await this.#sweeps.sleep(pause);
    }
  }
}
