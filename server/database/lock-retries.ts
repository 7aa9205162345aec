import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Sequelize } from 'sequelize';
import { about } from '../async/loop.ts';
import { connectClient } from './client.ts';
import { databaseErrorCode } from './connection.ts';
import { MigrationFailed, type MigrationStep, READING } from './migration-failed.ts';

/**
 * How long a statement of a migration waits for a lock. While it waits everyone who comes after it waits behind it,
 * readers too, so this is how long delivery stops at most. Milliseconds.
 */
export const LOCK_TIMEOUT = 200;
/** How long the locks of one file are tried for in all. Milliseconds. */
export const LOCK_TIME_LIMIT = 120_000;
/**
 * Autovacuum yields after someone has waited for `deadlock_timeout`; this is the extra time for it to end.
 * Milliseconds.
 */
const VACUUM_MARGIN = 300;
/** The pauses between tries, in which blocked statements proceed. Milliseconds. */
const PAUSES = [500, 1000, 2000, 3000];
const LOOK_INTERVAL = 50;

/** Whose transaction holds what is waited for. */
interface Blocker {
  pid: number;
  user: string | null;
  application: string | null;
  since: string | null;
  /** The table whose lock it is, if it is a table's. */
  table: string | null;
}

/**
 * Runs migrations in short tries: one that does not get a lock at once is rolled back, whole, and tried again after a
 * pause. It logs who holds the lock.
 *
 * A table that autovacuum is at is locked first in a mode in which nobody else has to wait: autovacuum yields to that as
 * well, and does not come back while the transaction lasts.
 */
export class LockRetries {
  readonly #sequelize: Sequelize;
  readonly #watcher: pg.Client;
  readonly #pid: number;
  readonly #say: (message: string, extra?: object) => void;
  readonly #timeLimit: number;
  #blockers: Blocker[] = [];
  /** The step in progress, and when each that has begun is given up, by what it is. */
  #step = READING;
  readonly #deadlines = new Map<string, number>();
  /** Tables that autovacuum was found at, as SQL names. */
  readonly #vacuumed = new Set<string>();

  private constructor(
    sequelize: Sequelize,
    watcher: pg.Client,
    pid: number,
    say: (message: string, extra?: object) => void,
    timeLimit: number,
  ) {
    this.#sequelize = sequelize;
    this.#watcher = watcher;
    this.#pid = pid;
    this.#say = say;
    this.#timeLimit = timeLimit;
  }

  /**
   * @param sequelize of one connection
   * @param timeLimit of each step, milliseconds
   */
  static async open(
    databaseUrl: string,
    sequelize: Sequelize,
    say: (message: string, extra?: object) => void,
    timeLimit: number,
  ): Promise<LockRetries> {
    const [rows] = await sequelize.query('select pg_backend_pid() as pid');
    const { pid } = rows[0] as { pid: number };
    const watcher = await connectClient(databaseUrl, { name: 'tidings migrations', queryTimeout: 5000 });
    return new LockRetries(sequelize, watcher, pid, say, timeLimit);
  }

  async close(): Promise<void> {
    await this.#watcher.end().catch(() => undefined);
  }

  /** @throws {MigrationFailed} and a sentence about who was in the way when the time of a step is over */
  async run<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      this.enter(READING);
      try {
        return await this.#watched(work);
      } catch (error) {
        // The connection may be gone: then the failure that matters is the one in hand.
        const isRolledBack = await this.#sequelize.query('rollback').then(
          () => true,
          () => false,
        );
        const step = this.#step;
        if (!isPassing(error)) throw new MigrationFailed(step, error, isRolledBack);
        const blockers = this.#blockers;
        if (Date.now() > (this.#deadlines.get(step.what) ?? 0)) {
          throw new Error(
            `${step.what} could not get its lock within ${Math.round(this.#timeLimit / 1000)} s: ${describe(blockers)}. ` +
              'End that transaction, or wait for it, and start again',
            { cause: error },
          );
        }
        this.#say('the migration is waiting for a lock', { blockers });
        for (const { user, table } of blockers)
          if (user === null && table !== null) this.#vacuumed.add(table); // autovacuum has no user
        await sleep(about(PAUSES[attempt] ?? 3000));
      }
    }
  }

  /** Notes which step comes now: each has its own time, which begins with its first try. */
  enter(step: MigrationStep): void {
    if (step !== READING) this.#deadlines.delete(READING.what);
    this.#step = step;
    if (!this.#deadlines.has(step.what)) this.#deadlines.set(step.what, Date.now() + this.#timeLimit);
  }

  /** Begins the transaction of a step. */
  async begin(what: string): Promise<void> {
    this.enter({ what, kind: 'transaction' });
    const query = (sql: string) => this.#sequelize.query(sql);
    await query('begin');
    for (const table of this.#vacuumed) {
      await query(`select set_config('lock_timeout', (setting::integer + ${VACUUM_MARGIN})::text, true)
                   from pg_settings where name = 'deadlock_timeout'`);
      await query(`lock table ${table} in share update exclusive mode`);
    }
    await query(`set local lock_timeout = ${LOCK_TIMEOUT}`);
  }

  /**
   * @throws if the migration has waited for locks in its own way: anyone who comes after it waits behind it for as long
   */
  async commit(): Promise<void> {
    const [rows] = await this.#sequelize.query(
      "select setting::integer as timeout from pg_settings where name = 'lock_timeout'",
    );
    const { timeout } = rows[0] as { timeout: number };
    if (timeout !== LOCK_TIMEOUT)
      throw new Error('It must not set lock_timeout: the migration runner sets it');
    await this.#sequelize.query('commit');
    this.#vacuumed.clear();
    this.#deadlines.delete(this.#step.what);
    this.enter(READING);
  }

  async #watched<T>(work: () => Promise<T>): Promise<T> {
    this.#blockers = [];
    let ended = false;
    const watching = (async () => {
      while (!ended) {
        const { rows } = await this.#watcher.query<Blocker>(
          `select a.pid, a.usename as user, a.application_name as application,
             coalesce(a.xact_start, a.query_start)::text as since,
             (select l.relation::regclass::text from pg_locks l join pg_class c on c.oid = l.relation
              where l.pid = $1 and not l.granted and c.relkind in ('r', 'p') limit 1) as table
           from pg_stat_activity a where a.pid = any (pg_blocking_pids($1))`,
          [this.#pid],
        );
        if (rows.length > 0) this.#blockers = rows;
        await sleep(LOOK_INTERVAL);
      }
    })().catch(() => undefined); // it only reports who blocks the migration
    try {
      return await work();
    } finally {
      ended = true;
      await watching;
    }
  }
}

/** A lock that was not got; or a function that somebody else has changed while it was waited for, which has no code of its own. */
function isPassing(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return (
    code === '55P03' ||
    code === '40P01' ||
    (code === 'XX000' && /tuple concurrently (?:updated|deleted)/.test(String(error)))
  );
}

function describe(blockers: readonly Blocker[]): string {
  if (blockers.length === 0) return 'the holder of the lock is unknown';
  return blockers
    .map(
      ({ pid, user, application, since, table }) =>
        `pid ${pid} (${user ?? 'autovacuum'}${application ? `, ${application}` : ''}) holds ${table === null ? 'it' : `that of ${table}`}` +
        (since === null ? '' : ` since ${since}`),
    )
    .join('; ');
}
