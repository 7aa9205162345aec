import type pg from 'pg';
import { about, Loop } from '../async/loop.ts';
import type { Logger } from '../logger.ts';

/** Rows in one statement: short transactions, so that pruning does not block writers. */
const BATCH = 2000;
/** The interval of pruning. Milliseconds. */
const INTERVAL = 60_000;

/** What keeps rows for a time only declares one of these. */
export interface Prune {
  /** What it deletes, for the log of the node. */
  what: string;
  /**
   * Deletes rows that are too old, so many at most.
   * @returns how many it has deleted: if they are as many as it may, there are perhaps more
   */
  run: (pool: pg.Pool, most: number) => Promise<number>;
}

/** @param sql deletes at most `$1` rows */
export function pruneBy(what: string, sql: string): Prune {
  return { what, run: async (pool, most) => (await pool.query(sql, [most])).rowCount ?? 0 };
}

export interface PrunerOptions {
  pool: pg.Pool;
  log: Logger;
  /** One after the other, each until it finds nothing more. */
  prunes: readonly Prune[];
  /** Asked before each round. */
  mayWrite?: () => boolean;
}

/**
 * Deletes what is too old, each minute. Every node does it; two at once do no harm. A step that fails is tried again in the
 * next round and keeps no other from its turn.
 */
export class Pruner extends Loop {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #prunes: readonly Prune[];
  /** Which of them have failed the last time. */
  readonly #failing = new Set<Prune>();

  constructor({ pool, log, prunes, mayWrite = () => true }: PrunerOptions) {
    super({
      work: () => (mayWrite() ? this.prune() : Promise.resolve()),
      pause: () => about(INTERVAL),
      onFailed: (error) => log.error({ err: error }, 'pruning failed; retrying'),
    });
    this.#pool = pool;
    this.#log = log;
    this.#prunes = prunes;
  }

  override start(): void {
    super.start(INTERVAL * Math.random());
  }

  /** One round. Failures are logged. */
  async prune(): Promise<void> {
    const failed: Record<string, string> = {};
    for (const prune of this.#prunes) {
      if (this.signal.aborted) break;
      try {
        await this.#pruneAll(prune);
        if (this.#failing.delete(prune))
          this.#log.info({ what: prune.what }, 'what is too old is deleted again');
      } catch (error) {
        if (!this.#failing.has(prune)) failed[prune.what] = String(error);
        this.#failing.add(prune);
      }
    }
    if (Object.keys(failed).length > 0)
      this.#log.warn({ failed }, 'what is too old could not be deleted; retrying each minute');
  }

  /** With pauses as long as the work, in which others get the locks that it takes. */
  async #pruneAll({ run }: Prune): Promise<void> {
    while (!this.signal.aborted) {
      const began = performance.now();
      if ((await run(this.#pool, BATCH)) < BATCH) return;
      await this.sleep(performance.now() - began);
    }
  }
}
