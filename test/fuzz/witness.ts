import { io } from 'socket.io-client';
import { percentile } from '../faults/percentile.ts';
import { signUp } from '../support/world.ts';

/** What a bystander was handed while a writer wrote, and how soon. Milliseconds. */
export interface Testimony {
  written: number;
  missed: number;
  p99: number;
  max: number;
  /** A hole, a double or a swap in what it was handed. */
  faults: string[];
}

/** Between two posts of the writer. Milliseconds. */
const PAUSE = 100;
const LAST_WAIT = 3000;

/** A stock client that only listens on one node, and somebody who posts on another: whatever is done to both nodes. */
export async function bearWitness(writeTo: string, listenAt: string): Promise<() => Promise<Testimony>> {
  const user = await signUp(writeTo);
  const socket = io(listenAt, { auth: { token: user.token }, transports: ['websocket'], forceNew: true });
  const arrived = new Map<number, number>();
  const faults: string[] = [];
  let last: number | undefined;
  for (const name of ['post:created', 'post:updated', 'post:deleted'])
    socket.on(name, (post: { id: number }, { seq }: { seq: number }) => {
      if (last !== undefined && seq !== last + 1) faults.push(`after ${last} came ${seq}`);
      last = seq;
      if (name === 'post:created') arrived.set(post.id, Date.now());
    });
  socket.on('disconnect', (reason) => faults.push(`the bystander was disconnected: ${reason}`));
  await new Promise<void>((resolve, reject) => {
    socket.once('ready', ({ seq }: { seq: number }) => {
      last = seq;
      resolve();
    });
    socket.once('connect_error', reject);
  });
  const answered = new Map<number, number>();
  let stopped = false;
  const writing = (async () => {
    while (!stopped) {
      try {
        const { status, body } = await user.post<{ id: number }>('/posts', { title: 'witness', content: '' });
        if (status === 201) answered.set(body.id, Date.now());
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
    const delays = [...answered].flatMap(([id, at]) => {
      const came = arrived.get(id);
      return came === undefined ? [] : [Math.max(0, came - at)];
    });
    return {
      written: answered.size,
      missed: answered.size - delays.length,
      p99: percentile(delays, 0.99),
      max: Math.max(0, ...delays),
      faults,
    };
  };
}
