import { setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../../server/contract.ts';
import { makeAccounts } from '../accounts.ts';
import { call } from '../rest.ts';
import { type SeenEvent, SharedStream } from '../shared-stream.ts';
import { connectAlone } from './lone-client.ts';
import { type Line, median } from './rounds.ts';
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

/** From a commit to a socket of another process, on a system with nothing else to do, and where the time goes. */
export async function delay(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl, { WORKERS: '2' });
  const [account] = await makeAccounts(server.url, 1);
  const token = account?.token ?? '';
  const ways = new Map<number, Way>();
  const stream = new SharedStream();
  const onEvent = ({ postId }: SeenEvent) => {
    const way = ways.get(postId) ?? { asked: 0, answered: 0, first: now(), last: 0 };
    way.last = now();
    ways.set(postId, way);
  };
  for (let at = 0; at < CLIENTS; at += 1) {
    await connectAlone(stage, server.url, token, { stream, onEvent });
  }
  for (let at = 0; at < POSTS; at += 1) {
    const asked = now();
    const { body } = await call(server.url, 'POST', '/posts', {
      token,
      body: { title: 'On its way', content: 'From a commit to a socket' },
    });
    const answered = now();
    const { id } = body as PostView;
    await pause(100); // an idle system, and the event has arrived long since
    const way = ways.get(id);
    if (way) Object.assign(way, { asked, answered });
  }
  return [await lineOf(databaseUrl, ways)];
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** PostgreSQL itself says when each transaction was committed. */
async function lineOf(databaseUrl: string, ways: ReadonlyMap<number, Way>): Promise<Line> {
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query<{ post_id: string; begun: number; committed: number; numbered: number }>(`
      select e.entity_id as post_id,
        extract(epoch from p.created_at)::float8 * 1000 as begun,
        extract(epoch from pg_xact_commit_timestamp(p.xmin))::float8 * 1000 as committed,
        extract(epoch from pg_xact_commit_timestamp(e.xmin))::float8 * 1000 as numbered
      from event_log e join posts p on p.id = e.entity_id`),
  );
  const found = rows.flatMap((row) => {
    const way = ways.get(Number(row.post_id));
    return way && way.asked > 0 ? [{ ...row, ...way }] : [];
  });
  const middle = (of: (each: (typeof found)[number]) => number) => median(found.map(of));
  const part = (name: string, of: (each: (typeof found)[number]) => number) =>
    `${name} ${middle(of).toFixed(1)}`;
  const sorted = found.map((each) => each.last - each.committed).sort((a, b) => a - b);
  return {
    what: 'delay commit → socket of another process, idle, p50',
    unit: 'ms',
    limit: '',
    ours: [middle((each) => each.last - each.committed)],
    theirs: [],
    reach: undefined,
    notes: [
      [
        part('request → transaction', (each) => each.begun - each.asked),
        part('transaction → commit', (each) => each.committed - each.begun),
        part('commit → numbered', (each) => each.numbered - each.committed),
        part('numbered → first socket', (each) => each.first - each.numbered),
        part('→ last socket', (each) => each.last - each.first),
        part('(commit → answer', (each) => each.answered - each.committed),
      ].join(', ') + ')',
      `p99 ${(sorted[Math.floor(sorted.length * 0.99)] ?? NaN).toFixed(1)} ms of ${found.length} posts`,
    ],
  };
}
