import type pg from 'pg';
import { about, Loop } from '../async/loop.ts';
import type { Logger } from '../logger.ts';

/** Rows in one statement: short transactions, so that pruning does not block writers. */
const BATCH = 2000;
/** The interval of pruning. Milliseconds. */
const INTERVAL = 60_000;

/**
 * Deletes rows that are too old, so many at most. What keeps rows for a time only declares one of these.
 * @returns how many it has deleted: if they are as many as it may, there are perhaps more
 */
export type Prune = (pool: pg.Pool, most: number) => Promise<number>;

/** @param sql deletes at most `$1` rows */
export function pruneBy(sql: string): Prune {
  return async (pool, most) => (await pool.query(sql, [most])).rowCount ?? 0;
}

export interface PrunerOptions {
  pool: pg.Pool;
  log: Logger;
  /** One after the other, each until it finds nothing more. */
  prunes: readonly Prune[];
  /** Asked before each round. */
  mayWrite?: () => boolean;
}

/** Deletes what is too old, each minute. Every node does it; two at once do no harm. */
export class Pruner {
  readonly #pool: pg.Pool;
  readonly #prunes: readonly Prune[];
  readonly #loop: Loop;

  constructor({ pool, log, prunes, mayWrite = () => true }: PrunerOptions) {
    this.#pool = pool;
    this.#prunes = prunes;
    this.#loop = new Loop({
      work: () => (mayWrite() ? this.prune() : Promise.resolve()),
      pause: () => about(INTERVAL),
      onFailed: (error) => log.debug({ err: error }, 'pruning failed; retrying'),
    });
  }

  start(): void {
    this.#loop.start(INTERVAL * Math.random());
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async prune(): Promise<void> {
    for (const prune of this.#prunes)
      while (!this.#loop.signal.aborted && (await prune(this.#pool, BATCH)) === BATCH);
  }
}
