import { availableParallelism } from 'node:os';
import { makeAccounts } from '../accounts.ts';
import { drive, requestBytes } from './http-driver.ts';
import type { Line } from './rounds.ts';
import type { Stage } from './stage.ts';

const CONNECTIONS = 32;
const MILLISECONDS = 5000;

/** What a second worker adds. */
export async function workers(stage: Stage): Promise<Line[]> {
  const line: Line = {
    what: 'GET /posts with 2 workers',
    unit: '/s',
    limit: '1 worker',
    ours: [],
    theirs: [],
    reach: { atLeast: 1.6 },
    notes: [`${availableParallelism()} cores, shared with the database and the driver`],
  };
  for (const [count, figures] of [
    [1, line.theirs],
    [2, line.ours],
  ] as const) {
    const server = await stage.server(await stage.database(), { WORKERS: String(count) });
    try {
      const accounts = await makeAccounts(server.url, CONNECTIONS, () => undefined);
      const requests = accounts.map(({ token }) => requestBytes('GET', '/posts?limit=10', token));
      const next = (connection: number) => requests[connection] ?? Buffer.alloc(0);
      await drive(server.url, CONNECTIONS, MILLISECONDS / 2, next);
      for (let round = 0; round < stage.rounds; round += 1) {
        const { answers, seconds } = await drive(server.url, CONNECTIONS, MILLISECONDS, next);
        figures.push(answers / seconds);
      }
    } finally {
      await server.stop();
    }
  }
  return [line];
}
