import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { call } from '../rest.ts';
import { Crowd } from './crowd.ts';
import { makeMembers } from './members.ts';
import { type Line, newLine } from './rounds.ts';
import { costOf } from './server-cost.ts';
import { type Stage, withClient } from './stage.ts';
import { appendEvents } from './told-events.ts';

const SOCKETS = 15_000;
const BEHIND = 100;
/** Handshakes under way at once: more would fill the queue in which the system keeps connections. */
const TOGETHER = 400;
/** Between two requests, of which the slowest are looked for, and how long they are made at rest. Milliseconds. */
const INTERVAL = 20;
const REST = 10_000;

/** All clients of a process, each of another user, come back at once, so many events behind, beside somebody who reads pages. */
export async function herd(stage: Stage): Promise<Line[]> {
  const sockets = Math.ceil(SOCKETS / stage.scale);
  const databaseUrl = await stage.database();
  const live = newLine({
    what: `${sockets.toLocaleString('en-US')} clients come back, each ${BEHIND} events behind: until all have them`,
    unit: 's',
  });
  const cost = newLine({ ...live, what: 'the same, the processor time of the server for each', unit: 'ms' });
  const page = newLine({
    what: 'meanwhile: p99 of GET /posts',
    unit: 'ms',
    limit: 'the same at rest',
    reach: { atMost: 2 },
  });
  await withClient(databaseUrl, async (database) => {
    const server = await stage.server(databaseUrl, { MAX_CONNECTIONS: '18000' });
    const tokens = (await makeMembers(databaseUrl, sockets)).map(({ token }) => token);
    const [reader = ''] = tokens;
    for (let round = 0; round < stage.rounds; round += 1) {
      const from = await positionOf(database);
      for (let at = 0; at < BEHIND; at += 1) await appendEvents(database, BEHIND * round + at, [1]);
      await reaches(database, from.seq + BEHIND);
      page.theirs.push(await slowest(server.url, reader, pause(REST)));
      const began = performance.now();
      // Each is told that it is ready after what it has missed.
      const back = Crowd.gather(server.url, tokens, sockets, { from, together: TOGETHER });
      let meanwhile = NaN;
      const spent = await costOf(server.pid, async () => {
        meanwhile = await slowest(server.url, reader, back);
      });
      live.ours.push((performance.now() - began) / 1000);
      cost.ours.push(spent / sockets);
      page.ours.push(meanwhile);
      await (await back).end();
      await pause(REST / 2);
    }
  });
  return [live, cost, page];
}

async function positionOf(database: pg.Client): Promise<{ epoch: string; seq: number }> {
  const { rows } = await database.query<{ epoch: string; seq: number }>(
    'select epoch, seq::integer from feed_head',
  );
  const [head] = rows;
  if (!head) throw new Error('the log has no head');
  return head;
}

async function reaches(database: pg.Client, seq: number): Promise<void> {
  for (let tries = 0; (await positionOf(database)).seq < seq; tries += 1) {
    if (tries > 300) throw new Error('the events have no numbers');
    await pause(100);
  }
}

/** The 99th of a hundred pages that are read one after the other until something has ended. Milliseconds. */
async function slowest(url: string, token: string, until: Promise<unknown>): Promise<number> {
  let isOver = false;
  const over = until.finally(() => (isOver = true));
  over.catch(() => undefined); // it is awaited below
  const times: number[] = [];
  while (!isOver) {
    const began = performance.now();
    await call(url, 'GET', `/posts?limit=${10 + (times.length % 50)}`, { token });
    times.push(performance.now() - began);
    await pause(INTERVAL);
  }
  await over;
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? NaN;
}
