import { extname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeAccounts } from '../accounts.ts';
import { usageOf } from '../process-usage.ts';
import { startBare } from './bare.ts';
import { Crowd } from './crowd.ts';
import { keptBy } from './kept-memory.ts';
import { follow, makeMembers } from './members.ts';
import { type Line, newLine } from './rounds.ts';
import type { Stage } from './stage.ts';

const SOCKETS = 15_000;
/** Of those with `home`, and of their followees. */
const HOMES = 5000;
const FOLLOWEES = 200;
/** How long the connections stand before memory is looked at: longer than until the first ping. Milliseconds. */
const REST = 15_000;
/** Lets the bench ask for a garbage collection: without one, memory tells of what has been forgotten too. */
const preloaded = new URL(`./collect-garbage${extname(import.meta.filename)}`, import.meta.url);
const COLLECTABLE = ['--expose-gc', `--import=${preloaded.href}`];

interface Found {
  /** Bytes, and milliseconds of processor time, per connection; milliseconds by the clock. */
  memory: number;
  /** Bytes on the heap and beside it, per connection: what the allocator keeps for later is not in it. */
  kept: number;
  cpu: number;
  wall: number;
}

/** What an idle connection keeps and what it costs to let one in, with 15,000 on one process. */
export async function connections(stage: Stage): Promise<Line[]> {
  const sockets = Math.ceil(SOCKETS / stage.scale);
  const ours: Found[] = [];
  const theirs: Found[] = [];
  for (let round = 0; round < Math.min(stage.rounds, 2); round += 1) {
    const bare = await startBare('feed', { nodeOptions: COLLECTABLE });
    try {
      theirs.push(await fill(bare.url, bare.pid, ['none'], sockets));
    } finally {
      await bare.stop();
    }
    const server = await stage.server(
      await stage.database(),
      { MAX_CONNECTIONS: String(sockets) },
      COLLECTABLE,
    );
    try {
      const accounts = await makeAccounts(server.url, 20);
      const tokens = accounts.map((account) => account.token);
      ours.push(await fill(server.url, server.pid, tokens, sockets));
    } finally {
      await server.stop();
    }
  }
  const wall = (all: Found[]) => all.map((found) => found.wall.toFixed(2)).join(', ');
  return [
    {
      what: 'memory per idle authenticated connection',
      unit: 'kB',
      limit: 'a bare ws connection',
      ours: ours.map((found) => found.memory / 1024),
      theirs: theirs.map((found) => found.memory / 1024),
      reach: { atMost: 1.3 },
      notes: [`${sockets} on one process, resident memory after a garbage collection`],
    },
    {
      what: 'server CPU to accept and authenticate a connection',
      unit: 'ms',
      limit: 'a bare ws upgrade',
      ours: ours.map((found) => found.cpu),
      theirs: theirs.map((found) => found.cpu),
      reach: { atMost: 1.8 },
      notes: [
        `by the clock, 100 at once: ${wall(ours)} ms each, bare ${wall(theirs)} ms`,
        'what those who stand already cost meanwhile, measured at rest, is taken off',
      ],
    },
  ];
}

/** @param topics what they subscribe to; without it, everything public */
async function fill(
  url: string,
  pid: number,
  tokens: string[],
  sockets: number,
  topics?: readonly string[],
): Promise<Found> {
  // What the first connections load and compile is no connection's cost.
  await (await Crowd.gather(url, tokens, Math.min(200, sockets), { topics })).end();
  const keptBefore = await collect(pid);
  const before = await usageOf(pid);
  const began = performance.now();
  const crowd = await Crowd.gather(url, tokens, sockets, { topics });
  try {
    const wall = (performance.now() - began) / sockets;
    const full = await usageOf(pid);
    await pause(REST);
    const rested = await usageOf(pid);
    const kept = await collect(pid);
    const after = await usageOf(pid);
    // Pings and beacons to those who were there already, half of them on average, are no part of letting one in.
    const standing = (((rested.cpu - full.cpu) / REST) * wall * sockets) / 2;
    return {
      memory: (after.memory - before.memory) / sockets,
      kept: (kept - keptBefore) / sockets,
      cpu: (full.cpu - before.cpu - standing) / sockets,
      wall,
    };
  } finally {
    await crowd.end();
  }
}

/** What a connection keeps for `home`, beyond one that takes everything. */
export async function homeMemory(stage: Stage): Promise<Line[]> {
  const sockets = Math.ceil(HOMES / stage.scale);
  const line = newLine({
    what: `memory per connection with home of ${FOLLOWEES} followees, beyond one that takes everything`,
    unit: 'kB',
    reach: { atMost: 1.5 },
    notes: [
      `${sockets} on one process, of as many users; on the heap and beside it after a garbage collection`,
      'resident memory, in which the allocator keeps some for later, differs by kilobytes from one run to the next',
    ],
  });
  for (let round = 0; round < Math.min(stage.rounds, 2); round += 1) {
    const found: Found[] = [];
    for (const topics of [['home'], undefined]) {
      const databaseUrl = await stage.database();
      const authors = await makeMembers(databaseUrl, 2 * FOLLOWEES);
      const listeners = await makeMembers(databaseUrl, sockets);
      await follow(databaseUrl, listeners, authors, FOLLOWEES);
      const server = await stage.server(databaseUrl, { MAX_CONNECTIONS: String(2 * sockets) }, COLLECTABLE);
      try {
        const tokens = listeners.map(({ token }) => token);
        found.push(await fill(server.url, server.pid, tokens, sockets, topics));
      } finally {
        await server.stop();
      }
    }
    const of = (what: 'kept' | 'memory') => found.map((one) => one[what] / 1024);
    const [homes = NaN, everyone = NaN] = of('kept');
    line.ours.push(homes - everyone);
    line.notes.push(
      `round ${round + 1}: kept ${inKilobytes(of('kept'))}; resident ${inKilobytes(of('memory'))}`,
    );
  }
  return [line];
}

const inKilobytes = (figures: number[]) => figures.map((one) => `${one.toFixed(2)} kB`).join(' and ');

/** @returns what the process keeps. Bytes */
async function collect(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR2');
  await pause(2000);
  return keptBy(pid);
}
