import type { Response } from 'express';
import type { Connection } from '../auth/connections.ts';
import type { Identity } from '../auth/identity.ts';
import type { Context } from '../context.ts';
import { AppError, unauthorized } from '../errors.ts';
import type { Follower } from '../feed/follower.ts';

const waiting = new WeakMap<Follower, Set<(seq: number) => void>>();

/** Streams and waiting requests of one user on this node, beside the sockets. */
const MAX_PER_USER = 20;

/** @throws {AppError} 429 if the user has as many connections as one may have */
export function requireRoom(ctx: Context, user: Identity): void {
  if (ctx.connections.countOf(user.id) < MAX_PER_USER + ctx.maxSocketsPerUser) return;
  throw new AppError('too_many_requests', 'This user has too many open connections.', {
    headers: { 'Retry-After': '30' },
  });
}

/**
 * Waits as `newEvents` does, for as long as the asker's session lives: what comes after its end is not for them.
 * @throws {AppError} 401 if it ends meanwhile, 429
 */
export async function newEventsFor(
  ctx: Context,
  user: Identity,
  after: number,
  milliseconds: number,
  res: Response,
): Promise<void> {
  requireRoom(ctx, user);
  const end = new AbortController();
  const connection: Connection = {
    identity: user,
    end: () => end.abort(),
    expiring: () => undefined,
  };
  // Known first, looked up afterwards: a revocation in between is not missed.
  ctx.connections.add(connection);
  try {
    await ctx.liveSessions.require(user, { fresh: true });
    await newEvents(ctx, after, milliseconds, res, end.signal);
  } finally {
    ctx.connections.remove(connection);
  }
  if (user.expiresAt <= Date.now()) throw unauthorized('The access token has expired.');
  // A node that stops ends its connections too; who waited is answered with what there is.
  if (end.signal.aborted && !ctx.stopping.aborted)
    throw unauthorized('The session of this access token has ended.');
}

/**
 * Resolves when the node has an event beyond `after`, when the time is over, when the asker has gone, or the node stops.
 * @param ended aborted when the asker is not to hear any more
 */
export function newEvents(
  ctx: Context,
  after: number,
  milliseconds: number,
  res: Response,
  ended?: AbortSignal,
): Promise<void> {
  const { feed, stopping } = ctx;
  if (feed.seq > after || stopping.aborted || ended?.aborted === true) return Promise.resolve();
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
      ended?.removeEventListener('abort', done);
      resolve();
    };
    const look = (seq: number) => {
      if (seq > after) done();
    };
    const timer = setTimeout(done, milliseconds);
    res.once('close', done);
    stopping.addEventListener('abort', done);
    ended?.addEventListener('abort', done);
    waiters.add(look);
  });
}
