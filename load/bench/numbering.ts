import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { makeAccounts } from '../accounts.ts';
import type { FeedClient } from '../feed-client.ts';
import { connectAlone } from './lone-client.ts';
import { type Line, newLine } from './rounds.ts';
import { type Stage, withClient } from './stage.ts';

const EVENTS = 50_000;
/** As many rows as the sequencer numbers at once. */
const BATCH = 500;
const LIMIT = 120_000;

/** How fast committed events get their numbers and reach a client, against the bare insert of the same rows. */
export async function numbering(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl);
  const events = Math.ceil(EVENTS / stage.scale);
  const [account] = await makeAccounts(server.url, 1);
  const client = await connectAlone(stage, server.url, account?.token ?? '');
  const line = newLine({
    what: 'numbering, publishing and delivery to a client',
    unit: 'events/s',
    limit: 'the bare insert of the same rows, 500 in a statement',
    reach: { atLeast: 0.8, orOurs: 10_000 },
  });
  await withClient(databaseUrl, async (database) => {
    await database.query('create table bare_events (like event_log including all)');
    for (let round = 0; round < stage.rounds; round += 1) {
      line.ours.push(await throughServer(database, client, events));
      line.theirs.push(await bareInsert(database, events));
    }
  });
  return [line];
}

/** How fast the database numbers events that have topics to be found by, beside events without. */
export async function numberingTopics(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const events = Math.ceil(EVENTS / stage.scale);
  const line = newLine({
    what: 'number_events, each event with two tags and a thread',
    unit: 'events/s',
    limit: 'the same without them',
    reach: { atLeast: 1, orOurs: 25_000 },
  });
  return withClient(databaseUrl, async (database) => {
    for (let round = 0; round < stage.rounds; round += 1) {
      line.ours.push(await numberAll(database, events, '{feed,author:1,tag:tea,tag:time,thread:1}'));
      line.theirs.push(await numberAll(database, events, '{feed,author:1}'));
    }
    return [line];
  });
}

/** Events a second, by the function that the sequencer calls. */
async function numberAll(database: pg.Client, events: number, topics: string): Promise<number> {
  await fillOutbox(database, events, topics);
  const began = performance.now();
  for (let left = events; left > 0; left -= BATCH)
    await database.query('select from number_events($1::integer, 0)', [BATCH]);
  return events / ((performance.now() - began) / 1000);
}

/** Events a second from their commit, all at once, until a client has the last of them. */
async function throughServer(database: pg.Client, client: FeedClient, events: number): Promise<number> {
  const end = client.history.last + events;
  await fillOutbox(database, events, '{feed,author:1}');
  const began = performance.now();
  while (!client.history.reaches(end)) {
    if (performance.now() - began > LIMIT)
      throw new Error(`the client is at ${client.history.last} of ${end}`);
    await pause(10);
  }
  return events / ((performance.now() - began) / 1000);
}

async function fillOutbox(database: pg.Client, events: number, topics: string): Promise<void> {
  await database.query(
    `insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
     select 'post:created', 'post', 1000000 + n, 'public', $2::text[], 'nothing',
       '{title,content,owner.username}', json_build_object('id', 1000000 + n, 'title', 'A title of the usual length',
       'content', repeat('Some sentences of somebody. ', 5), 'published', true, 'owner_id', 1,
       'owner', json_build_object('id', 1, 'username', 'somebody'), 'votes', 0, 'rev', 0)
     from generate_series(1, $1::integer) n`,
    [events, topics],
  );
}

async function bareInsert(database: pg.Client, events: number): Promise<number> {
  await database.query('truncate bare_events');
  const { rows } = await database.query<{ data: unknown }>(
    'select data from event_log order by seq desc limit 1',
  );
  const data = JSON.stringify(rows[0]?.data);
  const began = performance.now();
  for (let from = 0; from < events; from += BATCH) {
    await database.query({
      name: 'bare-insert',
      text: `insert into bare_events
               (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data, created_at)
             select $1::integer + n, $1::integer + n, 'post:created', 'post', n, 'public', '{feed,author:1}',
               '{title,content,owner.username}', $2::json, clock_timestamp()
             from generate_series(1, $3::integer) n`,
      values: [from, data, Math.min(BATCH, events - from)],
    });
  }
  return events / ((performance.now() - began) / 1000);
}
