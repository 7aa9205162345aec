import { QueryTypes } from 'sequelize';
import { about, Loop } from '../async/loop.ts';
import type { Database } from '../database/connection.ts';
import type { Logger } from '../logger.ts';
import { Seal } from './seal.ts';

/** Rows that are read together. */
const PAGE = 500;
/** How often to check: a node that seals with an older secret may be the last to be restarted. Milliseconds. */
const INTERVAL = 5 * 60_000;
/** Before the first key of each type. */
const FIRST = { bigint: '-1', uuid: '00000000-0000-0000-0000-000000000000' } as const;

/** A column that holds sealed values. */
export interface SealedColumn {
  /** What it holds, in the plural. */
  what: string;
  table: string;
  /** The primary key. */
  key: string;
  type: keyof typeof FIRST;
  column: string;
  /** What it is sealed for. */
  purpose: string;
  /** In SQL: which rows are still needed. */
  needed: string;
}

interface SealedRow {
  key: string;
  sealed: Buffer;
}

/** Reads a column from its first row to its last, some at a time. */
export async function* sealedPages(
  { table, key, type, column, needed }: SealedColumn,
  query: (sql: string, bind: unknown[]) => Promise<SealedRow[]>,
): AsyncGenerator<SealedRow[]> {
  let after: string = FIRST[type];
  let rows;
  do {
    rows = await query(
      `select ${key}::text as key, ${column} as sealed from ${table}
       where ${key} > $1::${type} and ${column} is not null and ${needed} order by ${table}.${key} limit ${PAGE}`,
      [after],
    );
    yield rows;
    after = rows.at(-1)?.key ?? after;
  } while (rows.length === PAGE);
}

export interface ResealingOptions {
  db: Database;
  /** Of the service, the newest first. With one alone there is nothing to do. */
  secrets: readonly string[];
  columns: readonly SealedColumn[];
  /** Asked each time. */
  mayWrite: () => boolean;
  log: Logger;
}

/** Seals with the newest secret of the service what an older one has sealed, so that the older one can go. */
export class Resealing extends Loop {
  readonly #options: ResealingOptions;

  constructor(options: ResealingOptions) {
    const { log, mayWrite } = options;
    super({
      work: () => (mayWrite() ? this.sealAnew() : Promise.resolve()),
      pause: () => about(INTERVAL),
      onFailed: (error) => log.debug({ err: error }, 'secrets could not be sealed anew; retrying'),
    });
    this.#options = options;
  }

  override start(): void {
    if (this.#options.secrets.length > 1) super.start();
  }

  /** One round over all columns, with pauses as long as the work. */
  async sealAnew(): Promise<void> {
    const { columns, log, secrets } = this.#options;
    for (const column of columns) {
      const seal = new Seal(secrets, column.purpose);
      let count = 0;
      let began = performance.now();
      for await (const rows of sealedPages(column, (sql, bind) => this.#query<SealedRow>(sql, bind))) {
        count += await this.#sealPage(column, seal, rows);
        await this.sleep(performance.now() - began);
        if (this.signal.aborted) return;
        began = performance.now();
      }
      if (count > 0) log.info({ what: column.what, count }, 'sealed anew with the newest JWT_SECRET');
    }
  }

  /** @returns how many have been sealed anew */
  async #sealPage(
    { table, key, type, column }: SealedColumn,
    seal: Seal,
    rows: readonly SealedRow[],
  ): Promise<number> {
    const old = rows.flatMap((row) => {
      const text = seal.isNewest(row.sealed) ? undefined : seal.open(row.sealed);
      return text === undefined ? [] : [{ ...row, anew: seal.close(text) }];
    });
    if (old.length === 0) return 0;
    // What somebody changes at this moment is left for the next round.
    const written = await this.#query(
      `with due as (
         select t.${key}, n.anew
         from unnest($1::${type}[], $2::bytea[], $3::bytea[]) as n (key, sealed, anew)
         join ${table} t on t.${key} = n.key and t.${column} = n.sealed
         order by t.${key} for no key update of t skip locked)
       update ${table} t set ${column} = due.anew from due where t.${key} = due.${key} returning 1`,
      [old.map((row) => row.key), old.map((row) => row.sealed), old.map((row) => row.anew)],
    );
    return written.length;
  }

  #query<T extends object>(sql: string, bind: unknown[]): Promise<T[]> {
    return this.#options.db.share('service').query<T>(sql, { type: QueryTypes.SELECT, bind });
  }
}
