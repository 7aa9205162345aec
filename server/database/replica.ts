import type pg from 'pg';
import { about, Loop } from '../async/loop.ts';
import { Pause } from '../async/pause.ts';
import { type DatabaseHost, describeHost } from '../config/connection-config.ts';
import { cutOff } from '../library-internals/postgres.ts';
import type { Logger } from '../logger.ts';
import { connectClient } from './client.ts';
import { createFeedPool, Database, databaseErrorCode, type FeedPool, isUnavailable } from './connection.ts';
import { isSamePlace, type Place, placeOf, replicaFault } from './place.ts';
import type { PrimaryPosition, WalPosition } from './primary-position.ts';
import { sessionLimits } from './session.ts';

/** Connections for reads of the log: as many replays read at once. */
const LOG_CONNECTIONS = 2;
/** How long a connection may take to open, and an answer to where the replica stands. Milliseconds. */
const CONNECT_TIMEOUT = 1000;
const TIME_LIMIT = 700;
/** How often it is asked where it stands though nobody waits to know, and is tried while it is away. Milliseconds. */
const HEARTBEAT = 300;
const RETRY = 1000;
/** How long a read waits for it to catch up, and the longest pause between two looks. Milliseconds. */
const PATIENCE = 40;
const LOOK = 8;

/** A replica cannot be used, or no longer. SQLSTATE 08006. */
class ReplicaAway extends Error {
  override readonly name = 'ReplicaAway';
  readonly code = '08006';
}

const STANDS = {
  name: 'replica-position',
  text: `select coalesce((pg_last_wal_replay_lsn() - '0/0')::double precision, -1) as wal,
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
 * It is asked on a connection of its own, at intervals and whenever a read waits for it. When that fails or takes too
 * long, or when a read finds that the replica is away, all of its connections are cut, so that what waits for them goes
 * to the primary, and none is opened before the one on which it is asked.
 *
 * Each new connection must lead to a standby of the primary's cluster with the same tables. One of a primary that was
 * put aside may have replayed more than the new one has written: so it must have the epoch of the log as well, which
 * the first node makes anew on a primary that was promoted or restored.
 */
export class Replica {
  /** Host and port. */
  readonly name: string;
  readonly db: Database;
  readonly feedPool: FeedPool;
  readonly #options: ReplicaOptions;
  readonly #loop = new Loop({
    work: () => this.#follow(),
    // At the start it is the primary that is not known yet.
    pause: () => about(this.#options.primary.place ? RETRY : 50),
    onFailed: (error) => this.#warn(error),
  });
  readonly #pause = new Pause();
  /** All connections to it, but for the one on which it is asked. */
  readonly #clients = new Set<pg.Client>();
  #control: pg.Client | undefined;
  #inUse = false;
  /** Whether it is up to date within the patience of a read. */
  #keepsUp = false;
  #copyOf: Place | undefined;
  #replayed = -1;
  #epoch: string | null = null;
  #behind = 0;
  #waiting: Waiting[] = [];
  /** Why it has not been used since it was used last. */
  readonly #faults = new Set<string>();

  constructor(options: ReplicaOptions) {
    const { url, host, pool, maxAge, log } = options;
    this.#options = options;
    this.name = describeHost(host);
    const replica = {
      hosts: {
        choose: () =>
          this.#inUse ? Promise.resolve(host) : Promise.reject(new ReplicaAway('The replica is not in use.')),
        forget: () => undefined,
      },
      connectTimeout: CONNECT_TIMEOUT,
    };
    const identity = {
      inspect: async (client: pg.Client, timeout: number) => {
        await this.#require(client, timeout);
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

  /** Bytes of the primary's log that it had not replayed at the last look. */
  get behind(): number {
    return this.#behind;
  }

  /** Statements in progress, and those that wait. */
  get load(): number {
    return this.db.pool.using + this.db.waiting;
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    const stopped = this.#loop.stop();
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

  /** A read of it has failed. If the replica is away, it is not used for a while. */
  failed(error: unknown): void {
    if (!this.#inUse || !isAway(error)) return;
    this.#warn(error);
    this.#leave();
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
    const { url, host, primary } = this.#options;
    const copyOf = primary.place;
    if (!copyOf) return;
    const client = await connectClient(url, {
      name: 'tidings-replica-position',
      settings: sessionLimits({ statement: TIME_LIMIT, lock: TIME_LIMIT, idleInTransaction: 10_000 }),
      hosts: { choose: () => Promise.resolve(host), forget: () => undefined },
      connectTimeout: CONNECT_TIMEOUT,
      queryTimeout: TIME_LIMIT,
      identity: { inspect: (opened, timeout) => this.#require(opened, timeout) },
    });
    this.#control = client;
    try {
      let pause = 1;
      for (let beat = -Infinity; this.#control === client && !this.#loop.signal.aborted;) {
        if (primary.place && !isSamePlace(copyOf, primary.place))
          throw new ReplicaAway('The primary is another one.');
        if (performance.now() - beat > HEARTBEAT) {
          beat = performance.now();
          void this.#measure();
        }
        await this.#ask(client, copyOf);
        this.#enter(copyOf);
        pause = this.#settleWaiting() ? pause * 2 : 1;
        await this.#pause.for(this.#waiting.length > 0 ? Math.min(pause, LOOK) : HEARTBEAT);
      }
    } catch (error) {
      // Unless a read has found that it is away, and has cut it.
      if (this.#control === client) throw error;
    } finally {
      this.#leave();
      void client.end().catch(() => undefined);
    }
  }

  async #ask(client: pg.Client, copyOf: Place): Promise<void> {
    const { rows } = await client.query<{
      wal: number;
      isStandby: boolean;
      epoch: string | null;
      timeline: number;
    }>(STANDS);
    const [stands] = rows;
    if (!stands) throw new ReplicaAway('It does not tell where it stands.');
    const fault = replicaFault({ ...copyOf, ...stands }, copyOf);
    if (fault !== undefined) throw new ReplicaAway(fault);
    this.#replayed = Math.max(this.#replayed, stands.wal);
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
    this.#copyOf = copyOf;
    this.#faults.clear();
    this.#options.log.info({ replica: this.name }, 'the replica is used for reads');
  }

  #leave(): void {
    this.#inUse = false;
    this.#keepsUp = false;
    this.#replayed = -1;
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
    const reason = new ReplicaAway('The replica is not in use.');
    for (const client of this.#clients) cutOff(client, reason);
    if (this.#control) cutOff(this.#control, reason);
    this.#control = undefined;
    this.#pause.end();
  }

  /** Each reason once until it is used again. */
  #warn(error: unknown): void {
    const fault = error instanceof Error ? error.message : String(error);
    if (this.#faults.has(fault)) return;
    this.#faults.add(fault);
    this.#options.log.warn(
      { replica: this.name, err: error },
      'the replica cannot be used: it is left out until a new connection shows that it can',
    );
  }

  /** @throws {ReplicaAway} if this connection does not lead to a replica of the primary */
  async #require(client: pg.Client, timeout: number): Promise<void> {
    const { place } = this.#options.primary;
    const fault = place
      ? replicaFault(await placeOf(client, timeout), place)
      : 'It is not known where the primary is.';
    if (fault !== undefined) throw new ReplicaAway(fault);
  }

  #requireUse(): void {
    if (!this.#inUse) throw new ReplicaAway('The replica is not in use.');
  }
}

/**
 * Whether a read has failed since its server is away, or cannot serve more of them. What the server says of the
 * statement is not that: its time limit, or a conflict of its snapshot with what the replica replays.
 */
function isAway(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return isUnavailable(error) && (code === undefined || /^(E|08|53|57P|58)/.test(code));
}
