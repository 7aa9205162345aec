import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { usageOf } from '../process-usage.ts';
import { makeMembers } from './members.ts';
import { type Line, newLine } from './rounds.ts';
import { databaseCostOf, FEED, REQUESTS } from './server-cost.ts';
import { openClient, type Stage } from './stage.ts';
import { appendEvent } from './told-events.ts';

const FEW = 1;
const MANY = 4;
/** How long nothing happens, and how long events come. Milliseconds. */
const TIME = 10_000;
/** Events a second, each in a transaction of its own. */
const RATES = [20, 200];
/** How long the last event may wait for its number, and within what time all nodes have passed it then. Milliseconds. */
const LIMIT = 30_000;
const FOLLOWED_WITHIN = 2000;

/** What happened meanwhile: milliseconds by the clock and of processor time, bytes. */
interface Cost {
  wall: number;
  nodes: number;
  database: number;
  redis: { cpu: number; bytes: number };
}

/**
 * What a node costs to which nobody is connected: on its own, in the database that all share, and in Redis, if `REDIS_URL`
 * names one. These are the constants of docs/scaling.md.
 */
export async function nodes(stage: Stage): Promise<Line[]> {
  const few = await Nodes.start(stage, FEW);
  const many = await Nodes.start(stage, MANY);
  const time = TIME / stage.scale;
  const seconds = time / 1000;
  const told = (what: string, unit: string) => newLine({ what, unit, limit: '', reach: undefined });
  const idle = {
    node: told('an idle node: its processor time', 'ms/s'),
    database: told('the same: processor time of the database', 'ms/s'),
  };
  const perRate = RATES.map((rate) => ({
    rate,
    node: told(`an event to a node that nobody is connected to, ${rate} a second`, 'µs'),
    database: told('the same: processor time of the database for each further node', 'µs'),
    redis: told('the same: processor time of Redis for each further node', 'µs'),
    bytes: told('the same: bytes that Redis carries for each further node', 'B'),
  }));
  const extra = MANY - FEW;
  for (let round = 0; round < stage.rounds; round += 1) {
    const rest = { few: await few.during(() => pause(time)), many: await many.during(() => pause(time)) };
    idle.node.ours.push(rest.many.nodes / MANY / seconds);
    idle.database.ours.push((rest.many.database - rest.few.database) / extra / seconds);
    for (const { rate, node, database, redis, bytes } of perRate) {
      const events = Math.ceil(rate * seconds);
      const one = await few.during(() => few.append(events, rate));
      const all = await many.during(() => many.append(events, rate));
      // What the same time costs without an event is taken off.
      const beyond = (cost: Cost, idle: Cost, what: (cost: Cost) => number) =>
        what(cost) - (what(idle) * cost.wall) / idle.wall;
      const each = (what: (cost: Cost) => number) =>
        (beyond(all, rest.many, what) - beyond(one, rest.few, what)) / extra / events;
      node.ours.push((beyond(all, rest.many, (cost) => cost.nodes) / MANY / events) * 1000);
      database.ours.push(each((cost) => cost.database) * 1000);
      redis.ours.push(each((cost) => cost.redis.cpu) * 1000);
      bytes.ours.push(each((cost) => cost.redis.bytes));
    }
  }
  const ofRedis = few.hasRedis ? [] : ['redis', 'bytes'];
  return [
    ...Object.values(idle),
    ...perRate.flatMap(({ rate: _rate, ...lines }) =>
      Object.entries(lines)
        .filter(([name]) => !ofRedis.includes(name))
        .map(([, line]) => line),
    ),
  ];
}

/** Some nodes on a database of their own. */
class Nodes {
  readonly #database: pg.Client;
  readonly #pids: readonly number[];
  readonly #redis: Redis | undefined;
  readonly #authorId: number;
  #appended = 0;

  private constructor(
    database: pg.Client,
    pids: readonly number[],
    redis: Redis | undefined,
    authorId: number,
  ) {
    this.#database = database;
    this.#pids = pids;
    this.#redis = redis;
    this.#authorId = authorId;
  }

  static async start(stage: Stage, count: number): Promise<Nodes> {
    const databaseUrl = await stage.database();
    const [author] = await makeMembers(databaseUrl, 1);
    const { REDIS_URL } = process.env;
    const redis = REDIS_URL === undefined ? undefined : new Redis(REDIS_URL);
    if (redis) {
      redis.on('error', () => undefined);
      stage.after(() => redis.disconnect());
    }
    const pids: number[] = [];
    while (pids.length < count)
      pids.push((await stage.server(databaseUrl, REDIS_URL === undefined ? {} : { REDIS_URL })).pid);
    return new Nodes(await openClient(stage, databaseUrl), pids, redis, author?.id ?? 0);
  }

  get hasRedis(): boolean {
    return this.#redis !== undefined;
  }

  /** Appends events at a pace, and waits until all nodes have passed them. */
  async append(events: number, rate: number): Promise<void> {
    const began = performance.now();
    for (let at = 0; at < events; at += 1) {
      const late = performance.now() - began - (at * 1000) / rate;
      if (late < 0) await pause(-late);
      await appendEvent(this.#database, (this.#appended += 1), this.#authorId);
    }
    const deadline = performance.now() + LIMIT;
    while (await this.#isWaiting()) {
      if (performance.now() > deadline) throw new Error('an event has no number');
      await pause(20);
    }
    await pause(FOLLOWED_WITHIN);
  }

  async during(act: () => Promise<unknown>): Promise<Cost> {
    const before = [await this.#nodesTime(), await this.#redisUsage()] as const;
    const began = performance.now();
    const database = await databaseCostOf(this.#database, act, [REQUESTS, FEED]);
    const wall = performance.now() - began;
    const after = [await this.#nodesTime(), await this.#redisUsage()] as const;
    return {
      wall,
      nodes: after[0] - before[0],
      database,
      redis: { cpu: after[1].cpu - before[1].cpu, bytes: after[1].bytes - before[1].bytes },
    };
  }

  async #nodesTime(): Promise<number> {
    const usages = await Promise.all(this.#pids.map(usageOf));
    return usages.reduce((sum, { cpu }) => sum + cpu, 0);
  }

  async #redisUsage(): Promise<Cost['redis']> {
    if (!this.#redis) return { cpu: 0, bytes: 0 };
    const info = await this.#redis.info();
    const figure = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? 0);
    return {
      cpu: (figure('used_cpu_sys') + figure('used_cpu_user')) * 1000,
      bytes: figure('total_net_input_bytes') + figure('total_net_output_bytes'),
    };
  }

  async #isWaiting(): Promise<boolean> {
    const { rowCount } = await this.#database.query('select from event_outbox limit 1');
    return (rowCount ?? 0) > 0;
  }
}
