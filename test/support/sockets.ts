import type { Problem, Ready } from '../../server/contract.ts';
import { feedEventNames } from './feed-event-names.ts';
import type { TestSocket } from './world.ts';

/** One feed event as a stock client was handed it. */
export interface Heard {
  name: string;
  seq: number;
  post: { id: number; title?: string; content?: string };
}

/** Resolves with the server's first word to a socket that was let in. */
export function readyOf(socket: TestSocket): Promise<Ready> {
  return new Promise((resolve, reject) => {
    socket.once('ready', resolve);
    socket.once('connect_error', reject);
  });
}

/** Resolves with the problem object of a socket that was not let in. */
export function refusalOf(socket: TestSocket): Promise<Problem> {
  return new Promise((resolve, reject) => {
    socket.once('connect_error', (error) => resolve((error as Error & { data: Problem }).data));
    socket.once('ready', () => reject(new Error('the socket was let in')));
  });
}

/** Everything of the feed that a socket is handed from now on, in order of arrival. */
export function record(socket: TestSocket): Heard[] {
  const heard: Heard[] = [];
  for (const name of feedEventNames) {
    socket.on(name, (post: Heard['post'], { seq }: { seq: number }) => heard.push({ name, seq, post }));
  }
  return heard;
}

/** Where a list of seqs is not one after the other from `from` on: undefined if it is without hole, double or swap. */
export function firstFault(seqs: readonly number[], from: number): string | undefined {
  for (const [at, seq] of seqs.entries()) {
    if (seq !== from + 1 + at) return `after ${seqs[at - 1] ?? from} came ${seq}`;
  }
  return undefined;
}
