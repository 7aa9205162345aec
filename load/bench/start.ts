import { type LocalServer, startProgram } from '../local-server.ts';
import { usageOf } from '../process-usage.ts';
import { newLine, type Line } from './rounds.ts';
import type { Stage } from './stage.ts';

/** Starts in each round: one is over soon. */
const STARTS = 3;

/** The start of a node on a database that is up to date, against that of the libraries alone. */
export async function start(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const wall = newLine({
    what: 'start of a node with nothing to migrate, until it is ready',
    unit: 'ms',
    limit: 'Express, pg and Socket.IO loaded, and one query',
    reach: { atMost: 1.5 },
  });
  const cpu = newLine({ ...wall, what: 'the same, the process alone', unit: 'ms CPU' });
  const begin = {
    ours: () => stage.server(databaseUrl),
    theirs: () => startProgram('./bench/bare-start', { DATABASE_URL: databaseUrl }),
  };
  // The first ones read the files that the others find in memory.
  for (const side of ['ours', 'theirs'] as const) await timed(begin[side]);
  for (let round = 0; round < STARTS * stage.rounds; round += 1)
    for (const side of ['ours', 'theirs'] as const) {
      const found = await timed(begin[side]);
      wall[side].push(found.wall);
      cpu[side].push(found.cpu);
    }
  return [wall, cpu];
}

/** Milliseconds by the clock, and of the process, until a server is ready. */
async function timed(begin: () => Promise<LocalServer>): Promise<{ wall: number; cpu: number }> {
  const began = performance.now();
  const server = await begin();
  const wall = performance.now() - began;
  const { cpu } = await usageOf(server.pid);
  await server.stop();
  return { wall, cpu };
}
