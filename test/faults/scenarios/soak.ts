import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../cluster.ts';
import type { Figure } from '../crash-table.ts';
import { type FaultName, faults, type Scene } from '../faults.ts';
import type { Listener } from '../listener.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { heldMemory, weighable } from './weighing.ts';
import { writePosts } from './write-posts.ts';

const MIB = 1024 * 1024;
/** Between two looks at the node's memory. Milliseconds. */
const SAMPLE_EVERY = 30_000;
/** Between two faults. Milliseconds. */
const FAULT_EVERY = 45_000;
/** What a node must live through without leaving anything behind; those that end it would begin its heap again. */
const survived: FaultName[] = [
  'Redis shut down',
  'CLIENT KILL in Redis',
  'messages of Redis lost, doubled and late',
  'PostgreSQL restarted at once',
  'a backend of PostgreSQL terminated',
  'all backends of PostgreSQL terminated',
  "a node's road to PostgreSQL half-open",
  "a node's road to Redis half-open",
  "a node's road to PostgreSQL cut",
  'slow roads',
  'all client connections cut',
  'client connections half-open',
];
/** Events that a node keeps in memory (`server/log/follower.ts`): were it still filling up, its heap would slope. */
const REMEMBERED = 20_000;
/** Of a post's content, about as the writers write it. Characters. */
const LENGTH = 160;
/** Those who stay for a while, at most. */
const GUESTS = 10;
/** Requests and the sequencer open database connections when they need them: so many more may be open at the end. */
const OPENED_LATER = 16;

interface Sample {
  /** Milliseconds since the beginning. */
  at: number;
  /** Bytes. */
  held: number;
}

/**
 * Hours in small: people write, clients come and go, connections are cut, and Redis, PostgreSQL and the roads to them fail,
 * on one node, for so many seconds. The heap must not slope, and when all have left, sockets, open files and what waits for
 * the database must be back where they were.
 */
export async function soak(
  options: ClusterOptions,
  seed: number,
  seconds: number,
  say: (line: string) => void,
): Promise<Figure[]> {
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), 'tidings-soak-'));
  const heldIn = join(folder, 'held');
  const cluster = await Cluster.start({
    ...options,
    nodes: 1,
    env: { ...options.env, ...weighable(heldIn) },
  });
  const people = new Population(cluster, random);
  const fault = `soak of ${seconds} s`;
  const samples: Sample[] = [];
  try {
    const clients = 30;
    const topical = 8;
    await people.settle({ writers: 4, clients, topical, rate: 20, nervous: 0.05 });
    await writePosts(cluster, people.listener.id, REMEMBERED, LENGTH);
    const filesAtRest = (await metric(cluster, FILES)) - clients - topical;
    people.write();
    const began = Date.now();
    const inflicted = inflict({ cluster, people, random: random.fork() }, began + seconds * 1000);
    inflicted.catch(() => undefined); // told of below
    const guests: Listener[] = [];
    let lookAt = began + SAMPLE_EVERY;
    while (Date.now() - began < seconds * 1000) {
      cluster.front.cut(() => random.chance(0.1));
      const guest = people.join();
      guest.history.present = false;
      await pause(1000);
      // Some stay for a while; no more of them at the end than at the beginning.
      if (random.chance(0.9)) guest.stop();
      else guests.push(guest);
      if (guests.length > GUESTS) guests.shift()?.stop();
      if (Date.now() < lookAt) continue;
      lookAt += SAMPLE_EVERY;
      const held = await heldMemory(cluster.node(0).process, heldIn);
      samples.push({ at: Date.now() - began, held });
      say(`${Math.round((Date.now() - began) / 1000)} s: ${(held / MIB).toFixed(1)} MiB held`);
    }
    say(`${await inflicted} faults`);
    await people.hush();
    people.leave();
    const left = Date.now();
    let rest = await remains(cluster, filesAtRest);
    while (Date.now() - left < 15_000 && rest.some(({ seen, bound }) => seen > bound)) {
      await pause(250);
      rest = await remains(cluster, filesAtRest);
    }
    // The first fifth is warming up.
    const slope = slopeOf(samples.slice(Math.floor(samples.length / 5)));
    return [
      { what: 'slope of the memory that is held, MiB in 10 min', seen: (slope * 600_000) / MIB, bound: 1 },
      ...rest,
      { what: 'all gone after, ms', seen: Date.now() - left, bound: 10_000 },
    ].map((figure) => ({ fault, ...figure }));
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
    await rm(folder, { recursive: true });
  }
}

/** One fault after the other until then. @returns how many */
async function inflict(scene: Scene, until: number): Promise<number> {
  let count = 0;
  for (; Date.now() + FAULT_EVERY < until; count += 1) {
    await pause(FAULT_EVERY);
    await faults[scene.random.pick(survived)].inflict(scene, ['node 0']);
  }
  return count;
}

const FILES = /^process_open_fds (\S+)/m;

/** What is still there. */
async function remains(cluster: Cluster, filesAtRest: number): Promise<Omit<Figure, 'fault'>[]> {
  return [
    {
      what: 'connections left',
      seen: await metric(cluster, /^tidings_connections (\S+)/m),
      bound: 0,
    },
    {
      what: 'open files beyond those at the beginning',
      seen: (await metric(cluster, FILES)) - filesAtRest,
      bound: OPENED_LATER,
    },
    {
      what: 'database connections in use',
      seen: await metric(cluster, /^tidings_pool_connections_in_use (\S+)/m),
      bound: 0,
    },
    {
      what: 'requests that wait for one',
      seen: await metric(cluster, /^tidings_pool_waiting_requests (\S+)/m),
      bound: 0,
    },
    {
      what: 'events behind the log',
      seen: await metric(cluster, /^tidings_follower_lag_events (\S+)/m),
      bound: 0,
    },
  ];
}

async function metric(cluster: Cluster, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${cluster.node(0).process.url}/metrics`)).text();
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`/metrics does not hold ${String(pattern)}`);
  return Number(value);
}

/** Least squares. Bytes in a millisecond. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(samples.map(({ at }) => at));
  const average = mean(samples.map(({ held }) => held));
  const spread = samples.reduce((sum, { at }) => sum + (at - middle) ** 2, 0);
  return samples.reduce((sum, { at, held }) => sum + (at - middle) * (held - average), 0) / spread;
}
