import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { singleFlight } from '../async/single-flight.ts';
import { sendNoOptions } from '../library-internals/postgres.ts';
import { type ConnectionConfig, type DatabaseHost, describeHost } from '../config/connection-config.ts';
import { applySettings } from './session.ts';
import { explainConnectFailure } from '../config/tls.ts';

/** The delay between the attempts to two hosts. Milliseconds. */
const HEAD_START = 250;

/**
 * Which of several hosts is connected to. `pg` knows one. All connections of the process go to the same, until it refuses
 * one of them: two pools that choose for themselves could be on two servers.
 */
export class HostChoice {
  readonly #config: ConnectionConfig;
  readonly #variable: string;
  #chosen: DatabaseHost | undefined;
  readonly #ask = singleFlight(() => this.#askAll());

  /** @param variable which has the address, for messages */
  constructor(config: ConnectionConfig, variable: string) {
    this.#config = config;
    this.#variable = variable;
    // With a single host, nothing is probed beforehand.
    if (config.hosts.length === 1) this.#chosen = config.hosts[0];
  }

  async choose(): Promise<DatabaseHost> {
    return this.#chosen ?? this.#ask();
  }

  /** A connection to it has failed, or it turned out to be a server that only reads. */
  forget(host: DatabaseHost): void {
    if (this.#config.hosts.length > 1 && this.#chosen === host) this.#chosen = undefined;
  }

  /** Asks all hosts, the earlier ones a little earlier, so that one that does not answer costs the others no time. */
  async #askAll(): Promise<DatabaseHost> {
    const decided = new AbortController();
    try {
      this.#chosen = await Promise.any(
        this.#config.hosts.map(async (host, index) => {
          await sleep(index * HEAD_START, undefined, { signal: decided.signal });
          await ask(this.#config, host, this.#variable);
          return host;
        }),
      );
      return this.#chosen;
    } catch (error) {
      const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
      const reasons = errors.map((one, index) => {
        const host = this.#config.hosts[index];
        return `${host ? describeHost(host) : ''}: ${one instanceof Error ? one.message || one.name : String(one)}`;
      });
      const none = `No host of ${this.#variable} accepts ${this.#config.readWrite ? 'a read-write connection' : 'a connection'}`;
      throw Object.assign(new Error(`${none} (${reasons.join('; ')})`, { cause: error }), {
        code: (errors[0] as { code?: string }).code ?? 'ECONNREFUSED',
      });
    } finally {
      decided.abort();
    }
  }
}

async function ask(config: ConnectionConfig, host: DatabaseHost, variable: string): Promise<void> {
  const client = new pg.Client({
    ...loginOf(config),
    ...host,
    connectionTimeoutMillis: config.connectTimeout,
  });
  sendNoOptions(client);
  client.on('error', () => undefined); // what was asked fails as well, and that is what is reported
  try {
    await client.connect();
    if (config.readWrite) {
      await applySettings(client, config.settings, {}, config.connectTimeout, variable);
      await requireReadWrite(client, config.connectTimeout);
    }
  } catch (error) {
    throw explainConnectFailure(error, config.ssl !== false);
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** @throws with SQLSTATE 25006 on a server that only reads */
export async function requireReadWrite(client: pg.Client, timeout: number): Promise<void> {
  const { rows } = await client.query<{ transaction_read_only: string }>({
    text: 'show transaction_read_only',
    query_timeout: timeout,
  } as pg.QueryConfig);
  if (rows[0]?.transaction_read_only !== 'off')
    throw Object.assign(new Error('the server is read-only'), { code: '25006' });
}

/** One host, whatever becomes of it. */
export function only(host: DatabaseHost): Pick<HostChoice, 'choose' | 'forget'> {
  return { choose: () => Promise.resolve(host), forget: () => undefined };
}

/** The options for `pg`, without the host. */
export function loginOf(config: ConnectionConfig): pg.ClientConfig {
  const { user, database, password, ssl, sslnegotiation, enableChannelBinding } = config;
  return {
    user,
    database,
    ssl,
    sslnegotiation,
    enableChannelBinding,
    ...(password === undefined ? {} : { password }),
  };
}
