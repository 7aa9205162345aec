import type pg from 'pg';
import { Loop } from '../async/loop.ts';
import { unlessAborted } from '../async/timeout.ts';
import type { Logger } from '../logger.ts';
import { type ClientOptions, connectClient } from './client.ts';
import type { DatabaseClient } from './confirmed-client.ts';
import type { DatabaseIdentity } from './identity.ts';
import { requireOwnSession, SharedSession } from './session.ts';

/** How long connecting, and a statement of the probe, may take. Milliseconds. */
const TIMEOUT = 10_000;
/** How long a pooler may take to give a second connection a server while the first one stands. Milliseconds. */
const SECOND_TIMEOUT = 4000;
/** How often a pooler is looked at while the service runs. Milliseconds. */
const INTERVAL = 1000;

export interface ProbeOptions extends Pick<ClientOptions, 'hosts' | 'variable'> {
  /** How long connecting may take, and each statement. Milliseconds. */
  connectTimeout?: number;
  queryTimeout?: number;
  /** Ends the probe at once. */
  signal?: AbortSignal;
}

/**
 * Refuses a pooler that does not give each connection its own server session, such as PgBouncer in transaction and
 * statement mode. It is detected by its behaviour, not by its name or settings.
 * @throws {SharedSession} and what connecting throws
 */
export async function refuseTransactionPooling(
  databaseUrl: string,
  { signal, ...given }: ProbeOptions = {},
): Promise<void> {
  const options = { name: 'tidings probe', connectTimeout: TIMEOUT, queryTimeout: TIMEOUT, ...given };
  const opened: Promise<DatabaseClient>[] = [];
  const open = (connectTimeout: number) => {
    const client = connectClient(databaseUrl, { ...options, connectTimeout });
    opened.push(client);
    return client;
  };
  const probe = async () => {
    const first = await open(options.connectTimeout);
    if (!first.isPooled) return;
    const second = await open(Math.min(SECOND_TIMEOUT, options.connectTimeout)).catch((error: unknown) => {
      if (!String(error).includes('timeout')) throw error;
      throw new Error(
        `the pooler that ${given.variable ?? 'DATABASE_URL'} leads through gives no second connection to the server: its pool ` +
          '(PgBouncer: default_pool_size, pool_size) must hold the connections of all processes',
        { cause: error },
      );
    });
    await requireOwnSessions(first, second, options.queryTimeout);
    await requireOwnSessions(second, first, options.queryTimeout);
  };
  const ended = () =>
    Promise.all(opened.map((each) => each.then((client) => client.end()).catch(() => undefined)));
  try {
    await unlessAborted(probe(), signal);
  } finally {
    await unlessAborted(ended(), signal);
  }
}

/**
 * Looks whether two connections, of which nobody else uses either, have each a session of its own. A pooler that gives them
 * sessions by the transaction gives the next one either that which was used last or that which was used first: to the
 * second connection, then, that of the first, or to the first another one.
 * @throws {SharedSession}
 */
async function requireOwnSessions(
  first: DatabaseClient,
  second: DatabaseClient,
  timeout = TIMEOUT,
): Promise<void> {
  const requireOwn = async (client: DatabaseClient) => {
    if (client.session) await requireOwnSession(client, client.session, timeout);
  };
  await requireOwn(first);
  await requireOwn(first);
  await second.query('begin').catch((error: unknown) => {
    // What PgBouncer says in statement mode.
    if (String(error).includes('statement pooling'))
      throw new SharedSession(second.session?.variable ?? 'DATABASE_URL');
    throw error;
  });
  try {
    await requireOwn(second);
    await requireOwn(first);
  } finally {
    await second.query('rollback').catch(() => undefined); // the connection is gone, and its failure told
  }
}

export interface SessionWatchOptions {
  databaseUrl: string;
  /** Of at least two connections. */
  pool: pg.Pool;
  /** Of all pools of the process. */
  identity: DatabaseIdentity;
  log: Logger;
}

/**
 * Notices within seconds that a pooler was given another mode while the service runs: PgBouncer changes that of connections
 * which stand. Then no connection is used, and the service answers as without a database, until each has its own session
 * again.
 */
export class SessionWatch extends Loop {
  readonly #options: SessionWatchOptions;
  #fault: SharedSession | undefined;

  constructor(options: SessionWatchOptions) {
    super({
      work: () => (this.#fault ? this.#tryAgain() : this.#look()),
      pause: () => INTERVAL,
      onFailed: (error) => {
        if (error instanceof SharedSession) this.#refuse(error);
        else options.log.debug({ err: error }, 'the sessions of the connections could not be checked');
      },
    });
    this.#options = options;
  }

  /** Why no connection is used; undefined while they are. */
  get fault(): string | undefined {
    return this.#fault?.message;
  }

  async #look(): Promise<void> {
    const { pool } = this.#options;
    const taken: pg.PoolClient[] = [];
    // The pool was given our class.
    const take = async () => {
      const client = await pool.connect();
      taken.push(client);
      return client as unknown as DatabaseClient;
    };
    let failed = true;
    try {
      const first = await take();
      if (first.isPooled) await requireOwnSessions(first, await take());
      failed = false;
    } finally {
      for (const client of taken) client.release(failed);
    }
  }

  #refuse(fault: SharedSession): void {
    if (this.#fault) return;
    this.#fault = fault;
    this.#options.log.error(fault.message);
    this.#options.identity.refuse(fault);
  }

  async #tryAgain(): Promise<void> {
    await refuseTransactionPooling(this.#options.databaseUrl, { signal: this.signal });
    this.#fault = undefined;
    this.#options.identity.refuse(undefined);
    this.#options.log.info('each connection to the database has its own session again');
  }
}
