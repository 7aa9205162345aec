import bcrypt from 'bcrypt';
import { Piscina } from 'piscina';

/**
 * Whose password it is: `known` is one that was right before in this process, or one of a sender that has proved before who
 * it is. Guesses are `unknown`.
 */
export type Standing = 'known' | 'unknown';

/**
 * How much less of a busy core a thread gets (nice values are 0 to 19), on Linux: for unknown passwords a third of what the
 * event loop and the known ones get. A hash of a newcomer takes a second at most where a core is busy all the time.
 */
const NICE: Readonly<Record<Standing, number>> = { known: 0, unknown: 5 };
/** Below this cost a hash takes a few milliseconds at most: it delays nobody, and needs no lower priority. */
const LEAST_COST = 8;
/** After so long without work a thread ends: it takes some 10 MB. Milliseconds. */
const IDLE = 60_000;
const PROGRAM = new URL('./hash-thread.js', import.meta.url);

interface Pool {
  threads: Piscina;
  /** Why it is of no use any more. */
  failure?: Error;
}

/**
 * Threads in which bcrypt runs. A hash fills a core for a quarter of a second. In threads of their own, hashes leave those of
 * libuv to files, DNS and zlib, and those of guesses have a lower priority than the event loop and the hash of a correct
 * login. How many run at once is bounded by the caller.
 */
export class HashThreads {
  readonly #program: URL;
  readonly #pools = new Map<Standing, Pool>();

  /** @param program what a thread runs: a module with `hash` and `compare` */
  constructor(program = PROGRAM) {
    this.#program = program;
  }

  /**
   * The bcrypt hash of a password.
   * @param cost 4 to 16: 2^cost rounds
   * @throws what bcrypt throws, or an error that says why there is no thread
   */
  hash(form: string, cost: number, standing: Standing): Promise<string> {
    return this.#run<string>(standing, cost, 'hash', { form, cost });
  }

  /** Whether a password fits a bcrypt hash. @throws as `hash` */
  compare(form: string, hash: string, standing: Standing): Promise<boolean> {
    return this.#run<boolean>(standing, bcrypt.getRounds(hash), 'compare', { form, hash });
  }

  async #run<T>(standing: Standing, cost: number, name: string, task: object): Promise<T> {
    const pool = this.#poolOf(cost < LEAST_COST ? 'known' : standing);
    try {
      return (await pool.threads.run(task, { name })) as T;
    } catch (error) {
      if (!pool.failure) throw error;
      throw new Error(`A thread for password hashes has failed: ${pool.failure.message}`, { cause: error });
    }
  }

  #poolOf(standing: Standing): Pool {
    const old = this.#pools.get(standing);
    if (old) return old;
    const threads = new Piscina({
      filename: this.#program.href,
      minThreads: 0,
      maxThreads: 4,
      idleTimeout: IDLE,
      argv: [String(NICE[standing])],
      env: {},
      execArgv: [],
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    const pool: Pool = { threads };
    // What waits for a thread that has failed outside a task would wait for ever.
    threads.on('error', (error: Error) => {
      pool.failure = error;
      if (this.#pools.get(standing) === pool) this.#pools.delete(standing);
      void threads.destroy();
    });
    this.#pools.set(standing, pool);
    return pool;
  }
}

/** Those of this process, for all services in it. */
export const hashThreads = new HashThreads();
