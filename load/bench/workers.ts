import { availableParallelism } from 'node:os';
import { makeAccounts } from '../accounts.ts';
import { drive, requestBytes } from './http-driver.ts';
import { type Line, newLine } from './rounds.ts';
import type { Stage } from './stage.ts';

const CONNECTIONS = 32;
const MILLISECONDS = 5000;

/** What a second worker adds. */
export async function workers(stage: Stage): Promise<Line[]> {
  const line = newLine({
    what: 'GET /posts with 2 workers',
    unit: '/s',
    limit: '1 worker',
    reach: { atLeast: 1.6 },
    notes: [`${availableParallelism()} cores, shared with the database and the driver`],
  });
  const one = await prepare(stage, 1);
  const two = await prepare(stage, 2);
  for (let round = 0; round < stage.rounds; round += 1) {
    line.theirs.push(await one());
    line.ours.push(await two());
  }
  return [line];
}

/** A server with so many workers, warmed up: its requests a second. While the other one is measured it has nothing to do. */
async function prepare(stage: Stage, count: number): Promise<() => Promise<number>> {
  const server = await stage.server(await stage.database(), { WORKERS: String(count) });
  const accounts = await makeAccounts(server.url, CONNECTIONS);
  const requests = accounts.map(({ token }) => requestBytes('GET', '/posts?limit=10', token));
  const next = (connection: number) => requests[connection] ?? Buffer.alloc(0);
  await drive(server.url, CONNECTIONS, MILLISECONDS / 2, next);
  return async () => {
    const { answers, seconds } = await drive(server.url, CONNECTIONS, MILLISECONDS, next);
    return answers / seconds;
  };
}
