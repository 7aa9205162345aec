import type { Request, Response } from 'express';
import type { Identity } from '../auth/identity.ts';
import { AppError } from '../errors.ts';
import { addressKey } from './address-key.ts';
import { Counter } from './counter.ts';
import type { SharedCounts } from './shared-counts.ts';

/** What a route counts against. */
export type RateLimit = 'login' | 'refresh' | 'signup' | 'write' | 'read' | 'rename';

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** Counts requests: a user's wherever they come from, others' by address. */
export class RateLimits {
  readonly #counters: Record<RateLimit, Counter>;
  readonly #onRefused: (name: RateLimit) => void;

  constructor(counts: SharedCounts, onRefused: (name: RateLimit) => void) {
    this.#onRefused = onRefused;
    const limit = (name: RateLimit, points: number, duration: number) =>
      new Counter(name, { points, duration }, counts);
    this.#counters = {
      login: limit('login', 60, MINUTE),
      // By session: behind one address there may be hundreds of them.
      refresh: limit('refresh', 60, MINUTE),
      signup: limit('signup', 60, MINUTE),
      write: limit('write', 600, MINUTE),
      read: limit('read', 6000, MINUTE),
      // Each is an event of every post that the user has.
      rename: limit('rename', 10, HOUR),
    };
  }

  /**
   * Counts one request and says how many are left (the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers).
   * @param countedUnder in place of the user or the address
   * @throws {AppError} 429 with `Retry-After`
   */
  async count(
    name: RateLimit,
    req: Request,
    res: Response,
    user: Identity | undefined,
    countedUnder = user ? `u${user.id}` : `a${addressKey(req.ip ?? '')}`,
  ): Promise<void> {
    const counter = this.#counters[name];
    const { points, duration } = counter.limit;
    const state = await counter.take(countedUnder);
    const reset = Math.ceil(state.msBeforeNext / 1000);
    res.set('RateLimit-Policy', `"${name}";q=${points};w=${duration}`);
    res.set('RateLimit', `"${name}";r=${Math.max(0, points - state.consumedPoints)};t=${reset}`);
    if (state.consumedPoints <= points) return;
    this.#onRefused(name);
    throw new AppError('too_many_requests', `Too many requests. Try again in ${reset} seconds.`, {
      headers: { 'Retry-After': String(Math.max(1, reset)) },
    });
  }
}
