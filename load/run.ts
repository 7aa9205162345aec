import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { PostView, Tally } from '../server/contract.ts';
import { type Account, makeAccounts } from './accounts.ts';
import { isLoopback } from './consent.ts';
import { Delays, type DelaySummary } from './delays.ts';
import { Loaders } from './loaders.ts';
import { startLocalServer } from './local-server.ts';
import type { LoaderVerdict } from './messages.ts';
import { UsageError } from '../server/command-line.ts';
import type { LoadOptions } from './options.ts';
import { canMeasure, type Usage, usageOfTree } from './process-usage.ts';
import { call } from './rest.ts';
import { Timeline, type TimelinePoint } from './timeline.ts';
import { type Written, Writers } from './writers.ts';

/** How far a part of the test has come; `total` is known when it begins. */
export interface Progress {
  begin(part: string, total: number): void;
  update(done: number, detail?: string): void;
  end(): void;
}

/** Everything that a load test has found. Times are milliseconds, sizes bytes. */
export interface LoadReport {
  began: string;
  url: string;
  /** Undefined where the server was running already. */
  workers: number | undefined;
  sockets: number;
  seconds: number;
  connected: number;
  /** Clients that were never let in, by reason. */
  refused: Record<string, number>;
  rampSeconds: number;
  handshake: DelaySummary | undefined;
  written: { posts: number; votes: number; failed: Record<string, number> };
  deliveries: number;
  deliveriesPerSecond: number;
  tallyFramesPerClientPerSecond: number;
  bytesReceived: number;
  /** From the start of the transaction that wrote the post; undefined where the server's clock is another machine's. */
  sinceWritten: DelaySummary | undefined;
  /** From the moment that the writer sent its request: the whole way, on one clock. */
  sinceAsked: DelaySummary | undefined;
  /** Percentage of deliveries → delay within which they arrived. */
  distribution: { percentages: number[]; sinceAsked: number[] };
  check: Verdict;
  server: ServerCost | undefined;
  timeline: TimelinePoint[];
}

export interface Verdict {
  lost: number;
  doubled: number;
  outOfOrder: number;
  stale: number;
  /** Acknowledged posts that no event told of, and posts whose votes are not what the acknowledged writes add up to. */
  unannounced: number;
  miscounted: number;
  contradictions: string[];
  /** Connections that ended by themselves, by reason; how many came back; how often a position could not be served. */
  dropped: Record<string, number>;
  returned: number;
  resets: number;
}

/** What a server on this machine spent. */
export interface ServerCost {
  memoryPerConnection: number;
  cpuPerHandshake: number;
  /** Microseconds of processor time per event handed to a client, all work of the run included. */
  cpuPerDelivery: number | undefined;
  databaseCpu: number;
  serverCpu: number;
}

/** Whether the check found nothing. */
export function passes({ check, connected, sockets }: LoadReport): boolean {
  const { lost, doubled, outOfOrder, stale, unannounced, miscounted, contradictions, resets } = check;
  const faults =
    lost + doubled + outOfOrder + stale + unannounced + miscounted + contradictions.length + resets;
  return faults === 0 && connected === sockets;
}

const PERCENTAGES = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.9, 99.99, 100];

/**
 * Runs a load test from start to end.
 * @param build the folder of another build of Tidings, whose server is started in place of ours
 * @throws {UsageError} if this server cannot be tested with these options
 */
export async function runLoadTest(
  options: LoadOptions,
  progress: Progress,
  build?: string,
): Promise<LoadReport> {
  if (options.url !== undefined) return testServer(options, options.url, undefined, progress);
  const dataDir = await mkdtemp(join(tmpdir(), 'tidings-load-'));
  await chmod(dataDir, 0o755); // as root, the database runs under another account
  progress.begin('starting a server', 1);
  try {
    const server = await startLocalServer(
      {
        DATA_DIR: dataDir,
        WORKERS: String(options.workers),
        RATE_LIMITS: 'off',
        // Its accounts live for minutes, and hashing their passwords is not what is tested.
        BCRYPT_COST: '4',
        ACCESS_TOKEN_TTL: '1d',
        MAX_CONNECTIONS: String(placesFor(options)),
      },
      [],
      build,
    );
    try {
      progress.end();
      return await testServer(options, server.url, server.pid, progress);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** A loader's address may have a quarter of a server's places for connections that have not authenticated yet. */
const UNAUTHENTICATED_SHARE = 4;

/**
 * Places that the server needs: for all connections, and so many that the handshakes in progress at once are not
 * refused.
 */
function placesFor({ sockets, together }: LoadOptions): number {
  return Math.max(sockets, Math.min(sockets, together) * UNAUTHENTICATED_SHARE);
}

async function testServer(
  options: LoadOptions,
  url: string,
  pid: number | undefined,
  progress: Progress,
): Promise<LoadReport> {
  const began = new Date().toISOString();
  progress.begin('making accounts', options.users);
  let made = 0;
  const accounts = await makeAccounts(url, options.users, () => progress.update((made += 1)));
  progress.end();
  requireLongTokens(accounts, options);

  const measure = pid === undefined || !canMeasure ? undefined : () => usageOfTree(pid);
  const timeline = new Timeline(measure);
  const loaders = new Loaders({
    ...options,
    url,
    tokens: accounts.map((account) => account.token),
    onProgress: (report, loader) => {
      timeline.note(report, loader);
      if (!timeline.writing) progress.update(timeline.tried, `${timeline.connected} connected`);
    },
  });
  try {
    await pause(1000);
    const empty = await measure?.();
    progress.begin('connecting', options.sockets);
    const rampBegan = performance.now();
    const ramped = await loaders.ramp();
    const rampSeconds = (performance.now() - rampBegan) / 1000;
    const handshakes = new Delays();
    for (const { handshakes: encoded } of ramped) handshakes.add(encoded);
    progress.update(options.sockets);
    progress.end();
    const full = await measure?.();
    await pause(2000);

    const writers = new Writers(url, accounts);
    progress.begin('writing', options.posts + options.votes);
    let done = 0;
    timeline.writing = true;
    const before = await measure?.();
    await writers.write(options.posts, options.votes, options.seconds, () => progress.update((done += 1)));
    progress.end();

    progress.begin('waiting for the last', 1);
    const [account] = accounts;
    const token = account?.token ?? '';
    const { headers } = await call(url, 'GET', '/posts?limit=1', { token });
    const tallies = await readTallies(url, token, writers.written.postIds);
    const verdicts = await loaders.settle({
      type: 'settle',
      head: Number(headers.get('x-feed-seq')),
      tallies,
      limit: options.settle * 1000,
    });
    const after = await measure?.();
    progress.end();
    timeline.stop();

    const deliveries = timeline.deliveries;
    const connected = verdicts.reduce((sum, verdict) => sum + verdict.clients, 0);
    return {
      began,
      url,
      workers: options.url === undefined ? options.workers : undefined,
      sockets: options.sockets,
      seconds: options.seconds,
      connected,
      refused: addUp(ramped.map((each) => each.refused)),
      rampSeconds,
      handshake: handshakes.summary(),
      written: {
        posts: writers.written.postIds.length,
        votes: writers.written.castVotes,
        failed: writers.written.failed,
      },
      deliveries,
      deliveriesPerSecond: deliveries / options.seconds,
      tallyFramesPerClientPerSecond: timeline.tallyFrames / Math.max(1, connected) / options.seconds,
      bytesReceived: timeline.bytes,
      sinceWritten: isLoopback(url) ? timeline.sinceWritten.summary() : undefined,
      sinceAsked: timeline.sinceAsked.summary(),
      distribution: {
        percentages: PERCENTAGES,
        sinceAsked: timeline.sinceAsked.percentiles(PERCENTAGES),
      },
      check: judge(verdicts, writers, tallies),
      server:
        empty && full && before && after
          ? costOf({ empty, full, before, after, connected, deliveries })
          : undefined,
      timeline: timeline.points,
    };
  } finally {
    timeline.stop();
    await loaders.end();
  }
}

/** Tokens are not renewed during a test: it would measure the logins. */
function requireLongTokens(
  accounts: readonly Account[],
  { sockets, rate, seconds, settle }: LoadOptions,
): void {
  const soonest = Math.min(...accounts.map((account) => account.expiresAt));
  const left = (soonest - Date.now()) / 1000;
  const needed = Math.ceil(sockets / rate) + seconds + settle;
  if (left < needed + 60)
    throw new UsageError(
      `This server's tokens live for ${Math.round(left)} s more: a test of ${needed} s needs a longer ACCESS_TOKEN_TTL there`,
    );
}

async function readTallies(url: string, token: string, postIds: readonly number[]): Promise<Tally[]> {
  const tallies: Tally[] = [];
  for (const postId of postIds) {
    const answer = await call(url, 'GET', `/posts/${postId}`, { token });
    const { id, votes, replies = 0, rev } = answer.body as PostView;
    tallies.push({ post_id: id, votes, replies, rev });
  }
  return tallies;
}

function judge(verdicts: readonly LoaderVerdict[], writers: Writers, tallies: readonly Tally[]): Verdict {
  const sum = (key: 'lost' | 'doubled' | 'outOfOrder' | 'stale' | 'returned' | 'resets') =>
    verdicts.reduce((total, verdict) => total + verdict[key], 0);
  return {
    lost: sum('lost'),
    doubled: sum('doubled'),
    outOfOrder: sum('outOfOrder'),
    stale: sum('stale'),
    unannounced: countUnannounced(verdicts, writers.written),
    miscounted: tallies.filter(
      ({ post_id, votes }) => !writers.uncertain.has(post_id) && votes !== writers.written.votes.get(post_id),
    ).length,
    contradictions: verdicts.flatMap((verdict) => verdict.contradictions),
    dropped: addUp(verdicts.map((verdict) => verdict.dropped)),
    returned: sum('returned'),
    resets: sum('resets'),
  };
}

/** Acknowledged posts that are not told exactly once, under the same number, in every process. */
function countUnannounced(verdicts: readonly LoaderVerdict[], written: Written): number {
  const [first] = verdicts;
  if (!first || first.clients === 0) return 0;
  const seqs = new Map<number, number>();
  const twice = new Set<number>();
  for (const { postId, seq } of first.created) {
    if (seqs.has(postId)) twice.add(postId);
    seqs.set(postId, seq);
  }
  for (const { created, clients } of verdicts.slice(1)) {
    const own = new Map(created.map(({ postId, seq }) => [postId, seq]));
    if (clients > 0) for (const [postId, seq] of seqs) if (own.get(postId) !== seq) twice.add(postId);
  }
  return written.postIds.filter((postId) => !seqs.has(postId) || twice.has(postId)).length;
}

function costOf(given: {
  empty: { server: Usage };
  full: { server: Usage };
  before: { server: Usage; database: Usage };
  after: { server: Usage; database: Usage };
  connected: number;
  deliveries: number;
}): ServerCost {
  const { empty, full, before, after, connected, deliveries } = given;
  const serverCpu = after.server.cpu - before.server.cpu;
  return {
    memoryPerConnection: (full.server.memory - empty.server.memory) / Math.max(1, connected),
    cpuPerHandshake: (full.server.cpu - empty.server.cpu) / Math.max(1, connected),
    cpuPerDelivery: deliveries > 0 ? (serverCpu * 1000) / deliveries : undefined,
    serverCpu,
    databaseCpu: after.database.cpu - before.database.cpu,
  };
}

function addUp(counts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const each of counts)
    for (const [reason, count] of Object.entries(each)) total[reason] = (total[reason] ?? 0) + count;
  return total;
}
