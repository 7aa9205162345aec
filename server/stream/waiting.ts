import type { Response } from 'express';
import type { Context } from '../context.ts';
import type { Follower } from '../feed/follower.ts';

const waiting = new WeakMap<Follower, Set<(seq: number) => void>>();

/** Resolves when the node has an event beyond `after`, when the time is over, when the asker has gone, or the node stops. */
export function newEvents(ctx: Context, after: number, milliseconds: number, res: Response): Promise<void> {
  const { feed, stopping } = ctx;
  if (feed.seq > after || stopping.aborted) return Promise.resolve();
  let all = waiting.get(feed);
  if (!all) {
    const ours = new Set<(seq: number) => void>();
    all = ours;
    waiting.set(feed, ours);
    feed.on('events', () => {
      for (const look of [...ours]) look(feed.seq);
    });
    // Another numbering: whoever waits has to look what it means for them.
    feed.on('epoch', () => {
      for (const look of [...ours]) look(Infinity);
    });
  }
  const waiters = all;
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      waiters.delete(look);
      res.off('close', done);
      stopping.removeEventListener('abort', done);
      resolve();
    };
    const look = (seq: number) => {
      if (seq > after) done();
    };
    const timer = setTimeout(done, milliseconds);
    res.once('close', done);
    stopping.addEventListener('abort', done);
    waiters.add(look);
  });
}
