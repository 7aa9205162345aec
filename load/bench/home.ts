import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { Crowd } from './crowd.ts';
import { connectAlone } from './lone-client.ts';
import { follow, makeMembers, type Member } from './members.ts';
import { type Line, newLine } from './rounds.ts';
import { costOf } from './server-cost.ts';
import { SharedStream } from '../shared-stream.ts';
import { openClient, type Stage } from './stage.ts';
import { appendEvent, appendEvents } from './told-events.ts';

const SOCKETS = 5000;
const FOLLOWEES = 200;
/** Followees are chosen among these, so that half of the listeners hear each of them. */
const AUTHORS = 2 * FOLLOWEES;
/** Events of one round, and milliseconds between two. */
const PACE = { events: 40, interval: 250 };
/** Events that nobody wants, in one round, and in one statement. */
const UNWANTED = { events: 20_000, together: 500 };

/** How long events may take. Milliseconds. */
const LIMIT = 120_000;

interface Author {
  id: number;
  /** Sockets that receive an event of theirs. */
  listeners: number;
}

/** A node with its database and its listeners. */
interface Node {
  pid: number;
  database: pg.Client;
  crowds: readonly Crowd[];
  /** Whose events home listeners receive, and whose none of them does. */
  authors: readonly Author[];
  unfollowed: readonly Author[];
  /** Resolves when the node has passed all that has been appended. */
  passed: () => Promise<void>;
}

/** What home listeners cost beside those who receive everything, and on their own. */
export async function home(stage: Stage): Promise<Line[]> {
  const sockets = Math.ceil(SOCKETS / stage.scale);
  const everyone = await prepare(stage, { everyone: sockets, home: 0 });
  const beside = await prepare(stage, { everyone: sockets, home: sockets });
  // Each event is for half of them: as many deliveries as of one to everyone.
  const homes = await prepare(stage, { everyone: 0, home: 2 * sockets });
  const nobody = await prepare(stage, { everyone: 0, home: 0 });
  const lines = {
    beside: newLine({
      what: `CPU per delivered event of ${sockets} who take everything, beside ${sockets} with home`,
      unit: 'µs',
      limit: 'the same number without the others',
      reach: { atMost: 1.05 },
      notes: ['of authors whom none of the others follows; beacons and pings are taken off'],
    }),
    homes: newLine({
      what: `CPU per delivered event, home of ${FOLLOWEES} followees`,
      unit: 'µs',
      limit: 'to those who take everything, as many deliveries of each event',
      reach: { atMost: 1.1 },
    }),
    nobody: newLine({
      what: 'CPU for an event that none of them wants, beyond that on an empty node',
      unit: 'µs',
      reach: { atMost: 20 },
      notes: [`${2 * sockets} with home; ${UNWANTED.events / stage.scale} events at once`],
    }),
  };
  for (let round = 0; round < stage.rounds; round += 1) {
    const alone = await costOfDelivery(everyone, everyone.unfollowed);
    lines.beside.theirs.push(alone);
    lines.beside.ours.push(await costOfDelivery(beside, beside.unfollowed));
    lines.homes.ours.push(await costOfDelivery(homes, homes.authors));
    lines.homes.theirs.push(alone);
    const events = Math.ceil(UNWANTED.events / stage.scale);
    lines.nobody.ours.push((await costOfUnwanted(homes, events)) - (await costOfUnwanted(nobody, events)));
  }
  return Object.values(lines);
}

async function prepare(stage: Stage, { everyone, home }: { everyone: number; home: number }): Promise<Node> {
  const databaseUrl = await stage.database();
  const authors = await makeMembers(databaseUrl, AUTHORS);
  const unfollowed = await makeMembers(databaseUrl, 4);
  const listeners = await makeMembers(databaseUrl, home);
  await follow(databaseUrl, listeners, authors, FOLLOWEES);
  const server = await stage.server(databaseUrl, { MAX_CONNECTIONS: '20000' });
  const gather = async (members: readonly Member[], sockets: number, topics?: string[]) => {
    const tokens = members.map(({ token }) => token);
    const crowd = await Crowd.gather(server.url, tokens, sockets, { topics });
    stage.after(() => crowd.end());
    return crowd;
  };
  const crowds: Crowd[] = [];
  if (everyone > 0) crowds.push(await gather(unfollowed, everyone));
  if (home > 0) crowds.push(await gather(listeners, home, ['home']));
  const database = await openClient(stage, databaseUrl);
  const { rows } = await database.query<{ id: string; listeners: number }>(
    `select target_id as id, count(*)::integer as listeners from stream_relations group by 1 order by 1`,
  );
  const [author, marker] = unfollowed.map(({ id }) => id);
  if (author === undefined || marker === undefined) throw new Error('nobody was made');
  let heard = 0;
  let appended = 0;
  await connectAlone(stage, server.url, unfollowed[1]?.token ?? '', {
    stream: new SharedStream(true),
    topics: [`author:${marker}`],
    onEvent: () => (heard += 1),
  });
  return {
    pid: server.pid,
    database,
    crowds,
    authors: rows.map(({ id, listeners }) => ({ id: Number(id), listeners: everyone + listeners })),
    unfollowed: [{ id: author, listeners: everyone }],
    passed: async () => {
      appended += 1;
      await appendEvent(database, appended, marker);
      await until(() => heard >= appended);
    },
  };
}

/**
 * Microseconds for each delivery of events by these authors, one at a time. What pings and beacons cost, measured at rest,
 * is taken off: as many as came meanwhile.
 */
async function costOfDelivery(node: Node, authors: readonly Author[]): Promise<number> {
  const rest = { beats: beatsOf(node), cost: 0 };
  rest.cost = await costOf(node.pid, () => pause(PACE.events * PACE.interval));
  rest.beats = beatsOf(node) - rest.beats;
  const from = { beats: beatsOf(node), events: eventsOf(node) };
  let deliveries = 0;
  const cost = await costOf(node.pid, async () => {
    for (let event = 0; event < PACE.events; event += 1) {
      const author = authors[(event * 37) % authors.length];
      if (!author) throw new Error('nobody is there to write');
      deliveries += author.listeners;
      await appendEvent(node.database, event, author.id);
      await pause(PACE.interval);
    }
    await until(() => eventsOf(node) >= from.events + deliveries);
  });
  const beats = (beatsOf(node) - from.beats) / Math.max(1, rest.beats);
  return ((cost - rest.cost * beats) * 1000) / deliveries;
}

/** Microseconds for each of many events by somebody whom no home listener follows. */
async function costOfUnwanted(node: Node, events: number): Promise<number> {
  const author = node.unfollowed[0]?.id ?? 0;
  const began = performance.now();
  const cost = await costOf(node.pid, async () => {
    for (let at = 0; at < events; at += UNWANTED.together) {
      const together = Math.min(UNWANTED.together, events - at);
      await appendEvents(node.database, at, Array<number>(together).fill(author));
    }
    await node.passed();
  });
  const wall = performance.now() - began;
  const rest = await costOf(node.pid, () => pause(wall));
  return ((cost - rest) * 1000) / events;
}

function eventsOf({ crowds }: Node): number {
  return crowds.reduce((sum, { events }) => sum + events, 0);
}

function beatsOf({ crowds }: Node): number {
  return crowds.reduce((sum, { beats }) => sum + beats, 0);
}

/** Waits for what has to come. @throws if it does not */
async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('events are missing');
    await pause(5);
  }
}
