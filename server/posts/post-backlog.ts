import { setTimeout as sleep } from 'node:timers/promises';
import { QueryTypes } from 'sequelize';
import { Loop } from '../async/loop.ts';
import { singleFlight } from '../async/single-flight.ts';
import type { Database } from '../database/connection.ts';

/** How often to check whether there are any. Milliseconds. */
const INTERVAL = 1000;
/** The least pause between two pieces, and that after one that failed while somebody waits. Milliseconds. */
const PAUSE = 20;
const FAILED = 200;

/**
 * Posts of which something is still to be found in their text. Every node works on them, a bounded piece at a time, and
 * each piece is left as much time as it took; a list that would miss some of them lets it hurry.
 */
export class PostBacklog extends Loop {
  readonly #db: Database;
  readonly #which: string;
  readonly #onFailed: (error: unknown) => void;
  readonly #mayWrite: () => boolean;
  /** One piece at a time, for all callers together. @returns how many posts it had */
  readonly #next: () => Promise<number>;

  /**
   * @param which in SQL, the condition on `posts p`
   * @param piece works on the next ones, and tells how many they were
   * @param onFailed told of what is tried again in a second
   * @param mayWrite asked before each piece: a commit that waits keeps its posts locked and its connection, and the
   *   next piece would be of others
   */
  constructor(
    db: Database,
    which: string,
    piece: () => Promise<number>,
    onFailed: (error: unknown) => void,
    mayWrite: () => boolean = () => true,
  ) {
    let pause = INTERVAL;
    super({
      work: async () => {
        pause = INTERVAL;
        const begun = performance.now();
        // A look without a transaction: usually there is nothing.
        if (mayWrite() && (await this.#left()) && (await this.#next()) > 0)
          pause = Math.max(PAUSE, performance.now() - begun);
      },
      pause: () => pause,
      onFailed,
    });
    this.#db = db;
    this.#which = which;
    this.#next = singleFlight(piece);
    this.#onFailed = onFailed;
    this.#mayWrite = mayWrite;
  }

  /**
   * Works on what is there, for so many milliseconds at most. What fails meanwhile is reported and tried again; what
   * takes longer goes on without us.
   * @returns whether it was found in that time that nothing is left. It does not reject
   */
  async catchUp(milliseconds: number): Promise<boolean> {
    const { signal } = this;
    const end = performance.now() + milliseconds;
    const timeIsUp = sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
    while (performance.now() < end && !signal.aborted && this.#mayWrite()) {
      let failed = false;
      const inTime = <T>(work: Promise<T>) =>
        Promise.race([work, timeIsUp]).catch((error: unknown) => {
          failed = true;
          this.#onFailed(error);
          return undefined;
        });
      const worked = await inTime(this.#next());
      if (worked !== undefined && worked > 0) continue;
      if (worked === 0 && (await inTime(this.#left())) === false) return true;
      await sleep(failed ? FAILED : PAUSE); // or another node has them in hand
    }
    return false;
  }

  async #left(): Promise<boolean> {
    const [row] = await this.#db
      .share('service')
      .query<{ left: boolean }>(`select exists (select from posts p where ${this.#which}) as left`, {
        type: QueryTypes.SELECT,
      });
    return row?.left ?? false;
  }
}
