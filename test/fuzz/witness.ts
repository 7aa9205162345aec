import { io } from 'socket.io-client';
import type { Position } from '../../server/contract.ts';
import { percentile } from '../faults/percentile.ts';
import { feedEventNames } from '../support/feed-event-names.ts';
import { watchFrames } from '../support/frames.ts';
import { signUp } from '../support/world.ts';

/** What a bystander was handed while a writer wrote, and how soon. Milliseconds. */
export interface Testimony {
  written: number;
  missed: number;
  p99: number;
  max: number;
  /** The same without the time for which the processes on the way waited for a processor. */
  maxOwn: number;
  /** A hole, a double or a swap in what it was handed. */
  faults: string[];
}

/** Between two posts of the writer. Milliseconds. */
const PAUSE = 100;
const LAST_WAIT = 3000;

/** When something was seen, and how long everyone on the way had waited for a processor by then. Milliseconds. */
interface Moment {
  at: number;
  waited: number;
}

/**
 * A stock client that only listens on one node, and somebody who posts on another: whatever is done to both nodes.
 * @param waited see `waitedForCpu`
 */
export async function bearWitness(
  writeTo: string,
  listenAt: string,
  waited: () => number,
): Promise<() => Promise<Testimony>> {
  const moment = (): Moment => ({ at: Date.now(), waited: waited() });
  const user = await signUp(writeTo);
  const socket = io(listenAt, { auth: { token: user.token }, transports: ['websocket'], forceNew: true });
  const { faults: frameFaults } = watchFrames(socket);
  const arrived = new Map<number, Moment>();
  const faults: string[] = [];
  let last: number | undefined;
  // Numbers in between are of events that are for others alone: the hostile requests follow and block too. They also reply
  // to the bystander's posts and vote for them, which is told to the bystander alone.
  let position = 0;
  socket.on('feed:head', ({ seq }: Position) => (position = Math.max(position, seq)));
  for (const name of feedEventNames)
    socket.on(name, (post: { id: number }, { seq, prev }: Position) => {
      if (last !== undefined && (seq <= position || prev < last || prev > position))
        faults.push(`after ${last} came ${seq}, which follows ${prev}`);
      last = seq;
      position = seq;
      if (name === 'post:created') arrived.set(post.id, moment());
    });
  socket.on('disconnect', (reason) => faults.push(`the bystander was disconnected: ${reason}`));
  await new Promise<void>((resolve, reject) => {
    socket.once('ready', ({ seq }: { seq: number }) => {
      last = seq;
      position = seq;
      resolve();
    });
    socket.once('connect_error', reject);
  });
  const answered = new Map<number, Moment>();
  let stopped = false;
  const writing = (async () => {
    while (!stopped) {
      try {
        const { status, body } = await user.post<{ id: number }>('/posts', { title: 'witness', content: '' });
        if (status === 201) answered.set(body.id, moment());
        else faults.push(`a post of the writer was answered with ${status}`);
      } catch (error) {
        faults.push(`a post of the writer was not answered: ${String((error as Error).cause ?? error)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  })();
  return async () => {
    stopped = true;
    await writing;
    await new Promise((resolve) => setTimeout(resolve, LAST_WAIT));
    socket.off('disconnect');
    socket.disconnect();
    const delays = [...answered].flatMap(([id, { at, waited: waitedBefore }]) => {
      const came = arrived.get(id);
      return came === undefined
        ? []
        : [{ all: Math.max(0, came.at - at), own: Math.max(0, came.at - at - (came.waited - waitedBefore)) }];
    });
    const all = delays.map((delay) => delay.all);
    return {
      written: answered.size,
      missed: answered.size - delays.length,
      p99: percentile(all, 0.99),
      max: Math.max(0, ...all),
      maxOwn: Math.round(Math.max(0, ...delays.map((delay) => delay.own))),
      faults: [...faults, ...frameFaults],
    };
  };
}
