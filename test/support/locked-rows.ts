import { until } from './waiting.ts';
import type { Answer, World } from './world.ts';

export interface DuringLock<T> {
  /** Locks rows. */
  lock: string;
  /** Sends a request that waits for them. */
  send: () => Promise<Answer<T>>;
  /** What is changed in the transaction that holds the lock, once the request waits. */
  then: string;
}

/** Changes rows while a request waits for them. @returns the answer to the request */
export async function duringLock<T>(world: World, { lock, send, then }: DuringLock<T>): Promise<Answer<T>> {
  const client = await world.pool.connect();
  try {
    await client.query('begin');
    await client.query(lock);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const answered = send();
    answered.catch(() => undefined);
    await until('the request to wait for the lock', async () => {
      // Not by the one that holds it: in one transaction the list of sessions stays as it was.
      const waiting = await world.pool.query(
        'select 1 from pg_stat_activity where $1 = any (pg_blocking_pids(pid))',
        [rows[0]?.pid],
      );
      return waiting.rows.length > 0;
    });
    await client.query(then);
    await client.query('commit');
    return await answered;
  } finally {
    client.release();
  }
}
