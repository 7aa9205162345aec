import pg from 'pg';
import {
  ConnectionAcquireTimeoutError,
  type QueryOptions,
  QueryTypes,
  Sequelize,
  type Transaction,
} from 'sequelize';
import { about } from '../async/loop.ts';
import { defineModels, modelDefaults } from '../../models/index.ts';
import { cutOff } from '../library-internals/postgres.ts';
import { poolUse } from '../library-internals/sequelize.ts';
import type { Logger } from '../logger.ts';
import type { FairSemaphore } from '../queues/fair-semaphore.ts';
import { clientClass, type ClientOptions, sequelizeConnection } from './client.ts';
import { ConfirmedClient } from './confirmed-client.ts';
import { type ConnectionUser, connectionQueue, type DatabaseShare } from './connection-queue.ts';
import type { DatabaseIdentity } from './identity.ts';
import { sessionLimits } from './session.ts';

// Every bigint here is an id, seq, rev or count below 2^53: validation refuses larger ids.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** PostgreSQL's code of an error, wherever Sequelize has wrapped it; or Node's, for a lost connection. */
export function databaseErrorCode(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; typeof at === 'object' && at !== null && depth < 4; depth += 1) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    at = 'parent' in at ? at.parent : 'original' in at ? at.original : 'cause' in at ? at.cause : undefined;
  }
  return undefined;
}

/** Which unique constraint or foreign key a write broke. */
export function violatedConstraint(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; typeof at === 'object' && at !== null && depth < 4; depth += 1) {
    if ('constraint' in at && typeof at.constraint === 'string') return at.constraint;
    at = 'parent' in at ? at.parent : 'original' in at ? at.original : undefined;
  }
  return undefined;
}

const unavailable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'EAI_AGAIN',
]);

/**
 * SQLSTATEs of a schema that is missing or incomplete, as while `pg_restore --clean` restores a backup: no schema,
 * database, table, column, type or function, no key that `on conflict` could mean, no default of an identity column, a
 * table that went between a statement's plan and its run, and no right to any of it.
 */
const schemaAway = new Set([
  '3D000',
  '3F000',
  '42P01',
  '42703',
  '42704',
  '42883',
  '42P10',
  '23502',
  'XX000',
  '42501',
]);

/** Whether a statement, or a connection, has failed because the schema is missing. */
export function isSchemaAway(error: unknown): boolean {
  return schemaAway.has(databaseErrorCode(error) ?? '');
}

/**
 * Whether the database is unavailable, full, overloaded or uncertain of a commit: errors after which the caller should
 * retry later. Classes of SQLSTATE: 08 connection, 25006 read-only, 25P03, 25P04, 57014 and 55P03 time limits, 26000
 * and 42P05 prepared statements of another session (pooler.ts), 40000 and 40003 of confirmed-client.ts, 53 resources,
 * 57P server going down, 58 its files.
 */
export function isUnavailable(error: unknown): boolean {
  const name = error instanceof Error ? error.name : '';
  if (/^SequelizeConnection|^SequelizeHostNot|ConnectionAcquireTimeout/.test(name)) return true;
  const code = databaseErrorCode(error);
  if (code !== undefined) {
    return (
      unavailable.has(code) ||
      schemaAway.has(code) ||
      /^(08|53|57P|58)|^(25006|25P03|25P04|26000|42P05|40000|40003|55P03|57014)$/.test(code)
    );
  }
  return (
    error instanceof Error &&
    // The last three: a node that stops has closed its connections to a request that would not end.
    /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Query read timeout|connection manager was closed|after calling end on the pool|pool is draining/i.test(
      error.message,
    )
  );
}

/** What an error says to an operator. */
export function reasonOf(error: unknown): string {
  // A name with several addresses fails with several errors and no message.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** Whether there is no connection since the address is wrong: its host, port, role, password or database. */
export function isRefused(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isRefused);
  return /^(28|3D000|ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT)/.test(databaseErrorCode(error) ?? '');
}

/**
 * Whether a server answered that is on its way up or down, or none answered in time, as one that is very busy: it may be
 * another moment.
 */
export function isComingUp(error: unknown): boolean {
  const code = databaseErrorCode(error);
  if (code !== undefined) return code.startsWith('57P') || code === 'ECONNRESET' || code === '08006';
  return error instanceof Error && /Connection terminated|timeout expired/i.test(error.message);
}

/** Serialization failures and deadlocks: PostgreSQL asks for another try of the whole transaction. */
export function wantsRetry(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code === '40001' || code === '40P01';
}

const ATTEMPTS = 4;

/** How long one statement may take, so that nothing hangs; the server enforces it. Milliseconds. */
const STATEMENT_TIMEOUT = 10_000;

/** How long a statement of a request waits for a lock; the server enforces it. Milliseconds. */
export const LOCK_TIMEOUT = 5000;

/**
 * How long a connection is used at most, unless the configuration says otherwise: where a name or a proxy leads elsewhere, it
 * is the new connections that find out. Milliseconds.
 */
const MAX_AGE = 30 * 60_000;

/**
 * Whether Sequelize's pool may continue using a connection: in place of its own check, and no longer than an age.
 * @param renewedAt when all older connections were to be replaced: `performance.now()`
 */
function youngerThan(age: number, renewedAt: () => number): (connection: object) => boolean {
  const ends = new WeakMap<object, number>();
  return (connection) => {
    const end = ends.get(connection) ?? Date.now() + about(age);
    ends.set(connection, end);
    return (
      Date.now() < end &&
      connection instanceof ConfirmedClient &&
      connection.isUsable &&
      connection.openedAt > renewedAt()
    );
  };
}

export interface DatabaseOptions {
  url: string;
  /** Connections for requests. The feed has a few of its own, so that neither starves the other. */
  pool: number;
  log: Logger;
  /** Which database all pools of the process are on. */
  identity?: Pick<DatabaseIdentity, 'inspect' | 'settle'>;
  /** How long a connection is used at most. Default: 30 minutes. Milliseconds. */
  maxAge?: number;
  /**
   * Of a service: the error of a request for which too many others wait. Then a statement without a turn is an error,
   * so that none is forgotten.
   */
  refusal?: () => Error;
  /** Of a replica. It has no models: they belong to the primary. */
  replica?: ReplicaConnection;
}

/** How a replica is connected to. */
export type ReplicaConnection = Pick<ClientOptions, 'hosts' | 'connectTimeout' | 'variable'>;

/** How long a read on a replica waits for a lock that is replayed there, before it goes to the primary. Milliseconds. */
const REPLICA_LOCK_TIMEOUT = 500;

/** A session on a replica can write nothing, also once that has been promoted. */
const ONLY_READS = { default_transaction_read_only: 'on' };

/** The request side of the database: Sequelize, its models and transactions that mean what they say. */
export class Database {
  readonly sequelize: Sequelize;
  readonly #log: Logger;
  readonly #turns: FairSemaphore<ConnectionUser>;
  #renewedAt = 0;

  constructor({ url, pool, log, identity, maxAge = MAX_AGE, refusal, replica }: DatabaseOptions) {
    this.#log = log;
    this.#turns = connectionQueue(
      pool,
      refusal ?? (() => new ConnectionAcquireTimeoutError(new Error('All connections are in use.'))),
    );
    this.sequelize = new Sequelize({
      ...sequelizeConnection(url, {
        name: replica ? 'tidings-replica' : 'tidings',
        settings: {
          ...sessionLimits({
            statement: STATEMENT_TIMEOUT,
            lock: replica ? REPLICA_LOCK_TIMEOUT : LOCK_TIMEOUT,
            idleInTransaction: 10_000,
          }),
          ...(replica ? ONLY_READS : {}),
        },
        queryTimeout: STATEMENT_TIMEOUT + 2000,
        ...replica,
        ...(identity ? { identity } : {}),
      }),
      // Sequelize's own logging prints statements with values.
      logging: false,
      define: modelDefaults,
      pool: {
        max: pool,
        min: 0,
        acquire: 3000,
        idle: 30_000,
        evict: 5000,
        validate: youngerThan(maxAge, () => this.#renewedAt),
      },
      // Its retries would repeat single statements; transactions are repeated here, whole.
      retry: { max: 1 },
    });
    if (identity) {
      // Every answer of the database goes through here, that to a COMMIT too: it counts if it came from the database that the
      // feed follows.
      this.sequelize.addHook('afterQuery', (_options, query) =>
        identity.settle(query.connection as pg.Client),
      );
    }
    if (refusal) this.#requireTurns();
    if (!replica) defineModels(this.sequelize);
  }

  /** Statements and transactions that wait for their turn. */
  get waiting(): number {
    return this.#turns.waiting;
  }

  /** The connections for requests, in the turns of one of their users. */
  share(user: ConnectionUser): DatabaseShare {
    return new Share(this.sequelize, this.#turns, user, this.#log) as unknown as DatabaseShare;
  }

  /** A transaction of the service's own: see `DatabaseShare`. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.share('service').transaction(work);
  }

  /** A read of the service's own, said as to a pool of pg's. */
  async query({ text, values }: { text: string; values: unknown[] }): Promise<{ rows: object[] }> {
    return {
      rows: await this.share('service').query(text, { type: QueryTypes.SELECT, bind: values }),
    };
  }

  /** Throws unless the database answers. */
  async ping(): Promise<void> {
    await this.share('service').query('select 1');
  }

  /**
   * Each turn has one connection: with as many connections as turns, one more would be somebody's who has waited for none. Not by
   * a hook of Sequelize's, which would cost each statement several times as much.
   */
  #requireTurns(): void {
    const { connectionManager } = this.sequelize;
    const connect = connectionManager.getConnection.bind(connectionManager);
    connectionManager.getConnection = (options) => {
      const { using, waiting } = this.pool;
      if (using + waiting >= this.#turns.running)
        throw new Error('A statement bypassed the fair queue. Use Database.share.');
      return connect(options);
    };
  }

  /** Sequelize's pool. */
  get pool(): { using: number; waiting: number } {
    return poolUse(this.sequelize);
  }

  /** No connection that is open now is used again once it is free: settings that new ones are given have changed. */
  renew(): void {
    this.#renewedAt = performance.now();
  }

  async close(): Promise<void> {
    await this.sequelize.close();
  }
}

/** See `DatabaseShare`. One is made for each request, so it is no more than who asks. */
class Share {
  readonly #sequelize: Sequelize;
  readonly #turns: FairSemaphore<ConnectionUser>;
  readonly #user: ConnectionUser;
  readonly #log: Logger;

  constructor(sequelize: Sequelize, turns: FairSemaphore<ConnectionUser>, user: ConnectionUser, log: Logger) {
    this.#sequelize = sequelize;
    this.#turns = turns;
    this.#user = user;
    this.#log = log;
  }

  query(sql: string, options?: QueryOptions): Promise<unknown> {
    const statement = () => this.#sequelize.query(sql, options);
    return options?.transaction ? statement() : this.run(statement);
  }

  run<T>(statement: () => Promise<T>): Promise<T> {
    return this.#turns.run(this.#user, statement);
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.run(() => this.#sequelize.transaction(work));
      } catch (error) {
        if (attempt >= ATTEMPTS || !wantsRetry(error)) throw error;
        this.#log.debug({ err: error, attempt }, 'transaction retried');
      }
    }
  }
}

/** The connections of `createFeedPool`. */
export class FeedPool extends pg.Pool {
  #renewedAt = 0;

  /** No connection that is open now is used again once it is free: settings that new ones are given have changed. */
  renew(): void {
    this.#renewedAt = performance.now();
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | void {
    if (!callback)
      return new Promise((resolve, reject) => {
        this.connect((error, client) => {
          if (client) resolve(client);
          else reject(error ?? new Error('The pool gave no connection.'));
        });
      });
    super.connect((error, client, release) => {
      if (client instanceof ConfirmedClient && client.openedAt <= this.#renewedAt) {
        release(true);
        this.connect(callback);
      } else callback(error, client, release);
    });
  }
}

type Connected = Parameters<pg.Pool['connect']>[0];

/**
 * A few plain connections for the feed: numbering, following and replay. Apart from the request pool, so that a flood of
 * requests delays no event and a storm of replays no request.
 */
export function createFeedPool(
  url: string,
  log: Logger,
  max: number,
  { identity, maxAge = MAX_AGE, replica }: Pick<DatabaseOptions, 'identity' | 'maxAge' | 'replica'> = {},
): FeedPool {
  const pool = new FeedPool({
    Client: clientClass(url, {
      name: replica ? 'tidings-replica-feed' : 'tidings-feed',
      settings: {
        ...sessionLimits({ statement: 4000, lock: 3000, idleInTransaction: 10_000 }),
        ...(replica ? ONLY_READS : {}),
      },
      // The server cannot enforce its limit over a connection that is gone: give it up here.
      queryTimeout: 5000,
      ...replica,
      ...(identity ? { identity } : {}),
    }),
    max,
    maxLifetimeSeconds: Math.max(1, Math.round(about(maxAge) / 1000)),
    connectionTimeoutMillis: 3000,
    idleTimeoutMillis: 0,
  });
  pool.on('error', (error) => log.debug({ err: error }, 'idle feed connection lost'));
  // A checked-out client has no error listener: a restart of the server during its query would end the process.
  pool.on('connect', (client) =>
    client.on('error', (error) => log.debug({ err: error }, 'feed connection lost')),
  );
  abandonTogether(pool);
  return pool;
}

/**
 * A lost network is silent. The first query without a timely reply means that the idle connections are dead, too;
 * trying them one after the other would cost the same time again for each.
 */
function abandonTogether(pool: pg.Pool): void {
  const idle = new Set<pg.PoolClient>();
  pool.on('acquire', (client) => idle.delete(client));
  pool.on('remove', (client) => idle.delete(client));
  pool.on('release', (error: Error | undefined, client) => {
    if (!error) idle.add(client);
    else if (error.message === 'Query read timeout') for (const other of idle) cutOff(other, error);
  });
}
