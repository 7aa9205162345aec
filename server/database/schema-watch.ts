import type pg from 'pg';
import { Loop } from '../async/loop.ts';
import type { Logger } from '../logger.ts';
import { isSchemaAway } from './connection.ts';

/** How often the tables are looked for. Milliseconds. */
const INTERVAL = 250;

/**
 * Tables of the log, or views of them: a newer version may keep them under other names, and then leaves these for the nodes
 * of the version before.
 */
const NAMES = ['event_log', 'event_outbox', 'event_redactions'];

/**
 * Tables, and to which others each refers. `pg_restore` drops primary and foreign keys first and makes them last, when
 * the rows of their table and of the one they refer to are there: in whatever order tables are restored, they are
 * complete when all of these stand. What a key is called does not matter: its owner may have renamed it.
 */
const KEYED: Readonly<Record<string, readonly string[]>> = {
  feed_head: [],
  idempotency_keys: [],
  post_tallies: ['posts'],
  posts: ['users'],
  refresh_tokens: ['sessions'],
  revocations: [],
  sessions: ['users'],
  users: [],
  votes: ['users', 'posts'],
};

const foreignKeys = Object.entries(KEYED).flatMap(([table, others]) =>
  others.map((other) => ({ table, other })),
);

const LOOK = {
  name: 'schema-watch',
  text: `
    select 'the primary key of ' || keyed.name as name from unnest($1::text[]) as keyed (name)
    where not exists (select from pg_constraint c where c.conrelid = to_regclass(keyed.name) and c.contype = 'p')
    union all
    select 'the foreign key from ' || k.name || ' to ' || k.other from unnest($2::text[], $3::text[]) as k (name, other)
    where not exists (
      select from pg_constraint c
      where c.conrelid = to_regclass(k.name) and c.confrelid = to_regclass(k.other) and c.contype = 'f')
    union all
    select name from unnest($4::text[]) as name where to_regclass(name) is null`,
  values: [
    Object.keys(KEYED),
    foreignKeys.map(({ table }) => table),
    foreignKeys.map(({ other }) => other),
    NAMES,
  ],
};

/** Without this row no page has a position, and nothing can be numbered. */
const HEAD = { name: 'head-watch', text: 'select from feed_head', values: [] };

/**
 * Watches whether all tables exist. While a backup is restored, tables are missing or empty: then nothing is read,
 * since a missing session has not ended and an empty list is wrong; and nothing is written, since it would collide with
 * the rows of the backup.
 *
 * It checks at intervals, and at once when a statement has failed for a missing table, before its request is answered.
 */
export class SchemaWatch extends Loop {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #onBack: () => Promise<void>;
  #state: 'there' | 'away' | 'returning' = 'there';
  #look: Promise<void> | undefined;

  /**
   * @param pool connections that are not those of requests
   * @param onBack called when all tables exist again; requests are let in when it resolves
   */
  constructor(pool: pg.Pool, log: Logger, onBack: () => Promise<void>) {
    super({
      work: () => this.#single(),
      pause: () => INTERVAL,
      onFailed: (error) => log.debug({ err: error }, 'could not check whether the tables exist'),
    });
    this.#pool = pool;
    this.#log = log;
    this.#onBack = onBack;
  }

  /** Why nothing can be read or written; undefined if the tables are all there, as far as is known. */
  get absence(): string | undefined {
    return this.#state === 'there'
      ? undefined
      : 'Some tables are missing, as during the restore of a backup.';
  }

  /** @throws while a table is missing, as far as is known: as a statement on it would */
  require(): void {
    const { absence } = this;
    if (absence !== undefined) throw Object.assign(new Error(absence), { code: '3F000' });
  }

  /**
   * Something is not there that might be: looks, from now on, whether that is for lack of the tables or of their rows.
   * @throws while a table is missing: as a statement on it would
   */
  async confirm(): Promise<void> {
    await this.#look; // which may have begun before the read that found nothing
    await this.#single();
    this.require();
  }

  /** Whether a table is missing, as far as is known. */
  get isAway(): boolean {
    return this.#state === 'away';
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.#look;
  }

  /** A statement has failed. Resolves when it is known whether that was for lack of a table. Does not throw. */
  async failed(error: unknown): Promise<void> {
    if (isSchemaAway(error)) await this.#single();
  }

  /** Single-flight: concurrent callers share one check. */
  #single(): Promise<void> {
    this.#look ??= this.#lookNow().finally(() => (this.#look = undefined));
    return this.#look;
  }

  async #lookNow(): Promise<void> {
    try {
      const { rows } = await this.#pool.query<{ name: string }>(LOOK);
      const missing = rows.map(({ name }) => name);
      // Not in one statement, which would fail without the table.
      if (missing.length === 0 && (await this.#pool.query(HEAD)).rows.length === 0)
        missing.push('the row of feed_head');
      this.#found(missing);
    } catch (error) {
      // Without the schema no connection is made. Of a database that does not answer nothing is known.
      if (isSchemaAway(error)) this.#found(['the schema']);
    }
  }

  #found(missing: readonly string[]): void {
    if (missing.length > 0) {
      if (this.#state === 'there')
        this.#log.warn({ missing }, 'some tables are missing: every request is refused until they exist');
      this.#state = 'away';
    } else if (this.#state === 'away') {
      this.#state = 'returning';
      void this.#onBack().then(() => {
        if (this.#state !== 'returning') return;
        this.#state = 'there';
        this.#log.info('all tables exist again');
      });
    }
  }
}
