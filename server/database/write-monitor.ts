import type pg from 'pg';
import { Loop } from '../async/loop.ts';
import { singleFlight } from '../async/single-flight.ts';
import type { Logger } from '../logger.ts';
import { type ConfirmedClient, giveUp } from './confirmed-client.ts';
import { databaseErrorCode, isUnavailable } from './connection.ts';

/** How often the database is asked what keeps it from committing. Milliseconds. */
const INTERVAL = 1000;
/** How long a commit may wait for its standby until no other is sent after it. Milliseconds. */
const STUCK_AFTER = 2000;
/** How old the last confirmed write may be for readiness. Milliseconds. */
const FRESH = 2000;
/** How long the answer to a trial may take until the connection is taken for dead, if the server knows of no wait. Milliseconds. */
const TRIAL_LIMIT = 10_000;
/**
 * How long a trial waits for its standby before it is abandoned: longer than any other time limit, since the next one
 * would wait in addition.
 */
const TRIAL_WAIT = 24 * 3_600_000;

/** SQLSTATE. */
const DISK_FULL = '53100';

/** What the database says of itself and of the waiting commits of our role. */
interface Look {
  standby: boolean;
  read_only: boolean;
  waiting: { pid: number; since: string }[];
}

const LOOK = {
  name: 'write-monitor',
  text: `
    select pg_is_in_recovery() as standby, current_setting('transaction_read_only')::boolean as read_only,
      (select coalesce(json_agg(json_build_object('pid', a.pid, 'since', a.query_start)), '[]')
       from pg_stat_activity a
       where a.datname = current_database() and a.usename = current_user and a.wait_event = 'SyncRep') as waiting`,
  values: [],
};

/** Writes nothing but its own commit, which waits for the standby as every commit does. */
const TRIAL = "select pg_logical_emit_message(true, 'tidings', 'is this committed?')";

/**
 * Takes room as a new page of a table does. Only where the disk was full: it costs rows of the catalogue.
 */
const ROOM =
  'begin; create temp table tidings_room on commit drop as ' +
  'select md5(n::text) from generate_series(1, 20000) as s (n); commit';

/**
 * Monitors whether the database can commit, and refuses writes while it cannot.
 *
 * A commit whose synchronous standby is unavailable waits forever: no time limit of the server applies, and a client
 * that gives up leaves the server process waiting, until none are left. So once a commit of any node has waited for two
 * seconds, no other write is sent, and the requests that wait on this node get an error. When that commit ends, one
 * trial commit is made; other writes follow only after it is confirmed.
 *
 * An idle node writes nothing: a trial is made when its readiness is requested.
 */
export class WriteMonitor {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  /** Why nothing can be written; undefined while it can be, as far as is known. */
  #reason: string | undefined;
  /** The commits that were waiting at the last look, and since when they were seen to. */
  #waiting = new Map<string, number>();
  #confirmedAt = 0;
  #fullDisk = false;
  readonly #try = singleFlight(() => (this.#trial = this.#commit()));
  #trial: Promise<void> | undefined;
  /** The server's process in which the trial runs. */
  #trialPid: number | undefined;
  readonly #loop = new Loop({
    work: () => this.#look(),
    pause: () => INTERVAL,
    onFailed: (error) => {
      // Readiness reports a database that does not answer; nothing is known of its commits.
      if (!isUnavailable(error))
        this.#log.debug({ err: error }, 'could not check whether commits are waiting');
    },
  });

  /** @param pool connections that are not those of requests */
  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    if (this.#trialPid !== undefined) giveUp(new Set([this.#trialPid]));
    await this.#trial;
  }

  /** Why no write may be sent now; undefined if one may. */
  get refusal(): string | undefined {
    return this.#reason;
  }

  /** A write has failed. Where it was for lack of room, writes are refused until there is some. */
  failed(error: unknown): void {
    if (databaseErrorCode(error) === DISK_FULL) this.#fullDisk = true;
  }

  /**
   * Makes sure that the database can commit: by a trial, unless one was confirmed a moment ago. Resolves with why it
   * cannot, or undefined; bounded by anyone who asks. However many ask, one trial is in progress.
   */
  async check(): Promise<string | undefined> {
    if (this.#reason === undefined && (this.#fullDisk || Date.now() - this.#confirmedAt > FRESH))
      await this.#try();
    return this.#reason;
  }

  async #look(): Promise<void> {
    const { rows } = await this.#pool.query<Look>(LOOK);
    const [look] = rows;
    if (!look) return;
    const now = Date.now();
    // A process that commits again and again waits each time again.
    this.#waiting = new Map(
      look.waiting.map(({ pid, since }) => {
        const key = `${pid} ${since}`;
        return [key, this.#waiting.get(key) ?? now];
      }),
    );
    const stuck = [...this.#waiting].filter(([, since]) => now - since >= STUCK_AFTER);
    if (look.standby) this.#refuse('The database is a standby: it cannot be written to.');
    else if (look.read_only) this.#refuse('The database is read-only (default_transaction_read_only is on).');
    else if (stuck.length > 0) {
      this.#refuse('Commits wait for a synchronous standby that does not answer.');
      const pids = stuck.map(([key]) => Number.parseInt(key, 10));
      giveUp(new Set(pids.filter((pid) => pid !== this.#trialPid)));
    } else if (this.#reason !== undefined || this.#fullDisk) {
      // Not before the wait of every other commit has ended: each trial would leave one more behind.
      if (this.#waiting.size === 0) void this.#try();
    }
  }

  #refuse(reason: string): void {
    if (this.#reason !== reason)
      this.#log.warn({ reason }, 'writes are refused until the database can commit');
    this.#reason = reason;
  }

  async #commit(): Promise<void> {
    try {
      const client = await this.#pool.connect();
      const limit = setTimeout(() => this.#abandon(client), TRIAL_LIMIT);
      try {
        this.#trialPid = (client as unknown as ConfirmedClient).processId;
        await client.query({ text: TRIAL, query_timeout: TRIAL_WAIT } as pg.QueryConfig);
        if (this.#fullDisk) await takeRoom(client);
        client.release();
      } catch (error) {
        client.release(true);
        throw error;
      } finally {
        clearTimeout(limit);
        this.#trialPid = undefined;
      }
      this.#fullDisk = false;
      this.#confirmedAt = Date.now();
      if (this.#reason !== undefined) this.#log.info('the database commits again: writes are accepted');
      this.#reason = undefined;
    } catch (error) {
      this.#log.debug({ err: error }, 'a trial commit failed');
      const code = databaseErrorCode(error);
      if (code === DISK_FULL) this.#refuse('The disk of the database is full.');
    }
  }

  /** A trial that the server does not know to be waiting has lost its connection. */
  #abandon(client: pg.PoolClient): void {
    const waits = [...this.#waiting.keys()].some((key) => key.startsWith(`${this.#trialPid} `));
    if (!waits) void client.end().catch(() => undefined);
  }
}

/** Who may not make a temporary table learns nothing by it. */
async function takeRoom(client: pg.PoolClient): Promise<void> {
  try {
    await client.query(ROOM);
  } catch (error) {
    if (databaseErrorCode(error) === DISK_FULL) throw error;
    await client.query('rollback');
  }
}
