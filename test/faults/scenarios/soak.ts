import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../cluster.ts';
import type { Figure } from '../crash-table.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';

const MIB = 1024 * 1024;

/**
 * Hours in small: people write, clients come and go, and connections are cut, on one node, for so many seconds. The heap
 * must not slope, and when all have left, sockets must be back at nothing.
 */
export async function soak(
  options: ClusterOptions,
  seed: number,
  seconds: number,
  say: (line: string) => void,
): Promise<Figure[]> {
  const random = new Random(seed);
  const cluster = await Cluster.start({
    ...options,
    nodes: 1,
    env: { ...options.env, NODE_OPTIONS: '--expose-gc' },
  });
  const people = new Population(cluster, random);
  const fault = `soak of ${seconds} s`;
  const samples: { at: number; heap: number }[] = [];
  try {
    await people.settle({ writers: 4, clients: 30, rate: 20, nervous: 0.05 });
    people.write();
    const began = Date.now();
    while (Date.now() - began < seconds * 1000) {
      cluster.front.cut(() => random.chance(0.1));
      const guest = people.join();
      guest.history.present = false;
      await pause(1000);
      if (random.chance(0.9)) guest.stop();
      const heap = await metric(cluster, /^\w*nodejs_heap_size_used_bytes\S* (\S+)/m);
      samples.push({ at: Date.now() - began, heap });
      if (samples.length % 60 === 0)
        say(`${Math.round((Date.now() - began) / 1000)} s: heap ${Math.round(heap / MIB)} MiB`);
    }
    await people.hush();
    people.leave();
    const left = Date.now();
    let connections = Infinity;
    while (Date.now() - left < 15_000 && connections > 0) {
      await pause(250);
      connections = await metric(cluster, /^\w*connections\S* (\S+)/m);
    }
    // The first fifth is warming up.
    const slope = slopeOf(samples.slice(Math.floor(samples.length / 5)));
    return [
      { fault, what: 'heap slope, MiB in 10 min', seen: (slope * 600_000) / MIB, bound: 1 },
      { fault, what: 'connections left', seen: connections, bound: 0 },
      { fault, what: 'all gone after, ms', seen: Date.now() - left, bound: 10_000 },
    ];
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}

async function metric(cluster: Cluster, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${cluster.node(0).process.url}/metrics`)).text();
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`/metrics does not hold ${String(pattern)}`);
  return Number(value);
}

/** Least squares through the lowest of each ten samples: what is left after a collection. Bytes in a millisecond. */
function slopeOf(samples: readonly { at: number; heap: number }[]): number {
  const lows: { at: number; heap: number }[] = [];
  for (let at = 0; at + 10 <= samples.length; at += 10)
    lows.push(samples.slice(at, at + 10).reduce((low, sample) => (sample.heap < low.heap ? sample : low)));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(lows.map(({ at }) => at));
  const average = mean(lows.map(({ heap }) => heap));
  const spread = lows.reduce((sum, { at }) => sum + (at - middle) ** 2, 0);
  return lows.reduce((sum, { at, heap }) => sum + (at - middle) * (heap - average), 0) / spread;
}
