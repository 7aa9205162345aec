import type pg from 'pg';
import { Loop } from '../async/loop.ts';
import { singleFlight } from '../async/single-flight.ts';
import type { Logger } from '../logger.ts';
import { type ConfirmedClient, giveUp } from './confirmed-client.ts';
import { databaseErrorCode, isUnavailable } from './connection.ts';
import { LockMonitor } from './lock-monitor.ts';
import { OUR_TABLES, WITHHELD_TABLES } from './requirements.ts';

/** How often the database is asked what keeps it from committing. Milliseconds. */
const INTERVAL = 1000;
/** How long a commit may wait for its standby until no other is sent after it. Milliseconds. */
const STUCK_AFTER = 2000;
/** How old the last confirmed write may be for readiness. Milliseconds. */
const FRESH = 2000;
/** How long the answer to a trial may take until the connection is taken for dead, if the server knows of no wait. Milliseconds. */
const TRIAL_LIMIT = 10_000;
/** How long connections that were replaced, and statements on them, may still be heard of. Milliseconds. */
const RENEWED = 5000;
/** How long it counts that connections were read-only after they had been replaced. Milliseconds. */
const STALE = 30_000;
/**
 * How long a trial waits for its standby before it is abandoned: longer than any other time limit, since the next one
 * would wait in addition.
 */
const TRIAL_WAIT = 24 * 3_600_000;

/** SQLSTATEs. */
const DISK_FULL = '53100';
const READ_ONLY = '25006';
const FORBIDDEN = '42501';

/** What the database says of itself, of our role and of its waiting commits. */
interface Look {
  standby: boolean;
  read_only: boolean;
  withheld: string | null;
  waiting: { pid: number; since: string }[];
}

/**
 * Whether a new connection would be read-only. This one may be older than the setting of its database or its role, which
 * then is the one that counts, unless DATABASE_URL itself sets it; or it may have been opened under one that is gone.
 */
const READ_ONLY_WHEN_NEW = `
  select case
    when given.value is null and not own.value then false
    when given.value = own.value then own.value
    else (
      select case when s.source in ('client', 'override', 'session') then own.value
        when given.value is null then own.value and s.source not in ('global', 'database', 'user', 'database user')
        else given.value end
      from pg_settings s where s.name = 'default_transaction_read_only') end
  from (select current_setting('default_transaction_read_only')::boolean as value) own
  left join (
    select split_part(line, '=', 2)::boolean as value
    from pg_db_role_setting r cross join unnest(r.setconfig) as line
    where line like 'default_transaction_read_only=%'
      and r.setdatabase in (0, (select oid from pg_database where datname = current_database()))
      and r.setrole in (0, (select oid from pg_roles where rolname = session_user))
    order by r.setrole <> 0 desc, r.setdatabase <> 0 desc limit 1
  ) given on true`;

const lookWith = (name: string, readOnly: string) => ({
  name,
  text: `
    with ours as (${OUR_TABLES})
    select pg_is_in_recovery() as standby, (${readOnly}) as read_only, ${WITHHELD_TABLES} as withheld,
      (select coalesce(json_agg(json_build_object('pid', a.pid, 'since', a.query_start)), '[]')
       from pg_stat_activity a
       where a.datname = current_database() and a.usename = current_user and a.wait_event = 'SyncRep') as waiting`,
  values: [],
});
const LOOK = lookWith('write-monitor', READ_ONLY_WHEN_NEW);
/** For a role that may not see what new connections are given. */
const PLAIN_LOOK = lookWith('write-monitor-plain', "current_setting('transaction_read_only')::boolean");

/** Writes nothing but its own commit, which waits for the standby as every commit does. */
const TRIAL = "select pg_logical_emit_message(true, 'tidings', 'is this committed?')";

/**
 * Takes room as a new page of a table does. Only where the disk was full: it costs rows of the catalogue.
 */
const ROOM =
  'begin; create temp table tidings_room on commit drop as ' +
  'select md5(n::text) from generate_series(1, 20000) as s (n); commit';

/** The pools whose connections are replaced when settings that new ones are given have changed. */
interface Renewable {
  renew(): void;
}

/**
 * Monitors whether the database can commit, and refuses writes while it cannot.
 *
 * A commit whose synchronous standby is unavailable waits forever: no time limit of the server applies, and a client
 * that gives up leaves the server process waiting, until none are left. So once a commit of any node has waited for two
 * seconds, no other write is sent, and the requests that wait on this node get an error. When that commit ends, one
 * trial commit is made; other writes follow only after it is confirmed.
 *
 * An idle node writes nothing: a trial is made when its readiness is requested.
 *
 * Where the database commits, but the role has lost a right, or a lock on what requests write to lasts longer than they
 * wait for it, the node is not ready. No write is refused for that: some may not need the table.
 */
export class WriteMonitor {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #renewable: readonly Renewable[];
  /** Why nothing can be written; undefined while it can be, as far as is known. */
  #reason: string | undefined;
  /** Whether connections may be open that are read-only, although new ones are not. */
  #wasReadOnly = false;
  /** When connections were replaced for the last time. */
  #renewedAt = -Infinity;
  /** When a connection was read-only that had been opened since. */
  #staleAt = -Infinity;
  #lookQuery = LOOK;
  /** Tables of which the role may not do all that it needs. */
  #withheld: string | null = null;
  /** The commits that were waiting at the last look, and since when they were seen to. */
  #waiting = new Map<string, number>();
  #confirmedAt = 0;
  #fullDisk = false;
  /** Those whose question is answered by a refusal. */
  readonly #asking = new Set<() => void>();
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
  readonly #locks: LockMonitor;

  /**
   * @param pool connections that are not those of requests
   * @param renewable all pools of the node
   */
  constructor(pool: pg.Pool, log: Logger, renewable: readonly Renewable[]) {
    this.#pool = pool;
    this.#log = log;
    this.#renewable = renewable;
    this.#locks = new LockMonitor(pool, log);
  }

  start(): void {
    this.#loop.start();
    this.#locks.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#loop.stop(), this.#locks.stop()]);
    if (this.#trialPid !== undefined) giveUp(new Set([this.#trialPid]));
    await this.#trial;
  }

  /** Why no write may be sent now; undefined if one may. */
  get refusal(): string | undefined {
    return this.#reason;
  }

  /** Why requests cannot write; undefined if they can, as far as is known. Without a `refusal` they are tried all the same. */
  get obstacle(): string | undefined {
    if (this.#reason !== undefined) return this.#reason;
    if (Date.now() - this.#staleAt < STALE)
      return 'New connections are read-only, though the database is not: a pooler keeps those of before (PgBouncer: RECONNECT).';
    if (this.#withheld !== null) return `The role may not read and write all of ${this.#withheld}.`;
    const { locked } = this.#locks;
    return locked && `Another session holds a lock on ${locked} for longer than a write waits for it.`;
  }

  /**
   * A write has failed. Where it was for lack of room, writes are refused until there is some; where its connection was
   * read-only, new ones show whether that still holds.
   */
  failed(error: unknown): void {
    const code = databaseErrorCode(error);
    if (code === DISK_FULL) this.#fullDisk = true;
    // While it is known that nothing can be written, this says nothing new.
    if (code !== READ_ONLY || this.#reason !== undefined) return;
    const now = Date.now();
    if (now - this.#renewedAt < RENEWED) return;
    // Replacing them did not help.
    if (now - this.#renewedAt < STALE) this.#staleAt = now;
    this.#renew();
  }

  /**
   * Makes sure that the database can commit: by a trial, unless one was confirmed a moment ago. Resolves with why
   * requests cannot write, or undefined; bounded by anyone who asks. However many ask, one trial is in progress: that it
   * waits may be what the reason tells.
   */
  async check(): Promise<string | undefined> {
    if (this.#reason === undefined && (this.#fullDisk || Date.now() - this.#confirmedAt > FRESH)) {
      await new Promise<void>((resolve) => {
        this.#asking.add(resolve);
        void this.#try().then(() => {
          this.#asking.delete(resolve);
          resolve();
        });
      });
    }
    return this.obstacle;
  }

  async #look(): Promise<void> {
    const { rows } = await this.#pool.query<Look>(this.#lookQuery).catch((error: unknown) => {
      if (databaseErrorCode(error) === FORBIDDEN && this.#lookQuery === LOOK) {
        this.#lookQuery = PLAIN_LOOK;
        this.#log.warn(
          'the role may not read pg_db_role_setting: a database that is made read-only is noticed later',
        );
      }
      throw error;
    });
    const [look] = rows;
    if (!look) return;
    if (look.withheld !== null && look.withheld !== this.#withheld)
      this.#log.warn({ tables: look.withheld }, 'the role has lost rights that it needs for writes');
    this.#withheld = look.withheld;
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
    else if (look.read_only) {
      this.#wasReadOnly = true;
      this.#refuse('The database is read-only (default_transaction_read_only is on).');
    } else if (stuck.length > 0) {
      this.#refuse('Commits wait for a synchronous standby that does not answer.');
      const pids = stuck.map(([key]) => Number.parseInt(key, 10));
      giveUp(new Set(pids.filter((pid) => pid !== this.#trialPid)));
    } else if (this.#reason !== undefined || this.#fullDisk) {
      // Not before the wait of every other commit has ended: each trial would leave one more behind.
      if (this.#waiting.size === 0) void this.#try();
    }
  }

  #renew(): void {
    this.#renewedAt = Date.now();
    for (const pool of this.#renewable) pool.renew();
  }

  #refuse(reason: string): void {
    if (this.#reason !== reason)
      this.#log.warn({ reason }, 'writes are refused until the database can commit');
    this.#reason = reason;
    for (const answer of this.#asking) answer();
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
      // Before a write is let in: it might get a connection that was opened meanwhile.
      if (this.#wasReadOnly) this.#renew();
      this.#wasReadOnly = false;
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
