import type { Socket } from 'node:net';
import pg from 'pg';
import { QueryTypes, Sequelize, type Transaction } from 'sequelize';
import { defineModels, modelDefaults } from '../../models/index.ts';
import type { Logger } from '../logger.ts';
import { clientClass, sequelizeConnection } from './client.ts';

// Every bigint here is an id, a seq, a rev or a count, and below 2^53: validation refuses larger ids.
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
 * Whether the database is away, full or overloaded rather than wrong: what the caller should try again later.
 * Classes of SQLSTATE: 08 connection, 53 resources, 57P server going down, 57014 and 55P03 our own time limits.
 */
export function isUnavailable(error: unknown): boolean {
  const name = error instanceof Error ? error.name : '';
  if (/^SequelizeConnection|^SequelizeHostNot|ConnectionAcquireTimeout/.test(name)) return true;
  const code = databaseErrorCode(error);
  if (code !== undefined) {
    return (
      unavailable.has(code) ||
      /^(08|53|57P|58|25006)/.test(code) ||
      code === '57014' ||
      code === '55P03' ||
      code === '25P03'
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

/** Whether a server answered that is on its way up or down: it will be another moment. */
export function isComingUp(error: unknown): boolean {
  const code = databaseErrorCode(error);
  if (code !== undefined) return code.startsWith('57P') || code === 'ECONNRESET' || code === '08006';
  return error instanceof Error && /Connection terminated/i.test(error.message);
}

/** Serialization failures and deadlocks: PostgreSQL asks for another try of the whole transaction. */
export function wantsRetry(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code === '40001' || code === '40P01';
}

const ATTEMPTS = 4;

/** How long one statement may take, so that nothing hangs; the server enforces it. Milliseconds. */
const STATEMENT_TIMEOUT = 10_000;

export interface DatabaseOptions {
  url: string;
  /** Connections for requests. The feed has a few of its own, so that neither starves the other. */
  pool: number;
  log: Logger;
}

/** The request side of the database: Sequelize, its models and transactions that mean what they say. */
export class Database {
  readonly sequelize: Sequelize;
  readonly #log: Logger;

  constructor({ url, pool, log }: DatabaseOptions) {
    this.#log = log;
    this.sequelize = new Sequelize({
      ...sequelizeConnection(url, {
        name: 'tidings',
        settings: {
          statement_timeout: String(STATEMENT_TIMEOUT),
          lock_timeout: '5000',
          idle_in_transaction_session_timeout: '10000',
        },
        queryTimeout: STATEMENT_TIMEOUT + 2000,
      }),
      // Sequelize's own logging prints statements with values.
      logging: false,
      define: modelDefaults,
      pool: { max: pool, min: 0, acquire: 3000, idle: 30_000, evict: 5000 },
      // Its retries would repeat single statements; transactions are repeated here, whole.
      retry: { max: 1 },
    });
    refuseFalseCommits(this.sequelize);
    defineModels(this.sequelize);
  }

  /**
   * Runs `work` in one transaction and commits it; on any error rolls back and rethrows. Repeats it, at most three
   * times, when PostgreSQL reports a deadlock or a serialization failure, so `work` must have no effect outside.
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.sequelize.transaction(work);
      } catch (error) {
        if (attempt >= ATTEMPTS || !wantsRetry(error)) throw error;
        this.#log.debug({ err: error, attempt }, 'transaction repeated');
      }
    }
  }

  /** Reads over the connections of requests, said as to a pool of pg's. */
  async query({ text, values }: { text: string; values: unknown[] }): Promise<{ rows: object[] }> {
    return { rows: await this.sequelize.query(text, { type: QueryTypes.SELECT, bind: values }) };
  }

  /** Throws unless the database answers. */
  async ping(): Promise<void> {
    await this.sequelize.query('select 1');
  }

  async close(): Promise<void> {
    await this.sequelize.close();
  }
}

/**
 * PostgreSQL answers COMMIT of a failed transaction with the command tag ROLLBACK and no error. Sequelize does not look
 * at the tag, so the write would be acknowledged and lost.
 */
function refuseFalseCommits(sequelize: Sequelize): void {
  const queries = sequelize.getQueryInterface() as unknown as {
    commitTransaction(transaction: Transaction, options: object): Promise<unknown>;
  };
  const commit = queries.commitTransaction.bind(queries);
  queries.commitTransaction = async (transaction, options) => {
    // A transaction's own `type` (SQLite's) stands where the query's is looked for.
    const answer = await commit(transaction, { ...options, type: QueryTypes.RAW });
    const tag = Array.isArray(answer) ? (answer[1] as { command?: string } | undefined)?.command : undefined;
    if (tag !== 'COMMIT')
      throw new Error(`COMMIT was answered with ${tag ?? 'nothing'}: the transaction had failed`);
    return answer;
  };
}

/**
 * A few plain connections for the feed: numbering, following and replay. Apart from the request pool, so that a flood of
 * requests delays no event and a storm of replays no request.
 */
export function createFeedPool(url: string, log: Logger, max: number): pg.Pool {
  const pool = new pg.Pool({
    Client: clientClass(url, {
      name: 'tidings-feed',
      settings: { statement_timeout: '4000', idle_in_transaction_session_timeout: '10000' },
      // The server cannot enforce its limit over a connection that is gone: give it up here.
      queryTimeout: 5000,
    }),
    max,
    connectionTimeoutMillis: 3000,
    idleTimeoutMillis: 0,
  });
  pool.on('error', (error) => log.debug({ err: error }, 'idle feed connection lost'));
  // A client that is checked out has no listener of its own: a restart amid its query would end the process.
  pool.on('connect', (client) =>
    client.on('error', (error) => log.debug({ err: error }, 'feed connection lost')),
  );
  abandonTogether(pool);
  return pool;
}

/**
 * A network that goes away says nothing to anybody. The first query that gets no answer in time has found that out for the
 * idle connections as well; tried one after the other, each would cost as much time again.
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

/** Ends a connection from below: the pool lets go of an idle one whose connection breaks. */
function cutOff(client: pg.PoolClient, reason: Error): void {
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy(reason);
}
