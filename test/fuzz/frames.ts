import { WebSocket } from 'ws';
import { HeldFrames } from '../support/held-frames.ts';
import { type Campaign, inTurns } from './campaign.ts';
import { mutateFrame } from './mutation.ts';
import { nastyFrames } from './nasty-frames.ts';

/** What a stock client sends in its life, as it was recorded. */
const recorded = [
  '3',
  '421["track",{"post_ids":[1,2,3]}]',
  '422["untrack",{"post_ids":[2]}]',
  '423["feed:mode",{"mode":"live"}]',
  '424["feed:mode",{"mode":"count"}]',
  '425["auth:renew",{"token":"a.b.c"}]',
  '430[]',
];
const PER_CONNECTION = 30;
const BURST = 3;
const TIME_LIMIT = 5000;

/**
 * Sends mutated frames of Engine.IO and Socket.IO, three at a time, over connections of which four in five have joined. A
 * ping of the WebSocket follows each three: its answer, or the close, says that they have been read.
 */
export function fuzzFrames(campaign: Campaign, count: number, token: () => string): Promise<number> {
  const { random, urls, note, violate, over } = campaign;
  return inTurns(count, over, async (at) => {
    const own = random.fork();
    const ws = new WebSocket(
      `${urls[at % urls.length]?.replace('http', 'ws') ?? ''}/socket.io/?EIO=4&transport=websocket`,
    );
    ws.on('error', () => undefined); // a close follows
    const held = new HeldFrames({ clientIsOurs: false });
    ws.on('message', (data: Buffer) => held.heard(data.toString()));
    const say = (frame: string | Buffer) => {
      held.said(frame.toString());
      ws.send(frame);
    };
    const ended = new Promise<true>((resolve) => ws.once('close', () => resolve(true)));
    let sent = 0;
    try {
      if (!(await heard(ws, '0'))) return 0;
      if (own.chance(0.8)) {
        say(`40${JSON.stringify({ token: token(), tallies: own.pick(['all', 'tracked', 'none']) })}`);
        if (!(await heard(ws, '42["ready"'))) return 0;
      }
      while (sent < PER_CONNECTION && ws.readyState === WebSocket.OPEN) {
        for (let left = BURST; left > 0; left -= 1) {
          const frame = mutateFrame(own.chance(0.6) ? own.pick(nastyFrames) : own.pick(recorded), own);
          note(`frame of connection ${at}: ${JSON.stringify(frame.toString().slice(0, 300))}`);
          say(frame);
          sent += 1;
        }
        ws.ping();
        const answered = await Promise.race([
          new Promise<true>((resolve) => ws.once('pong', () => resolve(true))),
          ended,
          new Promise<undefined>((resolve) => setTimeout(resolve, TIME_LIMIT, undefined).unref()),
        ]);
        if (answered === undefined) {
          violate(`no answer to a ping within ${TIME_LIMIT} ms`, `connection ${at}`);
          return sent;
        }
      }
      return sent;
    } finally {
      ws.terminate();
    }
  });
}

/** Whether a frame that begins so has come before the close. */
function heard(ws: WebSocket, start: string): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (answer: boolean) => {
      ws.off('message', look);
      ws.off('close', gone);
      resolve(answer);
    };
    const look = (data: Buffer) => data.toString().startsWith(start) && done(true);
    const gone = () => done(false);
    ws.on('message', look);
    ws.on('close', gone);
  });
}
