import type pg from 'pg';
import { about, Loop } from '../async/loop.ts';
import { withTimeout } from '../async/timeout.ts';
import { cutOff } from '../library-internals/postgres.ts';
import type { Logger } from '../logger.ts';

/** What distinguishes one running database from another. */
interface Identity {
  key: string;
  /** The cluster, with the database and the table in it. A copy on another server may have the same. */
  cluster: string;
  /** Grows with each promotion. */
  timeline: number;
  /** When the server was started, in seconds since 1970. */
  started: number;
}

/**
 * After this time without an answer a database counts as lost, and the process may return to one that it has left.
 * Milliseconds.
 */
const SILENCE = 3000;
/** How long an answer waits for it to be known which database the feed follows. Milliseconds. */
const TIME_LIMIT = 2000;
/** Between two attempts to find that out. Milliseconds. */
const PAUSE = 200;
/** How often a connection is made to see where the address leads, although none has broken. Milliseconds. */
const INTERVAL = 5000;
/** The pause between warnings that the address leads to a database that cannot be used. Milliseconds. */
const WARNING = 60_000;

const REPLACED = 'The database has been replaced';

/** A connection is of no more use. */
function lost(reason: string): Error {
  return Object.assign(new Error(reason), { code: '08006' });
}

/**
 * Which database this process uses. One address may lead to several: a replaced primary that still runs, a copy, two
 * servers behind one name. With requests on one and the feed on another, posts would be acknowledged but never
 * delivered. So:
 *
 * 1. Each new connection, of every pool, is asked where it leads before it is used.
 * 2. Where it leads elsewhere, either the process moves there, and every connection to the database of before is cut at that
 *    moment, or the connection is refused. It moves to a database that supersedes its own (a later timeline, a later start) or
 *    that it has not been on yet; not back to one that it has left, while its own answers. So it moves once.
 * 3. A connection that breaks may be the first sign. Until a new one has shown where the address leads now, no answer of the
 *    database is believed: see `settle`.
 * 4. A name may resolve to another server while all connections last, as after a failover by DNS whose old primary is still
 *    running. So a new connection is made every few seconds to find that out.
 */
export class DatabaseIdentity {
  readonly #connect: (identity: DatabaseIdentity) => Promise<pg.Client>;
  readonly #log: Logger;
  readonly #clients = new Map<pg.Client, Identity>();
  readonly #left = new Set<string>();
  readonly #moved: (() => void)[] = [];
  readonly #loop = new Loop({
    work: () => this.#makeOne(),
    pause: () => about(INTERVAL),
    onFailed: (error) => this.#cannotConnect(error),
  });
  #warnedAt = -Infinity;
  #current: Identity | undefined;
  #heardAt = 0;
  #doubt: Promise<void> | undefined;
  #failing = false;
  #resolveDoubt: () => void = () => undefined;
  #closed = false;
  #refusal: Error | undefined;

  /** @param connect makes a connection that `inspect` has looked at, within two seconds */
  constructor(connect: (identity: DatabaseIdentity) => Promise<pg.Client>, log: Logger) {
    this.#connect = connect;
    this.#log = log;
  }

  onMoved(listener: () => void): void {
    this.#moved.push(listener);
  }

  /** The feed has read the database. */
  heard(): void {
    this.#heardAt = Date.now();
    // No connection can be made, as when the server is full; yet it is the one that the feed reads.
    if (this.#failing) this.#resolveDoubt();
  }

  /** No connection is used for this reason, and those that stand are cut; undefined: they are used again. */
  refuse(reason: Error | undefined): void {
    this.#refusal = reason;
    if (reason) for (const client of this.#clients.keys()) cutOff(client, reason);
  }

  start(): void {
    this.#loop.start(about(INTERVAL));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#resolveDoubt();
    await this.#loop.stop();
  }

  /** @throws if this connection leads to another database than that of this process; it is then not used */
  async inspect(client: pg.Client, timeout: number): Promise<void> {
    if (this.#refusal) throw this.#refusal;
    const found = await identify(client, timeout);
    const current = this.#current;
    if (current && found.key !== current.key) {
      if (!this.#supersedes(found, current)) {
        throw Object.assign(
          new Error(
            'DATABASE_URL leads to two databases: this connection is not on the one that this process uses',
          ),
          { code: '57P03' },
        );
      }
      this.#left.add(current.key);
      this.#left.delete(found.key);
    }
    if (found.key !== current?.key) this.#heardAt = Date.now(); // it has just answered
    this.#current = found;
    this.#clients.set(client, found);
    client.once('end', () => this.#clients.delete(client));
    client.on('error', () => {
      if (this.#clients.get(client)?.key === this.#current?.key) this.#look();
    });
    if (current && found.key !== current.key) this.#move(current, found);
  }

  /**
   * Resolves if this connection's reply came from the database that the feed follows.
   * @throws otherwise, and the connection is cut: what it was asked may have been done, elsewhere
   */
  async settle(client: pg.Client): Promise<void> {
    try {
      if (this.#doubt)
        await withTimeout(TIME_LIMIT, this.#doubt, () =>
          lost('It is not known which database DATABASE_URL leads to'),
        );
      const found = this.#clients.get(client);
      if (found && found.key !== this.#current?.key) throw lost(REPLACED);
    } catch (error) {
      cutOff(client, error as Error);
      throw error;
    }
  }

  #supersedes(found: Identity, current: Identity): boolean {
    if (Date.now() - this.#heardAt > SILENCE) return true;
    if (found.cluster === current.cluster) {
      if (found.timeline !== current.timeline) return found.timeline > current.timeline;
      return found.started > current.started;
    }
    return !this.#left.has(found.key);
  }

  #move(from: Identity, to: Identity): void {
    this.#log.warn(
      { from: from.key, to: to.key },
      'DATABASE_URL leads to another database now; all connections are being replaced',
    );
    const reason = lost(REPLACED);
    for (const [client, found] of this.#clients) if (found.key !== to.key) cutOff(client, reason);
    for (const listener of this.#moved) listener();
  }

  /** Makes a connection to see where the address leads, until there is one. */
  #look(): void {
    if (this.#doubt || this.#closed) return;
    this.#doubt = new Promise((resolve) => {
      this.#resolveDoubt = () => {
        this.#doubt = undefined;
        this.#failing = false;
        resolve();
      };
    });
    void this.#probe();
  }

  async #makeOne(): Promise<void> {
    const client = await this.#connect(this);
    void client.end().catch(() => undefined);
  }

  /** New connections cannot be used; existing ones are kept. */
  #cannotConnect(error: unknown): void {
    const elsewhere = ['57P03', '3F000'].includes((error as { code?: string }).code ?? '');
    const now = performance.now();
    if (!elsewhere || now - this.#warnedAt < WARNING) {
      this.#log.debug({ err: error }, 'where the database is cannot be found out; tried again');
      return;
    }
    this.#warnedAt = now;
    this.#log.warn(
      { err: error },
      'the address of the database now leads to one that cannot be used for new connections; existing connections are kept',
    );
  }

  async #probe(): Promise<void> {
    const doubt = this.#doubt;
    while (this.#doubt === doubt && !this.#closed) {
      try {
        await this.#makeOne();
        if (this.#doubt === doubt) this.#resolveDoubt();
        return;
      } catch (error) {
        if (!this.#failing)
          this.#log.debug({ err: error }, 'the identity of the database could not be read; retrying');
        this.#failing = true;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}

async function identify(client: pg.Client, timeout: number): Promise<Identity> {
  let row: { fingerprint: string; started: string } | undefined;
  try {
    const { rows } = await client.query<{ fingerprint: string; started: string }>({
      text: `select database_fingerprint() as fingerprint, extract(epoch from pg_postmaster_start_time())::text as started`,
      query_timeout: timeout,
    } as pg.QueryConfig);
    row = rows[0];
  } catch (error) {
    const { code = '' } = error as { code?: string };
    // Recovery in progress: a standby. No such function: the schema is being restored.
    if (!['55000', '42883', '42P01', '42703'].includes(code)) throw error;
    throw code === '55000'
      ? Object.assign(new Error('The server is a standby', { cause: error }), { code: '57P03' })
      : Object.assign(new Error('The database does not contain the schema of Tidings', { cause: error }), {
          code: '3F000',
        });
  }
  const { fingerprint = '', started = '' } = row ?? {};
  const [cluster = '', timeline = '', ...place] = fingerprint.split(':');
  return {
    key: `${fingerprint} ${started}`,
    cluster: [cluster, ...place.slice(0, 2)].join(':'),
    timeline: Number.parseInt(timeline, 16),
    started: Number(started),
  };
}
