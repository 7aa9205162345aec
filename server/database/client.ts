import pg from 'pg';
import { sendNoOptions, setAddress } from '../library-internals/postgres.ts';
import { type ConnectionConfig, connectionConfig } from '../config/connection-config.ts';
import { ConfirmedClient, type DatabaseClient } from './confirmed-client.ts';
import type { DatabaseIdentity } from './identity.ts';
import { HostChoice, loginOf, requireReadWrite } from './hosts.ts';
import { applySettings } from './session.ts';
import { explainConnectFailure } from '../config/tls.ts';

export interface ClientOptions {
  /** The name in pg_stat_activity, unless DATABASE_URL gives one: then it takes the place of `tidings`. */
  name: string;
  /**
   * Settings of the server that hold on the connection, by name, beside those of session.ts.
   */
  settings?: Readonly<Record<string, string>>;
  /** How long the connection and what is set on it may take. Default: `connect_timeout`. Milliseconds. */
  connectTimeout?: number;
  /** When an answer is given up on this side. Milliseconds. */
  queryTimeout?: number;
  keepAliveDelay?: number;
  /** Of several pools that must lead to one database: looks at each new connection before anyone gets it. */
  identity?: Pick<DatabaseIdentity, 'inspect'>;
  /** Which variable has the address, for messages. Default: DATABASE_URL. */
  variable?: string;
  /** In place of the hosts of the address, whether or not they only read. */
  hosts?: Pick<HostChoice, 'choose' | 'forget'>;
}

/** Process-wide: all pools on one address go to the same of its hosts. */
const choices = new Map<string, HostChoice>();

function choiceOf(databaseUrl: string, config: ConnectionConfig, variable: string): HostChoice {
  const known = choices.get(databaseUrl) ?? new HostChoice(config, variable);
  choices.set(databaseUrl, known);
  return known;
}

/**
 * The connection class of a pool. The address is decided only here; the one that the pool passes is ignored.
 * @throws {DatabaseUrlError}
 */
export function clientClass(
  databaseUrl: string,
  options: ClientOptions,
): new (given?: pg.ClientConfig) => DatabaseClient {
  const config = connectionConfig(databaseUrl);
  const { settings = {}, variable = 'DATABASE_URL' } = options;
  const choice = options.hosts ?? choiceOf(databaseUrl, config, variable);
  const timeout = options.connectTimeout ?? config.connectTimeout;

  class TidingsClient extends ConfirmedClient {
    constructor(given: pg.ClientConfig = {}) {
      super({
        ...loginOf(config),
        ...config.hosts[0],
        application_name: options.name.replace(/^tidings/, config.applicationName ?? 'tidings'),
        connectionTimeoutMillis: timeout,
        keepAlive: true,
        keepAliveInitialDelayMillis: options.keepAliveDelay ?? 0,
        ...(options.queryTimeout === undefined ? {} : { query_timeout: options.queryTimeout }),
        ...(given.types === undefined ? {} : { types: given.types }),
      });
      // A server that greets and shuts down at once may send both in one TCP segment: the pool has no error listener
      // yet, and the error would end the process. The pending query fails, too, and that is reported.
      this.on('error', () => undefined);
      sendNoOptions(this);
    }

    override connect(): Promise<pg.Client>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<pg.Client> | void {
      const opened = this.#open();
      if (!callback) return opened;
      // Outside the promise: what a callback throws is not this connection's failure.
      opened.then(
        () => setImmediate(callback as () => void),
        (error: unknown) => setImmediate(callback, error as Error),
      );
    }

    async #open(): Promise<pg.Client> {
      const host = await choice.choose();
      setAddress(this, host);
      try {
        await super.connect();
      } catch (error) {
        choice.forget(host);
        this.#close();
        throw explainConnectFailure(error, config.ssl !== false);
      }
      try {
        this.opened(await applySettings(this, config.settings, settings, timeout, variable));
        if (config.readWrite && !options.hosts)
          await requireReadWrite(this, timeout).catch((error: unknown) => {
            choice.forget(host);
            throw error;
          });
        await options.identity?.inspect(this, timeout);
      } catch (error) {
        this.#close();
        throw error;
      }
      return this;
    }

    /** This connection has no owner: pools do not end one that they could not open. */
    #close(): void {
      setImmediate(() => void this.end().catch(() => undefined));
    }
  }
  return TidingsClient;
}

/** Opens one connection without a pool. The caller must end it. @throws {DatabaseUrlError} */
export async function connectClient(databaseUrl: string, options: ClientOptions): Promise<DatabaseClient> {
  const client = new (clientClass(databaseUrl, { connectTimeout: 10_000, ...options }))();
  await client.connect();
  return client;
}

/** Uses one connection, and ends it. @throws {DatabaseUrlError} and what connecting and `use` throw */
export async function withConnection<T>(
  databaseUrl: string,
  options: ClientOptions,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connectClient(databaseUrl, options);
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What Sequelize is to connect with: our class in the place of `pg`'s, and the name of the database, which it likes to know. */
export function sequelizeConnection(
  databaseUrl: string,
  options: ClientOptions,
): {
  dialect: 'postgres';
  dialectModule: object;
  database: string;
  keepDefaultTimezone: true;
  dialectOptions: object;
} {
  return {
    dialect: 'postgres',
    dialectModule: { ...pg, Client: clientClass(databaseUrl, options) },
    database: connectionConfig(databaseUrl).database,
    // What Sequelize would set on each connection is set by us.
    keepDefaultTimezone: true,
    dialectOptions: { clientMinMessages: 'ignore' },
  };
}
