import { setTimeout as sleep } from 'node:timers/promises';
import { QueryTypes } from 'sequelize';
import { Loop } from '../async/loop.ts';
import { singleFlight } from '../async/single-flight.ts';
import type { Database } from '../database/connection.ts';
import { FOLD } from '../text/fold.ts';
import { Folding } from './folding.ts';

/** Which posts (`posts p`) are not folded, or by another version's fold. The number stands in the index `posts_unfolded_idx`. */
export const UNFOLDED = `p.search_fold is distinct from ${FOLD}`;

/** How often to check whether there are any. Milliseconds. */
const INTERVAL = 1000;
/** The least pause between two pieces, and that after one that failed while somebody waits. Milliseconds. */
const PAUSE = 20;
const FAILED = 200;

/**
 * Folds the posts that are not folded yet: those that were there before searches had an index of folded text, and those that
 * a node of a version before writes during an upgrade. Every node does it, a bounded piece at a time, and each piece is left
 * as much time as it took; a search that finds them missing lets it hurry.
 */
export class UnfoldedPosts {
  readonly #db: Database;
  readonly #folding: Folding;
  readonly #onFailed: (error: unknown) => void;
  readonly #loop: Loop;
  /** One piece at a time, for all callers together. @returns how many posts it had */
  readonly #next = singleFlight(async () => (await this.#folding.piece(UNFOLDED, { wait: false })).posts);

  /** @param onFailed told of what is tried again in a second */
  constructor(db: Database, onFailed: (error: unknown) => void) {
    this.#db = db;
    this.#folding = new Folding(db);
    this.#onFailed = onFailed;
    let pause = INTERVAL;
    this.#loop = new Loop({
      work: async () => {
        pause = INTERVAL;
        const begun = performance.now();
        if ((await this.#next()) > 0) pause = Math.max(PAUSE, performance.now() - begun);
      },
      pause: () => pause,
      onFailed,
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /**
   * Folds what is there to fold, for so many milliseconds at most. What fails meanwhile is reported and tried again; what takes
   * longer goes on without us.
   * @returns whether it was found in that time that nothing is left. It does not reject
   */
  async catchUp(milliseconds: number): Promise<boolean> {
    const { signal } = this.#loop;
    const end = performance.now() + milliseconds;
    const timeIsUp = sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
    while (performance.now() < end && !signal.aborted) {
      let failed = false;
      const inTime = <T>(work: Promise<T>) =>
        Promise.race([work, timeIsUp]).catch((error: unknown) => {
          failed = true;
          this.#onFailed(error);
          return undefined;
        });
      const folded = await inTime(this.#next());
      if (folded !== undefined && folded > 0) continue;
      if (folded === 0 && (await inTime(this.#left())) === false) return true;
      await sleep(failed ? FAILED : PAUSE); // or another node has them in hand
    }
    return false;
  }

  async #left(): Promise<boolean> {
    const [row] = await this.#db
      .share('service')
      .query<{ left: boolean }>(`select exists (select from posts p where ${UNFOLDED}) as left`, {
        type: QueryTypes.SELECT,
      });
    return row?.left ?? false;
  }
}
