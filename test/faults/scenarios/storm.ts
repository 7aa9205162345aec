import { setTimeout as pause } from 'node:timers/promises';
import { PublicChain } from '../../../load/public-chain.ts';
import { Cluster, type ClusterOptions, portOf } from '../cluster.ts';
import { headOf } from '../collect.ts';
import type { Figure } from '../crash-table.ts';
import { until } from '../../support/waiting.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { RawClient } from '../raw-client.ts';

/** How long a client of the killed node waits before it comes back, at most: the library's own spread. Milliseconds. */
const SPREAD = 1000;

/**
 * Many clients on three nodes; one node is killed with -9 and its clients come back to the other two at once, each with its
 * position, while people write.
 */
export async function storm(options: ClusterOptions, seed: number, clients: number): Promise<Figure[]> {
  const random = new Random(seed);
  const cluster = await Cluster.start(options);
  const people = new Population(cluster, random);
  const fault = `${clients} clients, one node of three killed`;
  const all: RawClient[] = [];
  const chain = new PublicChain();
  try {
    await people.settle({ writers: 4, clients: 6, topical: 8, rate: 10, nervous: 0 });
    people.write();
    const { token } = people.listener;
    const join = (node: number, from: { after?: number; epoch?: string } = {}) => {
      const client = new RawClient({
        port: portOf(cluster.node(node).process.url),
        token,
        reads: 'all',
        chain,
        ...from,
      });
      all.push(client);
      return client;
    };
    for (let at = 0; at < clients; at += 1) {
      join(at % 3);
      if (at % 50 === 49) await pause(50);
    }
    await until('all clients are greeted', () => all.every((client) => client.readyAt !== undefined), 60_000);

    const lost = all.filter((_, at) => at % 3 === 0);
    const before = await replayReads(cluster);
    const began = Date.now();
    await cluster.node(0).process.kill();
    const back = await Promise.all(
      lost.map(async (client, at) => {
        await pause(random.between(0, SPREAD));
        return join(1 + (at % 2), {
          ...(client.seq === undefined ? {} : { after: client.seq }),
          ...(client.epoch === undefined ? {} : { epoch: client.epoch }),
        });
      }),
    );
    await until('all have resumed', () => back.every((client) => client.readyAt !== undefined), 60_000);
    const resumed = Math.max(...back.map((client) => client.readyAt ?? Infinity)) - began;
    const after = await replayReads(cluster);
    await people.hush();
    await pause(1000);
    const head = (await headOf(cluster)) ?? Infinity;
    return [
      { fault, what: 'all have resumed, ms', seen: resumed, bound: 5000 },
      { fault, what: 'replays that read the database', seen: after - before, bound: 0 },
      { fault, what: 'resets', seen: back.filter(({ outcome }) => outcome === 'reset').length, bound: 0 },
      { fault, what: 'gaps and doubles', seen: all.reduce((sum, { gaps }) => sum + gaps, 0), bound: 0 },
      {
        fault,
        what: 'clients behind the head at rest',
        seen: back.filter(({ seq = 0 }) => seq < head).length,
        bound: 0,
      },
    ];
  } finally {
    for (const client of all) client.close();
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}

/** How many resumes the nodes that run have served from the database rather than from memory, as `/metrics` says. */
async function replayReads(cluster: Cluster): Promise<number> {
  let reads = 0;
  for (const node of cluster.nodes.slice(1)) {
    const text = await (await fetch(`${node.process.url}/metrics`)).text();
    for (const [, count] of text.matchAll(/^\w*resumes\w*\{[^}]*source="log"[^}]*\} (\d+)/gm))
      reads += Number(count);
  }
  return reads;
}
