import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { FeedClient } from '../feed-client.ts';
import { inLanes } from '../lanes.ts';
import { SharedStream } from '../shared-stream.ts';
import { connectAlone } from './lone-client.ts';
import { follow, makeMembers } from './members.ts';
import { type Line, newLine } from './rounds.ts';
import { openClient, type Stage } from './stage.ts';
import { appendEvents } from './told-events.ts';

const NODES = 2;
const CLIENTS = 2000;
const FOLLOWEES = 200;
/** Authors, each with one event while the clients are away. */
const EVENTS = 10_000;
/** Events that are appended together. */
const TOGETHER = 500;
/** How long the nodes may take for those events, and how long they are left alone before and after. Milliseconds. */
const LIMIT = 120_000;
const REST = 3000;

/** What it takes to have all home clients of two nodes back at once, after each of them has missed much. */
export async function homeReturn(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const authors = await makeMembers(databaseUrl, Math.ceil(EVENTS / stage.scale));
  const listeners = await makeMembers(databaseUrl, Math.ceil(CLIENTS / stage.scale));
  await follow(databaseUrl, listeners, authors, Math.ceil(FOLLOWEES / stage.scale));
  const database = await openClient(stage, databaseUrl);
  await watchStatements(database);
  const stream = new SharedStream(true);
  const clients: FeedClient[] = [];
  for (let node = 0; node < NODES; node += 1) {
    const server = await stage.server(databaseUrl, { MAX_CONNECTIONS: '20000' });
    const own = listeners.filter((_listener, at) => at % NODES === node);
    await inLanes(own.length, 50, async (number) => {
      const token = own[number]?.token ?? '';
      clients.push(await connectAlone(stage, server.url, token, { stream, topics: ['home'] }));
    });
  }
  const queries = newLine({
    what: `database queries while ${clients.length} home clients come back to ${NODES} nodes`,
    unit: 'queries',
    limit: `${NODES} × 4 + changed topics ÷ 50`,
    reach: { atMost: 1 },
    notes: [`after ${authors.length} events by as many authors, beyond those of the nodes at rest`],
  });
  const live = newLine({
    what: 'until all of them are live',
    unit: 's',
    reach: { atMost: 5 },
  });
  for (let round = 0; round < stage.rounds; round += 1) {
    for (const client of clients) client.leave();
    for (let at = 0; at < authors.length; at += TOGETHER)
      await appendEvents(
        database,
        at,
        authors.slice(at, at + TOGETHER).map(({ id }) => id),
      );
    await numbered(database);
    const atRest = await statementsDuring(database, () => pause(REST));
    let seconds = 0;
    const returning = await statementsDuring(database, async () => {
      const began = performance.now();
      const refused = await Promise.all(clients.map((client) => client.connect()));
      seconds = (performance.now() - began) / 1000;
      const reason = refused.find((one) => one !== undefined);
      if (reason !== undefined) throw new Error(`a client was not let in: ${reason}`);
      await pause(Math.max(0, REST - seconds * 1000));
    });
    live.ours.push(seconds);
    const most = beyond(returning, atRest, Math.max(1, (seconds * 1000) / REST));
    queries.ours.push(most.reduce((sum, { calls }) => sum + calls, 0));
    if (round === 0)
      queries.notes.push(...most.slice(0, 4).map(({ query, calls }) => `${calls} × ${beginningOf(query)}`));
    queries.theirs.push(NODES * 4 + authors.length / 50);
  }
  return [queries, live];
}

/** Counts what is asked of this database from now on. */
async function watchStatements(database: pg.Client): Promise<void> {
  await database.query(`
    create extension pg_stat_statements;
    do $$ begin
      execute format('alter database %I set pg_stat_statements.track = top', current_database());
    end $$`);
}

/** How often each statement is executed meanwhile. */
async function statementsDuring(
  database: pg.Client,
  act: () => Promise<unknown>,
): Promise<Map<string, number>> {
  await database.query('select pg_stat_statements_reset()');
  await act();
  const { rows } = await database.query<{ query: string; calls: number }>(
    `select s.query, sum(s.calls)::integer as calls
     from pg_stat_statements s join pg_database d on d.oid = s.dbid
     where d.datname = current_database() group by 1`,
  );
  return new Map(rows.map(({ query, calls }) => [query, calls]));
}

/**
 * Statements that were executed more often than at rest, the most frequent first.
 * @param times so many times as long as it was at rest
 */
function beyond(
  found: ReadonlyMap<string, number>,
  atRest: ReadonlyMap<string, number>,
  times: number,
): { query: string; calls: number }[] {
  return [...found]
    .map(([query, calls]) => ({ query, calls: Math.ceil(calls - (atRest.get(query) ?? 0) * times) }))
    .filter(({ calls }) => calls > 0)
    .sort((one, other) => other.calls - one.calls);
}

function beginningOf(query: string): string {
  return query.replaceAll(/\s+/g, ' ').trim().slice(0, 80);
}

/** Resolves when all that has been appended has its number, and the nodes have had time to pass it. */
async function numbered(database: pg.Client): Promise<void> {
  const deadline = performance.now() + LIMIT;
  for (;;) {
    const { rows } = await database.query('select from event_outbox limit 1');
    if (rows.length === 0) break;
    if (performance.now() > deadline) throw new Error('the events have no numbers');
    await pause(100);
  }
  await pause(REST);
}
