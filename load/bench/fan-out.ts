import { setTimeout as pause } from 'node:timers/promises';
import { makeAccounts } from '../accounts.ts';
import { startBare } from './bare.ts';
import { Crowd } from './crowd.ts';
import { type Line, newLine } from './rounds.ts';
import { appendEvent, postText, writePost } from './told-events.ts';
import { costOf } from './server-cost.ts';
import { type Stage, withClient } from './stage.ts';

const SOCKETS = 5000;
/** Events of one round, and milliseconds between two. */
const SLOW = { events: 40, interval: 125 };
const FAST = { events: 200, interval: 10 };

/** One side of the comparison: a server with its crowd, and how it is made to tell an event. */
interface Side {
  pid: number;
  crowd: Crowd;
  tell: (round: number) => Promise<void>;
}

/** What a delivered event costs the server, one event at a time and a hundred a second. */
export async function fanOut(stage: Stage): Promise<Line[]> {
  const sockets = Math.ceil(SOCKETS / stage.scale);
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl);
  const bare = await startBare('feed');
  stage.after(() => bare.stop());
  return withClient(databaseUrl, async (database) => {
    const accounts = await makeAccounts(server.url, 4);
    const tokens = accounts.map((account) => account.token);
    const ours = await Crowd.gather(server.url, tokens, sockets);
    stage.after(() => ours.end());
    const theirs = await Crowd.gather(bare.url, ['none'], sockets);
    stage.after(() => theirs.end());
    let seq = 0;
    const tellBare = () => {
      seq += 1;
      bare.say({
        type: 'tell',
        text: `42["post:created",${postText(seq)},{"seq":${seq},"prev":${seq - 1}}]`,
      });
      return Promise.resolve();
    };
    const bareSide: Side = { pid: bare.pid, crowd: theirs, tell: tellBare };
    const slow = await compare(stage, SLOW, sockets, bareSide, {
      pid: server.pid,
      crowd: ours,
      tell: (number) => appendEvent(database, number),
    });
    const fast = await compare(stage, FAST, sockets, bareSide, {
      pid: server.pid,
      crowd: ours,
      tell: () => writePost(server.url, tokens[0] ?? ''),
    });
    return [
      {
        ...slow,
        what: 'server CPU per delivered post:created, one at a time',
        reach: { atMost: 1.15 },
        notes: [
          ...slow.notes,
          'written by another node: numbering, reading and delivery are in it, the request is not',
        ],
      },
      {
        ...fast,
        what: 'the same at 100 events per second',
        reach: { atMost: 0.3 },
        notes: [...fast.notes, 'written over REST on the same node: the requests are in it'],
      },
    ];
  });
}

async function compare(
  stage: Stage,
  pace: { events: number; interval: number },
  sockets: number,
  bare: Side,
  server: Side,
): Promise<Line> {
  const line = newLine({
    what: '',
    unit: 'µs',
    limit: 'a bare ws server that writes one prepared frame to each socket',
  });
  let number = 0;
  let idle = 0;
  for (let round = 0; round < stage.rounds; round += 1) {
    for (const [side, figures] of [
      [server, line.ours],
      [bare, line.theirs],
    ] as const) {
      const idleCost = await costOf(side.pid, () => pause(pace.events * pace.interval));
      const from = side.crowd.events;
      const cost = await costOf(side.pid, async () => {
        const told: Promise<void>[] = [];
        for (let event = 0; event < pace.events; event += 1) {
          number += 1;
          told.push(side.tell(number));
          await pause(pace.interval);
        }
        await Promise.all(told);
        await side.crowd.hears(pace.events * sockets, from);
      });
      // Pings and beacons are not deliveries; how much they are is told beside.
      if (side === server) idle = idleCost / ((pace.events * pace.interval) / 1000);
      figures.push(((cost - idleCost) * 1000) / (pace.events * sockets));
    }
  }
  line.notes.push(
    `${sockets} sockets; idle, our server uses ${(idle / 10).toFixed(1)} % of a core for pings and beacons, which is taken off`,
  );
  return line;
}
