import type { QueryOptions } from 'sequelize';
import { connectionConfig } from '../config/connection-config.ts';
import { type Database, databaseErrorCode, type FeedPool } from './connection.ts';
import type { ConnectionUser, DatabaseShare } from './connection-queue.ts';
import { PrimaryPosition, type PrimaryPositionOptions, type WalPosition } from './primary-position.ts';
import { Replica } from './replica.ts';

/** Connections for the statements of one answer, all to one server. */
export type ReadShare = Pick<DatabaseShare, 'query'>;

/** Where an answer is read from: the database itself, or whichever server has all that it must show. */
export interface ReadSource {
  /** To be asked for each answer, after its request has come. */
  share(user: ConnectionUser): ReadShare | Promise<ReadShare>;
}

/** Which server has answered. */
export type AnsweredBy = 'primary' | 'replica';

export interface ReplicasOptions extends PrimaryPositionOptions {
  /** Each host of these addresses is a replica. */
  urls: readonly string[];
  db: Database;
  feedPool: FeedPool;
  /** Connections for requests to each replica. */
  pool: number;
  epoch: () => string;
  /** Not while commits wait for a synchronous standby: replicas may show what no writer has been told yet. */
  mayUse: () => boolean;
  /** Called for each answer, and once more when it is read again from the primary. */
  onRead: (by: AnsweredBy) => void;
}

/**
 * The replicas that reads may use. An answer comes from one only if it has replayed everything that was committed when
 * its request came, whoever wrote it and on whichever node: the position of the primary is asked after that. Otherwise,
 * and for every statement that fails on a replica, it comes from the primary.
 */
export class Replicas implements ReadSource {
  readonly #options: ReplicasOptions;
  readonly #primary: PrimaryPosition;
  readonly all: readonly Replica[];
  #turn = 0;

  /** @throws {DatabaseUrlError} */
  constructor(options: ReplicasOptions) {
    const { urls, pool, maxAge, epoch, log } = options;
    const primary = new PrimaryPosition(options);
    this.#options = options;
    this.#primary = primary;
    this.all = urls.flatMap((url) =>
      connectionConfig(url).hosts.map(
        (host) => new Replica({ url, host, pool, maxAge, primary, epoch, log }),
      ),
    );
  }

  start(): void {
    this.#primary.start();
    for (const replica of this.all) replica.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#primary.stop(), ...this.all.map((replica) => replica.stop())]);
  }

  async share(user: ConnectionUser): Promise<ReadShare> {
    const { db, onRead } = this.#options;
    const replica = await this.#choose();
    onRead(replica ? 'replica' : 'primary');
    return replica ? (new ReplicaShare(replica, user, db, onRead) as unknown as ReadShare) : db.share(user);
  }

  /** Reads the log. `read` is called once more if it fails on a replica. */
  async readLog<T>(read: (source: FeedPool) => Promise<T>): Promise<T> {
    const { feedPool, onRead } = this.#options;
    const replica = await this.#choose();
    if (replica) {
      onRead('replica');
      try {
        return await replica.read(replica.session, () => read(replica.feedPool));
      } catch (error) {
        if (isTimeUp(error)) throw error;
      }
    }
    onRead('primary');
    return read(feedPool);
  }

  /** A replica that has everything that is committed by now; undefined: none, or none soon enough. */
  async #choose(): Promise<Replica | undefined> {
    if (!this.#options.mayUse() || !this.all.some(({ isInUse }) => isInUse)) return undefined;
    const position = await this.#primary.flushed();
    if (!position) return undefined;
    const ready = this.all.filter((replica) => replica.has(position));
    return ready.length > 0 ? this.#leastBusy(ready) : this.#first(position);
  }

  #leastBusy(ready: readonly Replica[]): Replica | undefined {
    this.#turn += 1;
    const least = Math.min(...ready.map(({ load }) => load));
    const idlest = ready.filter(({ load }) => load === least);
    return idlest[this.#turn % idlest.length];
  }

  #first(position: WalPosition): Promise<Replica | undefined> {
    return Promise.any(
      this.all.map(async (replica) => {
        if (!(await replica.reaches(position))) throw new Error(`${replica.name} is behind`);
        return replica;
      }),
    ).catch(() => undefined);
  }
}

/** See `ReadShare`: on a replica until that fails, and from then on on the primary. */
class ReplicaShare {
  #replica: Replica | undefined;
  readonly #session: number;
  readonly #user: ConnectionUser;
  readonly #db: Database;
  readonly #onRead: ReplicasOptions['onRead'];

  constructor(replica: Replica, user: ConnectionUser, db: Database, onRead: ReplicasOptions['onRead']) {
    this.#replica = replica;
    this.#session = replica.session;
    this.#user = user;
    this.#db = db;
    this.#onRead = onRead;
  }

  async query(sql: string, options: QueryOptions): Promise<unknown> {
    const replica = this.#replica;
    if (replica) {
      try {
        return await replica.read(this.#session, () => replica.db.share(this.#user).query(sql, options));
      } catch (error) {
        if (isTimeUp(error) || hasLeft(this.#user)) throw error;
        if (this.#replica) this.#onRead('primary');
        this.#replica = undefined;
      }
    }
    return this.#db.share(this.#user).query(sql, options);
  }
}

/** Whether a read has taken as long as it may. A conflict with what the replica replays has another code. */
function isTimeUp(error: unknown): boolean {
  return databaseErrorCode(error) === '57014';
}

function hasLeft(user: ConnectionUser): boolean {
  return typeof user !== 'string' && user.signal?.aborted === true;
}
