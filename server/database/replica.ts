import type pg from 'pg';
import { about, Loop } from '../async/loop.ts';
import { Pause } from '../async/pause.ts';
import { type DatabaseHost, describeHost } from '../config/connection-config.ts';
import { cutOff } from '../library-internals/postgres.ts';
import type { Logger } from '../logger.ts';
import { connectClient } from './client.ts';
import type { DatabaseClient } from './confirmed-client.ts';
import { createFeedPool, Database, databaseErrorCode, type FeedPool, reasonOf } from './connection.ts';
import { only } from './hosts.ts';
import { isSamePlace, OTHER_EPOCH, type Place, placeOf, replicaFault } from './place.ts';
import { refuseTransactionPooling } from './pooler.ts';
import type { PrimaryPosition, WalPosition } from './primary-position.ts';
import { sessionLimits, SharedSession } from './session.ts';

/** Which variable has the addresses. */
export const REPLICA_VARIABLE = 'DATABASE_REPLICA_URL';

/** Connections for reads of the log: as many replays read at once. */
const LOG_CONNECTIONS = 2;
/** Connections to a replica beside those for requests. */
export const REPLICA_EXTRA_CONNECTIONS = LOG_CONNECTIONS + 1;
/** How long a connection may take to open, and an answer to where the replica stands. Milliseconds. */
const CONNECT_TIMEOUT = 1000;
const TIME_LIMIT = 700;
/** How often it is asked where it stands though nobody waits to know. Milliseconds. */
const HEARTBEAT = 300;
/** Before it is tried again while it is away: doubled each time, up to the longest. Milliseconds. */
const RETRY = 1000;
const LONGEST_RETRY = 15_000;
/** How long its log may have another epoch than the primary's, which it replays a moment later. Milliseconds. */
const EPOCH_PATIENCE = 5000;
/** How long a read waits for it to catch up, and the longest pause between two looks. Milliseconds. */
const PATIENCE = 40;
const LOOK = 8;
/** How often a read is tried while its new connections lead to other servers. */
const ATTEMPTS = 5;
/** After so many connections in a row that lead to other servers, the address is asked anew where it leads. */
const MOVED = 20;

/** A replica cannot be used, or no longer. SQLSTATE 08006. */
class ReplicaAway extends Error {
  override readonly name = 'ReplicaAway';
  readonly code = '08006';
}

/** A new connection leads to another server than the one that is asked where it stands. SQLSTATE 08001. */
class OtherServer extends Error {
  override readonly name = 'OtherServer';
  readonly code = '08001';
}

interface Standing {
  /** How far it has replayed. */
  wal: number;
  isStandby: boolean;
  epoch: string | null;
  timeline: number;
  /** When the server was started, to the microsecond: no other standby of the cluster has the same. */
  started: string;
  /** The process that answers. */
  pid: number;
}

const STANDS = {
  name: 'replica-position',
  text: `select coalesce((pg_last_wal_replay_lsn() - '0/0')::double precision, -1) as wal,
           extract(epoch from pg_postmaster_start_time())::text as started, pg_backend_pid() as pid,
           pg_is_in_recovery() as "isStandby", h.epoch::text as epoch,
           coalesce((select r.received_tli from pg_stat_wal_receiver r), 0) as timeline
         from (select) as here left join feed_head h on true`,
};

export interface ReplicaOptions {
  /** Its address, and which of the hosts of that it is. */
  url: string;
  host: DatabaseHost;
  /** Connections for requests. */
  pool: number;
  /** How long a connection is used at most. Milliseconds. */
  maxAge: number;
  primary: Pick<PrimaryPosition, 'flushed' | 'place'>;
  /** The epoch of the log on the primary. */
  epoch: () => string;
  log: Logger;
}

interface Waiting {
  wal: number;
  until: number;
  resolve: (hasReplayed: boolean) => void;
}

/**
 * One replica: its connections, and how far it has replayed the log of the primary.
 *
 * It is asked on a connection of its own, at intervals and whenever a read waits for it or has failed. When that fails
 * or takes too long, all of its connections are cut, so that what waits for them goes to the primary, and none is opened
 * before the one on which it is asked. A read that fails alone, as when the server is full, goes to the primary alone.
 *
 * An address may lead to several servers, or to another one than before. Where one stands says nothing of the others:
 * so each new connection must lead to the server that is asked.
 *
 * A pooler in between must give each connection a session of its own, as for the primary.
 *
 * Each new connection must lead to a standby of the primary's cluster with the same tables. One of a primary that was
 * put aside may have replayed more than the new one has written: so it must have the epoch of the log as well, which
 * the first node makes anew on a primary that was promoted or restored.
 */
export class Replica extends Loop {
  /** Host and port. */
  readonly name: string;
  readonly db: Database;
  readonly feedPool: FeedPool;
  readonly #options: ReplicaOptions;
  readonly #pause = new Pause();
  /** All connections to it, but for the one on which it is asked. */
  readonly #clients = new Set<pg.Client>();
  #inUse = false;
  #session = 0;
  /** Whether it is up to date within the patience of a read. */
  #keepsUp = false;
  #copyOf: Place | undefined;
  #replayed = -1;
  #started = '';
  /** Connections in a row that led to other servers. */
  #elsewhere = 0;
  /** It was left since all connections led to others: until one does not, it is not known whether it can be used. */
  #isDoubtful = false;
  /** Times that it has failed since it was used last. */
  #failures = 0;
  #epoch: string | null = null;
  #behind = 0;
  #waiting: Waiting[] = [];
  /** Why it has not been used since it was used last. */
  readonly #faults = new Set<string>();

  constructor(options: ReplicaOptions) {
    const { url, host, pool, maxAge, log } = options;
    super({
      work: () => this.#follow(),
      // At the start it is the primary that is not known yet.
      pause: () =>
        about(options.primary.place ? Math.min(RETRY * 2 ** (this.#failures - 1), LONGEST_RETRY) : 50),
      onFailed: (error) => {
        if (this.signal.aborted) return;
        this.#warn(error);
        this.#failures += 1;
      },
    });
    this.#options = options;
    this.name = describeHost(host);
    const replica = {
      hosts: {
        choose: () =>
          this.#inUse ? Promise.resolve(host) : Promise.reject(new ReplicaAway('The replica is not in use.')),
        forget: () => undefined,
      },
      connectTimeout: CONNECT_TIMEOUT,
      variable: REPLICA_VARIABLE,
    };
    const identity = {
      inspect: async (client: pg.Client, timeout: number) => {
        await this.#require(client, timeout);
        await this.#requireSameServer(client, timeout);
        this.#clients.add(client);
        client.once('end', () => this.#clients.delete(client));
        this.#requireUse();
      },
      settle: () => {
        this.#requireUse();
        return Promise.resolve();
      },
    };
    const refusal = () => new Error('All connections to the replica are in use.');
    this.db = new Database({ url, pool, log, maxAge, identity, replica, refusal });
    this.feedPool = createFeedPool(url, log, LOG_CONNECTIONS, { maxAge, identity, replica });
  }

  get isInUse(): boolean {
    return this.#inUse;
  }

  /** Another one each time that it comes into use: it may have less then. */
  get session(): number {
    return this.#session;
  }

  /** Bytes of the primary's log that it had not replayed at the last look. */
  get behind(): number {
    return this.#behind;
  }

  /** Statements in progress, and those that wait. */
  get load(): number {
    return this.db.pool.using + this.db.waiting;
  }

  override async stop(): Promise<void> {
    const stopped = super.stop();
    this.#pause.end();
    await stopped;
    await this.feedPool.end();
    await this.db.close();
  }

  /** Whether it is known to have everything up to a position of its primary. */
  has({ wal, place }: WalPosition): boolean {
    return (
      this.#inUse &&
      this.#replayed >= wal &&
      this.#copyOf !== undefined &&
      isSamePlace(this.#copyOf, place) &&
      this.#epoch === this.#options.epoch()
    );
  }

  /** Whether it comes to a position. One that has not done so lately is not waited for. */
  async reaches(position: WalPosition): Promise<boolean> {
    if (!this.#inUse || !this.#keepsUp) return this.has(position);
    this.#keepsUp = await this.#replays(position.wal);
    return this.has(position);
  }

  /**
   * Reads from it for one who has found that it has a position.
   * @param session which one it was then
   * @throws {ReplicaAway} if it is another one, and what the read throws
   */
  async read<T>(session: number, read: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      this.#requireUse(session);
      try {
        const found = await read();
        this.#requireUse(session);
        return found;
      } catch (error) {
        if (attempt < ATTEMPTS && databaseErrorCode(error) === '08001') continue;
        this.#failed(error);
        throw error;
      }
    }
  }

  /** Whether it is still there, the connection shows on which it is asked: one server may refuse one connection. */
  #failed(error: unknown): void {
    if (!this.#inUse) return;
    if (databaseErrorCode(error)?.startsWith('53') === true)
      this.#warn(error, 'the replica has no room for a read: such reads go to the primary');
    this.#pause.end();
  }

  #replays(wal: number): Promise<boolean> {
    if (this.#replayed >= wal) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#waiting.push({ wal, until: performance.now() + PATIENCE, resolve });
      this.#pause.end();
    });
  }

  /** Asks where it stands until that fails. */
  async #follow(): Promise<void> {
    const { url, host, primary, epoch } = this.#options;
    const copyOf = primary.place;
    if (!copyOf) return;
    const where = {
      hosts: only(host),
      variable: REPLICA_VARIABLE,
      connectTimeout: CONNECT_TIMEOUT,
      queryTimeout: TIME_LIMIT,
    };
    const { signal } = this;
    const client = await connectClient(url, {
      name: 'tidings-replica-position',
      settings: sessionLimits({ statement: TIME_LIMIT, lock: TIME_LIMIT, idleInTransaction: 10_000 }),
      ...where,
      identity: { inspect: (opened, timeout) => this.#require(opened, timeout) },
    });
    try {
      if (client.isPooled) await refuseTransactionPooling(url, { ...where, signal });
      let pause = 1;
      let epochUntil = performance.now() + EPOCH_PATIENCE;
      for (let beat = -Infinity; !signal.aborted;) {
        if (primary.place && !isSamePlace(copyOf, primary.place))
          throw new ReplicaAway('The primary is another one.');
        if (performance.now() - beat > HEARTBEAT) {
          beat = performance.now();
          void this.#measure();
        }
        await this.#ask(client, copyOf);
        if (this.#epoch === epoch()) {
          epochUntil = performance.now() + EPOCH_PATIENCE;
          this.#enter(copyOf);
        } else if (performance.now() > epochUntil) throw new ReplicaAway(OTHER_EPOCH);
        if (this.#elsewhere >= MOVED) {
          this.#isDoubtful = true;
          throw new ReplicaAway('The address leads to other servers by now.');
        }
        pause = this.#settleWaiting() ? pause * 2 : 1;
        await this.#pause.for(this.#waiting.length > 0 ? Math.min(pause, LOOK) : HEARTBEAT);
      }
    } finally {
      this.#leave(client);
      void client.end().catch(() => undefined);
    }
  }

  async #ask(client: DatabaseClient, copyOf: Place): Promise<void> {
    const stands = await standingOf(client, TIME_LIMIT);
    // The pooler has been given another mode.
    if (stands.pid !== client.processId) throw new SharedSession(REPLICA_VARIABLE);
    const fault = replicaFault({ ...copyOf, ...stands }, copyOf);
    if (fault !== undefined) throw new ReplicaAway(fault);
    this.#replayed = Math.max(this.#replayed, stands.wal);
    this.#started = stands.started;
    this.#epoch = stands.epoch;
  }

  /** @returns whether some still wait */
  #settleWaiting(): boolean {
    const now = performance.now();
    this.#waiting = this.#waiting.filter(({ wal, until, resolve }) => {
      const hasReplayed = this.#replayed >= wal;
      if (!hasReplayed && now < until) return true;
      resolve(hasReplayed);
      return false;
    });
    return this.#waiting.length > 0;
  }

  /** How far it is behind, and whether a read may wait for it. */
  async #measure(): Promise<void> {
    const position = await this.#options.primary.flushed();
    if (!position) return;
    this.#behind = Math.max(0, position.wal - this.#replayed);
    this.#keepsUp = await this.#replays(position.wal);
    if (this.#keepsUp) this.#behind = 0;
  }

  #enter(copyOf: Place): void {
    if (this.#inUse) return;
    this.#inUse = true;
    this.#session += 1;
    this.#elsewhere = 0;
    this.#copyOf = copyOf;
    if (!this.#isDoubtful) this.#tellUse();
  }

  #tellUse(): void {
    this.#faults.clear();
    this.#failures = 0;
    this.#options.log.info({ replica: this.name }, 'the replica is used for reads');
  }

  /** @param control on which it was asked where it stands */
  #leave(control: pg.Client): void {
    this.#inUse = false;
    this.#keepsUp = false;
    this.#replayed = -1;
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
    const reason = new ReplicaAway('The replica is not in use.');
    for (const client of [...this.#clients, control]) cutOff(client, reason);
    this.#pause.end();
  }

  /** Each reason once until it is used again. */
  #warn(
    error: unknown,
    message = 'the replica cannot be used: it is left out until a new connection shows that it can',
  ): void {
    const fault = reasonOf(error);
    if (this.#faults.has(fault)) return;
    this.#faults.add(fault);
    this.#options.log.warn({ replica: this.name, err: error }, message);
  }

  /** @throws {ReplicaAway} if this connection does not lead to a replica of the primary */
  async #require(client: pg.Client, timeout: number): Promise<void> {
    const { place } = this.#options.primary;
    const fault = place
      ? replicaFault(await placeOf(client, timeout), place)
      : 'It is not known where the primary is.';
    if (fault !== undefined) throw new ReplicaAway(fault);
  }

  /**
   * A server that has crashed and is back keeps the time of its start, and may have replayed less than before.
   * @throws {OtherServer} if this connection does not lead to the server that is asked
   * @throws {ReplicaAway} if that has gone back
   */
  async #requireSameServer(client: pg.Client, timeout: number): Promise<void> {
    const replayed = this.#replayed;
    const { started, wal } = await standingOf(client, timeout);
    if (started !== this.#started) {
      this.#elsewhere += 1;
      throw new OtherServer('The connection leads to another server than that of the replica.');
    }
    if (wal < replayed) throw new ReplicaAway('It has replayed less than before.');
    if (this.#isDoubtful) {
      this.#isDoubtful = false;
      this.#tellUse();
    }
    if (this.#elsewhere > 0)
      this.#warn(
        new OtherServer('The address leads to several servers.'),
        'one of the servers behind the address of the replica is used: give each its own address',
      );
    this.#elsewhere = 0;
  }

  #requireUse(session = this.#session): void {
    if (!this.#inUse || session !== this.#session) throw new ReplicaAway('The replica is not in use.');
  }
}

/** @param timeout milliseconds */
async function standingOf(client: pg.Client, timeout: number): Promise<Standing> {
  const { rows } = await client.query<Standing>({ ...STANDS, query_timeout: timeout } as pg.QueryConfig);
  const [stands] = rows;
  if (!stands) throw new ReplicaAway('It does not tell where it stands.');
  return stands;
}
