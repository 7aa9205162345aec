import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PublicChain } from '../../../load/public-chain.ts';
import { Cluster, type ClusterOptions, portOf } from '../cluster.ts';
import { headOf } from '../collect.ts';
import type { Figure } from '../crash-table.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { RawClient, type RawClientOptions } from '../raw-client.ts';
import { Window } from '../window.ts';
import { heldMemory, weighable } from './weighing.ts';
import { writePosts } from './write-posts.ts';

const MIB = 1024 * 1024;
/** The server's timeLimit with a socket beyond its limit, and what is granted on top of it. Milliseconds. */
const ENDED_WITHIN = 20_000;
const RETURN_WITHIN = 60_000;
/** Milliseconds. */
const WEIGHED_EVERY = 800;
/** Posts that are written while they do not read, and the length of each in characters: 8 MB. */
const LONG_POSTS = 800;
const LENGTH = 10_000;
/** What the kernel remembers of a connection that has ended. */
const TIME_WAIT = '06';

/**
 * Clients that read nothing, that read nothing but look alive, and that read a kilobyte a second, beside healthy ones, while
 * long posts are written. Each must be ended with its TCP connection, cost little, and lose nothing.
 */
export async function slow(options: ClusterOptions, seed: number): Promise<Figure[]> {
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), 'tidings-slow-'));
  const heldIn = join(folder, 'held');
  const cluster = await Cluster.start({
    ...options,
    nodes: 1,
    redis: false,
    env: { ...options.env, ...weighable(heldIn) },
  });
  const people = new Population(cluster, random);
  const fault = 'slow clients';
  const { process } = cluster.node(0);
  const sluggards: RawClient[] = [];
  const returned: RawClient[] = [];
  const chain = new PublicChain();
  try {
    await people.settle({ writers: 4, clients: 10, topical: 8, rate: 20, nervous: 0 });
    const { token, id } = people.listener;
    // As many long posts as will be written: what the node remembers of them is not what slow clients cost.
    await writePosts(cluster, id, LONG_POSTS, LENGTH);
    people.write();
    await pause(5000);
    // Weighed as often as later: each time the node collects its garbage twice, which is felt.
    const calmFrom = Date.now();
    let memory = await heldMemory(process, heldIn);
    while (Date.now() < calmFrom + 5000) {
      await pause(WEIGHED_EVERY);
      memory = await heldMemory(process, heldIn);
    }
    const calm = new Window(people, calmFrom, Date.now()).latency.took;
    const join = (reads: RawClientOptions['reads'], count: number) => {
      for (let at = 0; at < count; at += 1) {
        const client = new RawClient({ port: portOf(process.url), token, reads, chain });
        if (reads === 'none' && at % 2 === 1) client.keepAnswering();
        sluggards.push(client);
      }
    };
    join('none', 100);
    join(1000, 20);
    const began = Date.now();
    // Enough bytes to fill every buffer between the node and a client that does not read: 8 MB.
    const flood = (async () => {
      for (let at = 0; at < LONG_POSTS && (await standing(process.url, sluggards)) > 0; at += 1) {
        await fetch(`${process.url}/posts`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ title: `flood-${id}-${at} create`, content: 'x'.repeat(LENGTH) }),
        });
        await pause(30);
      }
    })();
    let highest = memory;
    const deadline = Date.now() + 60_000;
    while (Date.now() < deadline) {
      await pause(WEIGHED_EVERY);
      highest = Math.max(highest, await heldMemory(process, heldIn));
      if ((await standing(process.url, sluggards)) === 0) break;
    }
    const lasted = Date.now() - began;
    await flood;
    const strained = new Window(people, began, Date.now()).latency.took;
    const left = await standing(process.url, sluggards);
    for (const client of sluggards) {
      if (client.seq !== undefined && client.epoch !== undefined)
        returned.push(
          new RawClient({
            port: portOf(process.url),
            token,
            after: client.seq,
            epoch: client.epoch,
            reads: 'all',
            chain,
          }),
        );
    }
    await people.hush();
    // Everything that they did not read is sent once more, 8 MB to each.
    let behind = returned.length;
    for (const end = Date.now() + RETURN_WITHIN; behind > 0 && Date.now() < end;) {
      await pause(100);
      const head = (await headOf(cluster)) ?? Infinity;
      behind = returned.filter(({ seq = 0 }) => seq < head).length;
    }
    return [
      { fault, what: 'connections that still stand', seen: left, bound: 0 },
      {
        fault,
        what: 'the last was ended after, ms',
        seen: left > 0 ? Infinity : lasted,
        bound: ENDED_WITHIN + 30_000,
      },
      { fault, what: 'memory held grows, MiB', seen: (highest - memory) / MIB, bound: 64 },
      { fault, what: "healthy clients' p99, ms", seen: strained, bound: Math.max(50, 2 * calm) },
      {
        fault,
        what: 'gaps after they came back',
        seen: returned.reduce((sum, { gaps }) => sum + gaps, 0),
        bound: 0,
      },
      {
        fault,
        what: 'not at the head after they came back',
        seen: behind,
        bound: 0,
      },
    ];
  } finally {
    for (const client of [...sluggards, ...returned]) client.close();
    people.leave();
    await people.hush();
    await cluster.stop();
    await rm(folder, { recursive: true });
  }
}

/**
 * How many of these clients have a TCP connection at the server's end, in whatever state. From the kernel: who neither reads
 * nor writes does not hear of its end, and one that the server has closed may stand for as long as nobody takes what was
 * written to it. Linux only.
 */
async function standing(url: string, clients: readonly RawClient[]): Promise<number> {
  const here = portOf(url);
  const port = (address = '') => parseInt(address.split(':')[1] ?? '', 16);
  const ports = new Set<number>();
  for (const line of (await readFile('/proc/net/tcp', 'utf8')).split('\n').slice(1)) {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (port(local) === here && state !== TIME_WAIT) ports.add(port(remote));
  }
  return clients.filter((client) => client.port === undefined || ports.has(client.port)).length;
}
