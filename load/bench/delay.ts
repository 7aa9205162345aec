import { setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../../server/contract.ts';
import { makeAccounts } from '../accounts.ts';
import { call } from '../rest.ts';
import { type SeenEvent, SharedStream } from '../shared-stream.ts';
import { startBare } from './bare.ts';
import { connectAlone } from './lone-client.ts';
import { type Line, median, newLine } from './rounds.ts';
import { type Stage, withClient } from './stage.ts';

const POSTS = 100;
const CLIENTS = 8;

/** Moments of one post's way, in milliseconds since 1970. */
interface Way {
  asked: number;
  answered: number;
  /** At the first of the clients and at the last: of two workers, one wrote it and the other heard of it. */
  first: number;
  last: number;
}

/** What PostgreSQL says of it: when its transaction began, when it was committed, and when its event was numbered. */
interface Committed {
  post_id: string;
  begun: number;
  committed: number;
  numbered: number;
}

/**
 * From a commit to a socket of another process, on a system with nothing else to do, and where the time goes; if
 * `REDIS_URL` names a Redis, beside a program that inserts, publishes and writes to the socket, and does nothing else.
 */
export async function delay(stage: Stage): Promise<Line[]> {
  const { REDIS_URL } = process.env;
  const line = newLine({
    what: 'delay commit → socket of another process, idle, p50',
    unit: 'ms',
    limit: REDIS_URL === undefined ? '' : 'the same through bare pg, Redis PUBLISH and ws',
    reach: REDIS_URL === undefined ? undefined : { atMost: 1.5 },
  });
  const ours = await wayOfOurs(stage);
  const theirs = REDIS_URL === undefined ? undefined : await wayOfBare(stage, REDIS_URL);
  for (let round = 0; round < stage.rounds; round += 1) {
    const found = await ours();
    line.ours.push(middle(found, fromCommit));
    line.notes.push(...notesOf(found));
    if (theirs) line.theirs.push(middle(await theirs(), fromCommit));
  }
  return [line];
}

type Found = Way & Committed;

const fromCommit = ({ committed, last }: Found) => last - committed;

const middle = (found: readonly Found[], of: (each: Found) => number) => median(found.map(of));

/** @returns what writes some posts and says how long each took */
async function wayOfOurs(stage: Stage): Promise<() => Promise<Found[]>> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl, { WORKERS: '2' });
  const [account] = await makeAccounts(server.url, 1);
  return wayThrough(stage, {
    databaseUrl,
    token: account?.token ?? '',
    httpUrl: server.url,
    feedUrl: server.url,
    committed: `
      select e.entity_id as post_id,
        extract(epoch from p.created_at)::float8 * 1000 as begun,
        extract(epoch from pg_xact_commit_timestamp(p.xmin))::float8 * 1000 as committed,
        extract(epoch from pg_xact_commit_timestamp(e.xmin))::float8 * 1000 as numbered
      from event_log e join posts p on p.id = e.entity_id`,
  });
}

async function wayOfBare(stage: Stage, redisUrl: string): Promise<() => Promise<Found[]>> {
  const databaseUrl = await stage.database();
  const http = await startBare('http', { databaseUrl, redisUrl });
  stage.after(() => http.stop());
  const feed = await startBare('feed', { redisUrl });
  stage.after(() => feed.stop());
  return wayThrough(stage, {
    databaseUrl,
    token: 'none',
    httpUrl: http.url,
    feedUrl: feed.url,
    committed: `
      select id as post_id,
        extract(epoch from created_at)::float8 * 1000 as begun,
        extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as committed,
        extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as numbered
      from bare.posts`,
  });
}

interface Service {
  databaseUrl: string;
  token: string;
  httpUrl: string;
  feedUrl: string;
  /** Reads `Committed` of all posts. */
  committed: string;
}

async function wayThrough(
  stage: Stage,
  { databaseUrl, token, httpUrl, feedUrl, committed }: Service,
): Promise<() => Promise<Found[]>> {
  let ways = new Map<number, Way>();
  const stream = new SharedStream();
  const onEvent = ({ postId }: SeenEvent) => {
    const way = ways.get(postId) ?? { asked: 0, answered: 0, first: now(), last: 0 };
    way.last = now();
    ways.set(postId, way);
  };
  for (let at = 0; at < CLIENTS; at += 1) {
    await connectAlone(stage, feedUrl, token, { stream, onEvent });
  }
  return async () => {
    ways = new Map();
    for (let at = 0; at < POSTS; at += 1) {
      const asked = now();
      const { body } = await call(httpUrl, 'POST', '/posts', {
        token,
        body: { title: 'On its way', content: 'From a commit to a socket' },
      });
      const answered = now();
      const { id } = body as PostView;
      await pause(100); // an idle system, and the event has arrived long since
      const way = ways.get(id);
      if (way) Object.assign(way, { asked, answered });
    }
    // PostgreSQL itself says when each transaction was committed.
    const { rows } = await withClient(databaseUrl, (client) => client.query<Committed>(committed));
    const found = rows.flatMap((row) => {
      const way = ways.get(Number(row.post_id));
      return way && way.asked > 0 ? [{ ...row, ...way }] : [];
    });
    if (found.length < POSTS / 2) throw new Error(`of ${POSTS} posts ${found.length} arrived`);
    return found;
  };
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function notesOf(found: readonly Found[]): string[] {
  const part = (name: string, of: (each: Found) => number) => `${name} ${middle(found, of).toFixed(1)}`;
  const sorted = found.map(fromCommit).sort((a, b) => a - b);
  return [
    [
      part('request → transaction', (each) => each.begun - each.asked),
      part('transaction → commit', (each) => each.committed - each.begun),
      part('commit → numbered', (each) => each.numbered - each.committed),
      part('numbered → first socket', (each) => each.first - each.numbered),
      part('→ last socket', (each) => each.last - each.first),
      part('(commit → answer', (each) => each.answered - each.committed),
    ].join(', ') + ')',
    `p99 ${(sorted[Math.floor(sorted.length * 0.99)] ?? NaN).toFixed(1)} ms of ${found.length} posts`,
  ];
}
