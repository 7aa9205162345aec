import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../../support/raw-client.ts';
import type { NodeProcess } from '../../support/node-process.ts';
import type { TestUser } from '../../support/world.ts';
import { Cluster, type ClusterOptions, portOf } from '../cluster.ts';
import type { Figure } from '../crash-table.ts';
import { percentile } from '../percentile.ts';
import { Population } from '../population.ts';
import { Random } from '../random.ts';
import { Window } from '../window.ts';

const MIB = 1024 * 1024;
/** How long each flood lasts, and the calm that it is compared with. Milliseconds. */
const LASTS = 6000;
/** A flood's rounds are this far apart. Milliseconds. */
const ROUND = 100;
/** Below this nobody notices, and a busy machine makes it by itself. Milliseconds. */
const UNNOTICED = 50;
const CONNECTIONS_END_WITHIN = 20_000;
/** What a flood may add to the node's memory, before V8 has looked what of it is still needed. Bytes. */
const MEMORY = 64 * MIB;

interface Target {
  url: string;
  flooder: TestUser;
  /** Left to the node to end; what still stands long after the flood is ended by us. */
  clients: RawClient[];
  /** Bare TCP connections that still stand. */
  standing: Set<Socket>;
}

interface Flood {
  /** What is done in each round, the first of which has the number 0. */
  act: (target: Target, round: number) => void;
  /** The series of `/metrics` in which its refusals are counted; none where it keeps within the limits. */
  counted: RegExp | undefined;
}

const login = ({ url }: Target, username: string): void =>
  void fetch(`${url}/login`, {
    method: 'POST',
    body: new URLSearchParams({ username, password: 'not the password' }),
    signal: AbortSignal.timeout(LASTS),
  })
    .then((answer) => answer.arrayBuffer())
    .catch(() => undefined);

/** A piece of HTTP that the other side may do with what it likes. */
function say({ url, standing }: Target, text: string): void {
  const tcp = connect(portOf(url), '127.0.0.1', () => tcp.write(text));
  standing.add(tcp);
  tcp.on('error', () => undefined).on('close', () => standing.delete(tcp));
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
  '200 handshakes a second with a bad token': {
    act: (target) => {
      for (let left = 20; left > 0; left -= 1) {
        const client = new RawClient(target.url);
        target.clients.push(client);
        client.ws.on('open', () => client.send('40{"token":"garbage"}'));
      }
    },
    counted: /^tidings_handshakes_refused_total\{reason="unauthorized"\} (\d+)/m,
  },
  '100 connections a second, let in and left': {
    act: (target) => {
      for (let left = 10; left > 0; left -= 1) join(target, (client) => client.terminate());
    },
    counted: undefined,
  },
  '50 connections a second, each with a hundred CONNECT packets': {
    act: (target) => {
      for (let left = 5; left > 0; left -= 1) {
        const client = new RawClient(target.url);
        target.clients.push(client);
        const frame = `40${JSON.stringify({ token: target.flooder.token })}`;
        client.ws.on('open', () => Array.from({ length: 100 }, () => client.send(frame)));
      }
    },
    counted: /^tidings_handshakes_refused_total\{reason="second_connect"\} (\d+)/m,
  },
  '1,000 connections that never say who they are': {
    act: (target, round) => {
      for (let left = round < 50 ? 20 : 0; left > 0; left -= 1)
        target.clients.push(new RawClient(target.url));
    },
    counted: undefined,
  },
  '20 sockets that say 500 messages a second': {
    act: (target, round) => {
      if (round < 20) join(target, (client) => repeat(client, 500, '42["feed:mode",{"mode":"live"}]'));
    },
    counted: /^tidings_sessions_closed_total\{code="flooding"\} (\d+)/m,
  },
  '20 sockets that track 500 posts as often as they may': {
    act: (target, round) => {
      const ids = JSON.stringify(Array.from({ length: 500 }, (_, at) => at + 1));
      // It keeps within what one connection may say: only we end it.
      if (round < 20)
        join(target, (client) => {
          repeat(client, 20, `427["track",{"post_ids":${ids}}]`);
          setTimeout(() => client.terminate(), LASTS);
        });
    },
    counted: undefined,
  },
  '100 requests that never end': {
    act: (target, round) => {
      if (round < 10)
        for (let left = 10; left > 0; left -= 1)
          say(target, 'GET /posts HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    },
    counted: /^tidings_requests_malformed_total\{status="408"\} (\d+)/m,
  },
  '100 bodies that never end': {
    act: (target, round) => {
      const head = `POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{`;
      if (round < 10) for (let left = 10; left > 0; left -= 1) say(target, head);
    },
    counted: /^tidings_requests_malformed_total\{status="408"\} (\d+)/m,
  },
  '200 headers of 20 kB a second': {
    act: (target) => {
      for (let left = 20; left > 0; left -= 1)
        say(target, `GET /posts HTTP/1.1\r\nHost: localhost\r\nX-Huge: ${'x'.repeat(20_000)}\r\n\r\n`);
    },
    counted: /^tidings_requests_malformed_total\{status="431"\} (\d+)/m,
  },
  '200 logins at once': {
    act: (target, round) => {
      if (round === 0) for (let at = 0; at < 200; at += 1) login(target, `nobody${at}@example.org`);
    },
    counted: /^tidings_rate_limited_total\{limit="login"\} (\d+)/m,
  },
};

/**
 * Each flood against a node with its limits on, with and without Redis, while others write, listen and read: what they feel
 * of it, beside the calm before it, whether the flooder's connections end by themselves, what it costs in memory, and whether
 * what was refused has been counted.
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
      // Sockets alone: requests of one user are limited here.
      await people.settle({ writers: 4, clients: 20, rate: 20, nervous: 0, overHttp: false });
      people.write();
      const node = cluster.node(0).process;
      const flooder = people.outsider;
      for (const [name, { act, counted }] of Object.entries(floods)) {
        const fault = `${name}, ${redis ? 'with' : 'without'} Redis`;
        const calm = await watch(people, node, () => pause(LASTS));
        const target: Target = { url: node.url, flooder, clients: [], standing: new Set() };
        const countBefore = await count(node.url, counted);
        const strained = await watch(people, node, async () => {
          for (let round = 0; round < LASTS / ROUND; round += 1) {
            act(target, round);
            await pause(ROUND);
          }
        });
        const left = () => target.clients.filter((client) => !client.closed).length + target.standing.size;
        const over = Date.now();
        while (left() > 0 && Date.now() - over < CONNECTIONS_END_WITHIN) await pause(100);
        const found = [
          {
            what: "listeners' p99, ms",
            seen: strained.feed,
            bound: Math.max(UNNOTICED, 2 * calm.feed),
          },
          { what: "readers' p99, ms", seen: strained.read, bound: Math.max(UNNOTICED, 2 * calm.read) },
          { what: 'listeners disconnected', seen: strained.disturbed, bound: 0 },
          { what: 'reads refused', seen: strained.refused, bound: 0 },
          { what: 'memory grows, MiB', seen: (strained.memory - calm.memory) / MIB, bound: MEMORY / MIB },
          { what: "flooder's connections that still stand", seen: left(), bound: 0 },
          { what: 'nodes that ended', seen: node.running ? 0 : 1, bound: 0 },
        ];
        if (counted) {
          const uncounted = (await count(node.url, counted)) > countBefore ? 0 : 1;
          found.push({ what: 'refusals that no metric counts', seen: uncounted, bound: 0 });
        }
        figures.push(...found.map((figure) => ({ fault, ...figure })));
        for (const client of target.clients) client.terminate();
        for (const tcp of target.standing) tcp.destroy();
      }
    } finally {
      people.leave();
      await people.hush();
      await cluster.stop();
    }
  }
  return figures;
}

async function count(url: string, series: RegExp | undefined): Promise<number> {
  if (!series) return 0;
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(series.exec(text)?.[1] ?? 0);
}

/**
 * What those feel who do nothing wrong while this continues, in milliseconds of the slowest hundredth, and the node's
 * memory at its highest.
 */
async function watch(
  people: Population,
  node: NodeProcess,
  during: () => Promise<void>,
): Promise<{ feed: number; read: number; disturbed: number; refused: number; memory: number }> {
  const began = Date.now();
  const reads: number[] = [];
  let refused = 0;
  let over = false;
  let memory = 0;
  const reading = (async () => {
    while (!over) {
      memory = Math.max(memory, await node.memory());
      const asked = performance.now();
      const answer = await fetch(`${node.url}/posts`, {
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
    memory,
  };
}
