import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../cluster.ts';
import { clientsElsewhere } from '../collect.ts';
import type { Figure } from '../crash-table.ts';
import { CONVERGED_WITHIN } from '../faults.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';

/**
 * The database is replaced by an older backup while clients are connected: what they have seen after it never happened.
 * Each must get `reset` and a new epoch, and none may continue as if its position meant something.
 */
export async function restored(options: ClusterOptions, seed: number): Promise<Figure[]> {
  const cluster = await Cluster.start(options);
  const people = new Population(cluster, new Random(seed));
  const fault = 'an older backup restored';
  try {
    await people.settle({ writers: 4, clients: 12, topical: 8, rate: 20, nervous: 0 });
    people.write();
    await pause(1500);
    await cluster.postgres.backUp();
    await pause(4000);
    const epoch = people.clients[0]?.epoch;
    await cluster.postgres.restore();
    const began = Date.now();
    const told = () =>
      people.clients.filter(({ history }) =>
        history.connections.some(({ ready }) => ready?.outcome === 'reset'),
      );
    while (told().length < people.clients.length && Date.now() - began < 20_000) await pause(20);
    const took = Date.now() - began;
    await pause(2000);
    await people.hush();
    const elsewhere = await clientsElsewhere(cluster, people, CONVERGED_WITHIN);
    const [head] = await cluster.query<{ epoch: string }>('select epoch from feed_head');
    return [
      { fault, what: 'clients that were not told', seen: people.clients.length - told().length, bound: 0 },
      { fault, what: 'all were told after, ms', seen: took, bound: 15_000 },
      {
        fault,
        what: 'clients of the old epoch',
        seen: people.clients.filter((client) => client.epoch === epoch || client.epoch !== head?.epoch)
          .length,
        bound: 0,
      },
      {
        fault,
        what: 'clients that are not at the head',
        seen: elsewhere,
        bound: 0,
      },
    ];
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}
