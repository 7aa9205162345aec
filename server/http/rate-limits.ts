import type { Redis, Cluster } from 'ioredis';
import type { Request, Response } from 'express';
import {
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible';
import type { Identity } from '../auth/identity.ts';
import { AppError } from '../errors.ts';

/** What a route counts against. */
export type RateLimit = 'login' | 'signup' | 'write' | 'read';

/** Points per window (seconds), by what is counted. A user is counted wherever they come from; others by address. */
const limits: Record<RateLimit, { points: number; duration: number }> = {
  login: { points: 60, duration: 60 },
  signup: { points: 60, duration: 60 },
  write: { points: 600, duration: 60 },
  read: { points: 6000, duration: 60 },
};

/** How long the memory of the node counts alone after Redis has failed to answer in time. Milliseconds. */
const RECOVERY = 2000;

/**
 * Counts in Redis, for all nodes together, and in the memory of each node while Redis does not answer: then a client gets
 * as many times the limit as there are nodes, and nobody waits.
 */
export class RateLimits {
  readonly #shared: Record<RateLimit, RateLimiterAbstract> | undefined;
  readonly #own: Record<RateLimit, RateLimiterAbstract>;
  readonly #onRefused: (name: RateLimit) => void;
  #sharedAgainAt = 0;

  /** @param redis a connection whose commands fail in time; see `connectRedis` */
  constructor(redis: Redis | Cluster | undefined, onRefused: (name: RateLimit) => void) {
    this.#onRefused = onRefused;
    this.#own = forEachLimit(
      (name, { points, duration }) => new RateLimiterMemory({ keyPrefix: name, points, duration }),
    );
    this.#shared =
      redis &&
      forEachLimit(
        (name, { points, duration }) =>
          new RateLimiterRedis({
            storeClient: redis,
            keyPrefix: `tidings:limit:${name}`,
            points,
            duration,
            rejectIfRedisNotReady: true,
            // What is over the limit is refused out of memory: a flood costs Redis nothing.
            inMemoryBlockOnConsumed: points + 1,
          }),
      );
  }

  async #consume(name: RateLimit, key: string): Promise<RateLimiterRes> {
    if (this.#shared && Date.now() >= this.#sharedAgainAt) {
      try {
        return await this.#shared[name].consume(key);
      } catch (refusal) {
        if (refusal instanceof RateLimiterRes) return refusal;
        this.#sharedAgainAt = Date.now() + RECOVERY;
      }
    }
    return this.#own[name].consume(key).catch((refusal: unknown) => {
      if (refusal instanceof RateLimiterRes) return refusal;
      throw refusal;
    });
  }

  /**
   * Counts one request and says how many are left (the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers).
   * @throws {AppError} 429 with `Retry-After`
   */
  async count(name: RateLimit, req: Request, res: Response, user: Identity | undefined): Promise<void> {
    const { points, duration } = limits[name];
    const state = await this.#consume(name, user ? `u${user.id}` : `a${addressKey(req.ip ?? '')}`);
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

function forEachLimit(
  make: (name: RateLimit, limit: { points: number; duration: number }) => RateLimiterAbstract,
): Record<RateLimit, RateLimiterAbstract> {
  const { login, signup, write, read } = limits;
  return {
    login: make('login', login),
    signup: make('signup', signup),
    write: make('write', write),
    read: make('read', read),
  };
}

/** One customer has a whole /64 of IPv6: counting single addresses would count nothing. */
function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1]) return mapped[1];
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = head.split(':').filter(Boolean);
  if (tail !== undefined) {
    const end = tail.split(':').filter(Boolean);
    while (groups.length + end.length < 8) groups.push('0');
    groups.push(...end);
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
