import type { Request, Response } from 'express';
import type { Identity } from '../auth/identity.ts';
import { AppError } from '../errors.ts';
import { addressKey } from './address-key.ts';
import { Counter, type SharedCounts } from './counter.ts';

/** What a route counts against. */
export type RateLimit = 'login' | 'signup' | 'write' | 'read';

/** Counts requests: a user's wherever they come from, others' by address. */
export class RateLimits {
  readonly #counters: Record<RateLimit, Counter>;
  readonly #onRefused: (name: RateLimit) => void;

  constructor(counts: SharedCounts, onRefused: (name: RateLimit) => void) {
    this.#onRefused = onRefused;
    const perMinute = (name: RateLimit, points: number) =>
      new Counter(name, { points, duration: 60 }, counts);
    this.#counters = {
      login: perMinute('login', 60),
      signup: perMinute('signup', 60),
      write: perMinute('write', 600),
      read: perMinute('read', 6000),
    };
  }

  /**
   * Counts one request and says how many are left (the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers).
   * @throws {AppError} 429 with `Retry-After`
   */
  async count(name: RateLimit, req: Request, res: Response, user: Identity | undefined): Promise<void> {
    const counter = this.#counters[name];
    const { points, duration } = counter.limit;
    const state = await counter.take(user ? `u${user.id}` : `a${addressKey(req.ip ?? '')}`);
    const reset = Math.ceil(state.msBeforeNext / 1000);
    res.set('RateLimit-Policy', `"${name}";q=${points};w=${duration}`);
    res.set('RateLimit', `"${name}";r=${Math.max(0, state.remainingPoints)};t=${reset}`);
    if (state.consumedPoints <= points) return;
    this.#onRefused(name);
    throw new AppError('too_many_requests', `Too many requests. Try again in ${reset} seconds.`, {
      headers: { 'Retry-After': String(Math.max(1, reset)) },
    });
  }
}
