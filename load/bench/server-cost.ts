import type pg from 'pg';
import { exactTimeOf, usageOf } from '../process-usage.ts';

/** Milliseconds of processor time that a process uses while something happens. */
export async function costOf(pid: number, act: () => Promise<unknown>): Promise<number> {
  const before = await usageOf(pid);
  await act();
  return (await usageOf(pid)).cpu - before.cpu;
}

/** What the connections of requests call themselves, those that number, follow and replay, and the one that asks for the position. */
export const REQUESTS = 'tidings';
export const FEED = 'tidings-feed';
export const POSITION = 'tidings-position';

/** The same of the database, in the connections of the service. What one that ended meanwhile has worked is not known. */
export async function databaseCostOf(
  client: pg.Client,
  act: () => Promise<unknown>,
  connections: readonly string[] = [REQUESTS],
): Promise<number> {
  const before = await databaseTimes(client, connections);
  await act();
  const after = await databaseTimes(client, connections);
  return [...after].reduce((sum, [pid, time]) => sum + time - (before.get(pid) ?? 0), 0);
}

/** Milliseconds of processor time that each of the service's connections has taken. */
async function databaseTimes(
  client: pg.Client,
  connections: readonly string[],
): Promise<Map<number, number>> {
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database() and application_name = any ($1)`,
    [connections],
  );
  return new Map(
    await Promise.all(rows.map(async ({ pid }): Promise<[number, number]> => [pid, await exactTimeOf(pid)])),
  );
}
