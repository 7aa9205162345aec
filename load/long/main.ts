import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { makeAccounts } from '../accounts.ts';
import { openClient, type Stage, withStage } from '../bench/stage.ts';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { type DelaySummary, Delays } from '../delays.ts';
import { inLanes } from '../lanes.ts';
import { call } from '../rest.ts';
import { People } from './people.ts';
import { type Sample, take } from './samples.ts';
import { type Faults, Watcher } from './watcher.ts';

const usage = `Usage: npm run longrun -- [options]

Hours of mixed load on two nodes that this starts: people write, reply, vote, edit, delete and follow as many posts as go, so
that the community stays as large as it is; clients listen to everything, to home, to a tag or to a thread, come and go;
connections are cut in the database, in Redis and at the clients. Prints a line for each period, which should all be alike,
and writes all figures to longrun.json. Ends with 1 if an event was lost or doubled.

  --hours H     how long (6)
  --every M     minutes of a period (60)
  --clients N   clients that listen (200)
  --rate R      requests a second (10)

Set REDIS_URL to the address of a Redis that nothing else uses. Without it the nodes share only the database.
`;

const MIB = 1024 * 1024;
/** The log keeps so much, so that it is as long after the first period as after the last. */
const RETENTION = '10m';
const USERS = 40;
/** Between two faults, and between two looks. Milliseconds. */
const FAULT_EVERY = 300_000;
const LOOK_EVERY = 60_000;
/** Clients that lose their connection in each second. */
const CHURN = 0.01;

interface Period {
  delays: DelaySummary | undefined;
  requests: number;
  faults: Faults;
  sample: Sample;
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      hours: { type: 'string', default: '6' },
      every: { type: 'string', default: '60' },
      clients: { type: 'string', default: '200' },
      rate: { type: 'string', default: '10' },
    },
  });
  const above0 = (name: keyof typeof values) => {
    const number = Number(values[name]);
    if (!(number > 0)) throw new UsageError(`--${name} must be a number above 0`);
    return number;
  };
  return {
    duration: above0('hours') * 3_600_000,
    every: above0('every') * 60_000,
    clients: Math.ceil(above0('clients')),
    rate: above0('rate'),
  };
}

async function main(): Promise<number> {
  const options = readCommandLine(usage, readOptions);
  const say = (what: string) => process.stdout.write(`${new Date().toISOString()}  ${what}\n`);
  return withStage({ rounds: 1, scale: 1, say }, async (stage, end) => {
    try {
      return await run(stage, options);
    } finally {
      await end();
    }
  });
}

async function run(
  stage: Stage,
  { duration, every, clients, rate }: ReturnType<typeof readOptions>,
): Promise<number> {
  const { say } = stage;
  const databaseUrl = await stage.database();
  const env = {
    EVENT_RETENTION: RETENTION,
    ...(process.env.REDIS_URL === undefined ? {} : { REDIS_URL: process.env.REDIS_URL }),
  };
  const nodes = [await stage.server(databaseUrl, env), await stage.server(databaseUrl, env)];
  const urls = nodes.map(({ url }) => url);
  const [first = ''] = urls;
  const database = await openClient(stage, databaseUrl);
  const accounts = await makeAccounts(first, USERS);
  const people = new People(first, accounts);
  for (let at = 0; at < USERS; at += 1) await people.act();
  const { body: root } = await call(first, 'POST', '/posts', {
    token: accounts[0]?.token ?? '',
    body: { title: 'A thread that stays', content: 'Answer here' },
  });
  const faults: Faults = { holes: 0, repeats: 0, resets: 0 };
  const delays = new Delays();
  const topics = [undefined, ['home'], ['tag:tea'], ['home', `thread:${(root as { id: number }).id}`]];
  const watchers = Array.from({ length: clients }, (_, at) => {
    const token = accounts[at % accounts.length]?.token ?? '';
    return new Watcher(urls[at % urls.length] ?? first, token, topics[at % topics.length], faults, delays);
  });
  stage.after(() => watchers.forEach((watcher) => watcher.close()));
  const began = Date.now();
  const over = () => Date.now() - began >= duration;
  const periods: Period[] = [];
  const work = () => inLanes(Infinity, 4, () => people.act(), { every: 1000 / rate, over });
  const churn = async () => {
    while (!over()) {
      await pause(1000);
      for (const watcher of watchers) if (Math.random() < CHURN) watcher.drop();
    }
  };
  const harm = async () => {
    for (let number = 0; !over(); number += 1) {
      await pause(Math.min(FAULT_EVERY, Math.max(0, duration - (Date.now() - began))));
      if (!over()) say(await inflict(number, database, watchers));
    }
  };
  const look = async () => {
    let told = 0;
    while (!over()) {
      await pause(LOOK_EVERY);
      if (Date.now() - began < (told + 1) * every && !over()) continue;
      told += 1;
      const sample = await take(urls, database, began);
      const period = { delays: delays.summary(), requests: people.done, faults: { ...faults }, sample };
      say(lineOf(period, periods.at(-1)));
      periods.push(period);
      delays.reset();
      await writeFile('longrun.json', JSON.stringify({ periods, failed: [...people.failed] }, null, 1));
    }
  };
  await Promise.all([work(), churn(), harm(), look()]);
  await pause(10_000);
  const positions = watchers.map(({ last }) => last ?? 0);
  const { rows } = await database.query<{ seq: string }>('select seq from feed_head');
  const behind = positions.filter((seq) => seq < Number(rows[0]?.seq)).length;
  say(`${behind} of ${clients} clients behind the head, ${faults.holes} holes, ${faults.repeats} repeats`);
  for (const [what, times] of people.failed) say(`${times} × ${what}`);
  return behind + faults.holes + faults.repeats > 0 ? 1 : 0;
}

/** One fault after the other. @returns what it was */
async function inflict(number: number, database: pg.Client, watchers: readonly Watcher[]): Promise<string> {
  const kind = number % 3;
  if (kind === 0) {
    const { rowCount } = await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    return `${rowCount} connections to the database ended`;
  }
  if (kind === 1 && process.env.REDIS_URL !== undefined) {
    const redis = new Redis(process.env.REDIS_URL);
    await redis.call('CLIENT', 'KILL', 'SKIPME', 'yes');
    redis.disconnect();
    return 'all connections to Redis ended';
  }
  for (const watcher of watchers) watcher.drop();
  return `all ${watchers.length} clients gone for a moment`;
}

function lineOf({ delays, requests, faults, sample }: Period, before: Period | undefined): string {
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(0)} MiB`;
  const { nodes, tables, indexes, wal, at } = sample;
  const walBefore = before?.sample.wal ?? wal;
  return [
    `${(at / 3_600_000).toFixed(2)} h`,
    `${requests - (before?.requests ?? 0)} requests`,
    delays &&
      `delay p50 ${delays.p50.toFixed(0)} p99 ${delays.p99.toFixed(0)} max ${delays.max.toFixed(0)} ms`,
    `nodes ${nodes.map(({ resident, heap, files }) => `${mib(resident)} (heap ${mib(heap)}, ${files} files)`).join(', ')}`,
    `tables ${mib(tables)}, indexes ${mib(indexes)}, log of the database +${mib(wal - walBefore)}`,
    `${faults.holes} holes, ${faults.repeats} repeats, ${faults.resets} resets`,
  ]
    .filter(Boolean)
    .join('; ');
}

// What was started here goes with us, also when somebody has seen enough.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

process.exitCode = await main();
