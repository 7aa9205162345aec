import type pg from 'pg';

/** What the service holds at one time. */
export interface Sample {
  /** Milliseconds since the beginning. */
  at: number;
  /** Of each node: resident and JavaScript memory in bytes, and open files. */
  nodes: { resident: number; heap: number; files: number }[];
  /** Bytes of all tables with what belongs to them, and of all indexes. */
  tables: number;
  indexes: number;
  /** The largest tables, in bytes, with the share of their rows that is dead. */
  largest: { name: string; bytes: number; indexBytes: number; rows: number; dead: number }[];
  /** Bytes of the write-ahead log since the database server was made. */
  wal: number;
}

const METRICS = {
  resident: /^process_resident_memory_bytes (\S+)/m,
  heap: /^nodejs_heap_size_used_bytes (\S+)/m,
  files: /^process_open_fds (\S+)/m,
};

export async function take(urls: readonly string[], database: pg.Client, began: number): Promise<Sample> {
  const nodes = await Promise.all(
    urls.map(async (url) => {
      const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(30_000) });
      const text = await answer.text();
      const value = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
      return { resident: value(METRICS.resident), heap: value(METRICS.heap), files: value(METRICS.files) };
    }),
  );
  const { rows: largest } = await database.query<Sample['largest'][number]>(
    `select relname as name, pg_table_size(relid)::float8 as bytes, pg_indexes_size(relid)::float8 as "indexBytes",
       n_live_tup::float8 as rows, n_dead_tup::float8 as dead
     from pg_stat_user_tables order by pg_total_relation_size(relid) desc`,
  );
  const { rows: wal } = await database.query<{ bytes: number }>(
    `select (pg_current_wal_lsn() - '0/0')::float8 as bytes`,
  );
  const sum = (of: (table: Sample['largest'][number]) => number) =>
    largest.reduce((all, one) => all + of(one), 0);
  return {
    at: Date.now() - began,
    nodes,
    tables: sum(({ bytes }) => bytes),
    indexes: sum(({ indexBytes }) => indexBytes),
    largest: largest.slice(0, 8),
    wal: wal[0]?.bytes ?? Number.NaN,
  };
}
