import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../cluster.ts';
import { clientsElsewhere } from '../collect.ts';
import type { Figure } from '../crash-table.ts';
import { CONVERGED_WITHIN } from '../faults.ts';
import type { Listener } from '../listener.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { writePosts } from './write-posts.ts';

const MIB = 1024 * 1024;
const WAITING = 50_000;

/** Many events wait in the outbox for their numbers, as after hours in which nobody numbered. */
export async function backlog(options: ClusterOptions, seed: number): Promise<Figure[]> {
  const cluster = await Cluster.start(options);
  const people = new Population(cluster, new Random(seed));
  const fault = `${WAITING} events in the outbox`;
  try {
    await people.settle({ writers: 1, clients: 4, topical: 8, rate: 1, nervous: 0 });
    const takesAll = ({ history: { view } }: Listener) => !view || view.topics.includes('feed');
    const clients = people.clients.filter(takesAll);
    const memory = await Promise.all(cluster.nodes.map((node) => node.process.memory()));
    await writePosts(cluster, people.listener.id, WAITING);
    const began = Date.now();
    let highest = 0;
    while (
      clients.some((client) => client.history.deliveries.length < WAITING) &&
      Date.now() - began < 90_000
    ) {
      await pause(200);
      const now = await Promise.all(cluster.nodes.map((node) => node.process.memory()));
      highest = Math.max(highest, ...now.map((bytes, at) => bytes - (memory[at] ?? bytes)));
    }
    const took = Date.now() - began;
    const inOrder = await cluster.query<{ wrong: number }>(
      `select count(*)::float8 as wrong from (select outbox_id - lag(outbox_id) over (order by seq) as step from event_log) s where step <= 0`,
    );
    const elsewhere = await clientsElsewhere(cluster, people, CONVERGED_WITHIN);
    const gaps = clients.flatMap(({ history }) =>
      history.deliveries.filter(
        ({ seq }, at) => at > 0 && seq !== (history.deliveries[at - 1]?.seq ?? 0) + 1,
      ),
    );
    return [
      { fault, what: 'all delivered after, ms', seen: took, bound: 30_000 },
      { fault, what: 'memory of a node grows, MiB', seen: highest / MIB, bound: 128 },
      {
        fault,
        what: 'events out of the order of their writing',
        seen: inOrder[0]?.wrong ?? Infinity,
        bound: 0,
      },
      { fault, what: 'gaps and doubles', seen: gaps.length, bound: 0 },
      {
        fault,
        what: 'events not delivered',
        seen: clients.reduce((sum, { history }) => sum + WAITING - history.deliveries.length, 0),
        bound: 0,
      },
      {
        fault,
        what: 'clients that are not at the head',
        seen: elsewhere,
        bound: 0,
      },
      {
        fault,
        what: 'events that came to clients of other topics',
        seen: people.clients
          .filter((client) => !takesAll(client))
          .reduce((sum, { history }) => sum + history.deliveries.length, 0),
        bound: 0,
      },
    ];
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}
