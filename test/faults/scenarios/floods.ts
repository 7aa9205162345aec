import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../../support/raw-client.ts';
import type { TestUser } from '../../support/world.ts';
import { Cluster, type ClusterOptions, portOf } from '../cluster.ts';
import type { Figure } from '../crash-table.ts';
import { percentile } from '../percentile.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { Window } from '../window.ts';

/** How long each flood lasts, and the calm that it is compared with. Milliseconds. */
const LASTS = 6000;
/** A flood's rounds are this far apart. Milliseconds. */
const ROUND = 100;
/** Below this nobody notices, and a busy machine makes it by itself. Milliseconds. */
const UNNOTICED = 50;
const CONNECTIONS_END_WITHIN = 20_000;

interface Target {
  url: string;
  flooder: TestUser;
  /** Ended when the flood is over. */
  clients: RawClient[];
}

/** What is done in each round, the first of which has the number 0. */
type Flood = (target: Target, round: number) => void;

const login = ({ url }: Target, username: string): void =>
  void fetch(`${url}/login`, {
    method: 'POST',
    body: new URLSearchParams({ username, password: 'not the password' }),
    signal: AbortSignal.timeout(LASTS),
  })
    .then((answer) => answer.arrayBuffer())
    .catch(() => undefined);

/** A piece of HTTP that the other side may do with what it likes. */
function say({ url }: Target, text: string): void {
  const tcp = connect(portOf(url), '127.0.0.1', () => tcp.write(text));
  tcp.on('error', () => undefined).setTimeout(CONNECTIONS_END_WITHIN, () => tcp.destroy());
  tcp.resume();
}

/** Joins with the flooder's token, then does this whenever it is let in. */
function join(target: Target, then: (client: RawClient) => void): void {
  const client = new RawClient(target.url);
  target.clients.push(client);
  client.ws.on('open', () =>
    client.send(`40${JSON.stringify({ token: target.flooder.token, tallies: 'none' })}`),
  );
  client.ws.on('message', () => {
    if (client.frames.at(-1)?.startsWith('42["ready"')) then(client);
  });
}

/** Sends it so often a second for as long as the connection stands. */
function repeat(client: RawClient, perSecond: number, frame: string): void {
  const timer = setInterval(() => {
    if (client.closed) clearInterval(timer);
    else for (let left = perSecond / 10; left > 0; left -= 1) client.send(frame);
  }, 100);
}

const floods: Record<string, Flood> = {
  '200 handshakes a second with a bad token': (target) => {
    for (let left = 20; left > 0; left -= 1) {
      const client = new RawClient(target.url);
      target.clients.push(client);
      client.ws.on('open', () => client.send('40{"token":"garbage"}'));
    }
  },
  '100 connections a second, let in and left': (target) => {
    for (let left = 10; left > 0; left -= 1) join(target, (client) => client.terminate());
  },
  '50 connections a second, each with a hundred CONNECT packets': (target) => {
    for (let left = 5; left > 0; left -= 1) {
      const client = new RawClient(target.url);
      target.clients.push(client);
      const frame = `40${JSON.stringify({ token: target.flooder.token })}`;
      client.ws.on('open', () => Array.from({ length: 100 }, () => client.send(frame)));
    }
  },
  '1,000 connections that never say who they are': (target, round) => {
    for (let left = round < 50 ? 20 : 0; left > 0; left -= 1) target.clients.push(new RawClient(target.url));
  },
  '20 sockets that say 500 messages a second': (target, round) => {
    if (round < 20) join(target, (client) => repeat(client, 500, '42["feed:mode",{"mode":"live"}]'));
  },
  '20 sockets that track 500 posts twenty times a second': (target, round) => {
    const ids = JSON.stringify(Array.from({ length: 500 }, (_, at) => at + 1));
    if (round < 20) join(target, (client) => repeat(client, 20, `427["track",{"post_ids":${ids}}]`));
  },
  '100 requests that never end': (target, round) => {
    if (round < 10)
      for (let left = 10; left > 0; left -= 1) say(target, 'GET /posts HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  },
  '200 headers of 20 kB a second': (target) => {
    for (let left = 20; left > 0; left -= 1)
      say(target, `GET /posts HTTP/1.1\r\nHost: x\r\nX-Huge: ${'x'.repeat(20_000)}\r\n\r\n`);
  },
  '200 logins at once': (target, round) => {
    if (round === 0) for (let at = 0; at < 200; at += 1) login(target, `nobody${at}@example.org`);
  },
};

/**
 * Each flood against a node with its limits on, with and without Redis, while others write, listen and read: what they feel
 * of it, beside the calm before it, and whether the flooder's connections end.
 */
export async function floodsOf(options: ClusterOptions, seed: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const redis of [false, true]) {
    const cluster = await Cluster.start({
      ...options,
      nodes: 1,
      redis,
      direct: true,
      env: { RATE_LIMITS: 'on', BCRYPT_COST: '12' },
    });
    const people = new Population(cluster, new Random(seed));
    try {
      await people.settle({ writers: 4, clients: 20, rate: 20, nervous: 0 });
      people.write();
      const { url } = cluster.node(0).process;
      const flooder = people.outsider;
      for (const [name, flood] of Object.entries(floods)) {
        const fault = `${name}, ${redis ? 'with' : 'without'} Redis`;
        const calm = await watch(people, url, () => pause(LASTS));
        const target: Target = { url, flooder, clients: [] };
        const strained = await watch(people, url, async () => {
          for (let round = 0; round < LASTS / ROUND; round += 1) {
            flood(target, round);
            await pause(ROUND);
          }
        });
        for (const client of target.clients) client.terminate();
        await pause(2000);
        figures.push(
          {
            fault,
            what: "listeners' p99, ms",
            seen: strained.feed,
            bound: Math.max(UNNOTICED, 2 * calm.feed),
          },
          { fault, what: "readers' p99, ms", seen: strained.read, bound: Math.max(UNNOTICED, 2 * calm.read) },
          { fault, what: 'listeners disconnected', seen: strained.disturbed, bound: 0 },
          { fault, what: 'reads refused', seen: strained.refused, bound: 0 },
          { fault, what: 'nodes that ended', seen: cluster.node(0).process.running ? 0 : 1, bound: 0 },
        );
      }
    } finally {
      people.leave();
      await people.hush();
      await cluster.stop();
    }
  }
  return figures;
}

/** What those feel who do nothing wrong, while this goes on. Milliseconds, of the slowest hundredth. */
async function watch(
  people: Population,
  url: string,
  during: () => Promise<void>,
): Promise<{ feed: number; read: number; disturbed: number; refused: number }> {
  const began = Date.now();
  const reads: number[] = [];
  let refused = 0;
  let over = false;
  const reading = (async () => {
    while (!over) {
      const asked = performance.now();
      const answer = await fetch(`${url}/posts`, {
        headers: { authorization: `Bearer ${people.listener.token}` },
        signal: AbortSignal.timeout(10_000),
      });
      await answer.arrayBuffer();
      if (answer.status === 200) reads.push(performance.now() - asked);
      else refused += 1;
      await pause(20);
    }
  })();
  await during();
  over = true;
  await reading;
  const window = new Window(people, began, Date.now());
  return {
    feed: window.latency.took,
    read: percentile(reads, 0.99),
    disturbed: window.disturbed.length,
    refused,
  };
}
