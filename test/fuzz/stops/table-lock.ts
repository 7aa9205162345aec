import pg from 'pg';

/** How long others who have the table may take to let it go. Milliseconds. */
const TIME_LIMIT = 2000;

/**
 * Has a table of the service to itself: anyone who reads it waits, at that exact step of what it does. A lock as a
 * migration or an operator takes it, on a connection of its own.
 */
export class TableLock {
  readonly #client: pg.Client;
  readonly #table: string;

  private constructor(client: pg.Client, table: string) {
    this.#client = client;
    this.#table = table;
  }

  static async take(url: string, table: string): Promise<TableLock> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined); // the next statement says so
    await client.connect();
    await client.query(
      `begin; set local lock_timeout = ${TIME_LIMIT}; lock table ${table} in access exclusive mode`,
    );
    return new TableLock(client, table);
  }

  /** How many connections wait for it. */
  async waiting(): Promise<number> {
    const { rows } = await this.#client.query<{ count: number }>(
      'select count(*)::integer from pg_locks where relation = $1::regclass and not granted',
      [this.#table],
    );
    return rows[0]?.count ?? 0;
  }

  async release(): Promise<void> {
    await this.#client.end();
  }
}
