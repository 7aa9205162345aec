import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../cluster.ts';
import type { Figure } from '../crash-table.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { Window } from '../window.ts';

/** How long the nodes live without the Redis that they were told of. Milliseconds. */
const WITHOUT = 10_000;

/**
 * Redis is not there when the nodes start, and comes later: they serve from the first moment, and take the fast path
 * when it is there.
 */
export async function redisLate(options: ClusterOptions, seed: number): Promise<Figure[]> {
  const cluster = await Cluster.start({ ...options, redisAtStart: false });
  const people = new Population(cluster, new Random(seed));
  const fault = 'Redis never there at start';
  try {
    await people.settle({ writers: 8, clients: 24, topical: 12, rate: 40, nervous: 0 });
    people.write();
    const began = Date.now();
    await pause(WITHOUT);
    const without = new Window(people, began, Date.now());
    await cluster.redis?.restart();
    const there = Date.now();
    // A client of Redis asks again after two seconds at most.
    await pause(5000);
    const settled = Date.now();
    await pause(5000);
    const fast = new Window(people, settled, Date.now());
    const whole = new Window(people, began, Date.now());
    await people.hush();
    return [
      { fault, what: 'clients disconnected', seen: whole.cutOff.length, bound: 0 },
      { fault, what: 'p99 from answer to delivery without it, ms', seen: without.latency.took, bound: 1500 },
      {
        fault,
        what: 'p99 from answer to delivery when it has come, ms',
        seen: new Window(people, there, settled).latency.took,
        bound: 1500,
      },
      {
        fault,
        what: 'p99 on the fast road, of that without it',
        seen: fast.latency.took / without.latency.took,
        bound: 1,
      },
      {
        fault,
        what: 'nodes that ended',
        seen: cluster.nodes.filter(({ process }) => !process.running).length,
        bound: 0,
      },
    ];
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}
