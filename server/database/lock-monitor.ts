import type pg from 'pg';
import { Loop } from '../async/loop.ts';
import { cutOff } from '../library-internals/postgres.ts';
import type { Logger } from '../logger.ts';
import { databaseErrorCode, isSchemaAway, LOCK_TIMEOUT } from './connection.ts';

/** How often the locks are tried. Milliseconds. */
const INTERVAL = 1000;
/** How much longer than the server waits for a lock its answer may take. Milliseconds. */
const ANSWER = 2000;
/** How long a node that stops goes on waiting for a lock. Milliseconds. */
const STOP_LIMIT = 250;
/** SQLSTATE. */
const LOCKED = '55P03';

/** What requests write to: each change its event, each post its row. */
const WRITTEN = ['event_outbox', 'posts'];

/**
 * Waits for the lock that a write takes, for as long as a write waits for it, and gives it back. One after the other, so
 * that nobody waits for a lock that is held while the next is waited for. Takes no transaction number.
 */
const tryLock = (table: string) => `
  begin; set local lock_timeout = ${LOCK_TIMEOUT}; set local statement_timeout = 0;
  lock table ${table} in row exclusive mode; commit`;

/** Monitors whether another session locks what requests write to, for longer than these wait for it. */
export class LockMonitor extends Loop {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #locked: string | undefined;
  /** The connection that waits for a lock. */
  #waiting: pg.PoolClient | undefined;

  /** @param pool connections that are not those of requests */
  constructor(pool: pg.Pool, log: Logger) {
    super({
      work: () => this.#look(),
      pause: () => INTERVAL,
      onFailed: (error) => log.debug({ err: error }, 'could not check whether tables are locked'),
    });
    this.#pool = pool;
    this.#log = log;
  }

  /** The table that is locked; undefined if none is, as far as is known. */
  get locked(): string | undefined {
    return this.#locked;
  }

  override async stop(): Promise<void> {
    const limit = setTimeout(() => {
      if (this.#waiting) cutOff(this.#waiting, new Error('The node stops.'));
    }, STOP_LIMIT);
    await super.stop();
    clearTimeout(limit);
  }

  async #look(): Promise<void> {
    for (const table of WRITTEN) {
      const isLocked = await this.#isLocked(table);
      if (this.signal.aborted) return;
      if (isLocked && this.#locked !== table) {
        this.#log.warn(
          { table },
          'another session holds a lock against writes for longer than these wait for it',
        );
        this.#locked = table;
      } else if (!isLocked && this.#locked === table) {
        this.#log.info({ table }, 'the lock against writes is gone');
        this.#locked = undefined;
      }
      if (isLocked) return;
    }
  }

  async #isLocked(table: string): Promise<boolean> {
    const client = await this.#pool.connect();
    if (this.signal.aborted) {
      client.release();
      return false;
    }
    this.#waiting = client;
    try {
      await client.query({ text: tryLock(table), query_timeout: LOCK_TIMEOUT + ANSWER } as pg.QueryConfig);
      client.release();
      return false;
    } catch (error) {
      if (databaseErrorCode(error) === LOCKED) {
        const isOpen = await client.query('rollback').then(
          () => true,
          () => false,
        );
        client.release(!isOpen);
        return true;
      }
      client.release(true);
      // A right or a table that is missing is told of otherwise.
      if (isSchemaAway(error)) return false;
      throw error;
    } finally {
      this.#waiting = undefined;
    }
  }
}
