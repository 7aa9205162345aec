import type { Cluster, Redis } from 'ioredis';
import {
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible';

/** So many points per window of so many seconds. */
export interface Limit {
  points: number;
  duration: number;
}

/** How long the memory of the node stands in after Redis has failed to answer in time. Milliseconds. */
const RECOVERY = 2000;

/** Redis for what nodes count together, or the node's own memory while it does not answer: nobody waits for it. */
export class SharedCounts {
  readonly redis: Redis | Cluster | undefined;
  #againAt = 0;

  /** @param redis a connection whose commands fail in time; see `connectRedis` */
  constructor(redis: Redis | Cluster | undefined) {
    this.redis = redis;
  }

  /** What `shared` gives, or else `own`. */
  async ask<T>(
    shared: ((redis: Redis | Cluster) => Promise<T>) | undefined,
    own: () => Promise<T>,
  ): Promise<T> {
    if (!this.redis || !shared || Date.now() < this.#againAt) return own();
    try {
      return await shared(this.redis);
    } catch {
      this.#againAt = Date.now() + RECOVERY;
      return own();
    }
  }
}

/**
 * Counts in Redis, for all nodes together, and in the memory of each node while Redis does not answer: then a client gets
 * as many times the limit as there are nodes.
 */
export class Counter {
  readonly limit: Limit;
  readonly #counts: SharedCounts;
  readonly #shared: RateLimiterAbstract | undefined;
  readonly #own: RateLimiterAbstract;

  /** @param refundable whether points are given back; if not, what is over the limit is refused out of memory, and a flood costs Redis nothing */
  constructor(name: string, limit: Limit, counts: SharedCounts, { refundable = false } = {}) {
    this.limit = limit;
    this.#counts = counts;
    this.#own = new RateLimiterMemory({ keyPrefix: name, ...limit });
    this.#shared =
      counts.redis &&
      new RateLimiterRedis({
        storeClient: counts.redis,
        keyPrefix: `tidings:limit:${name}`,
        ...limit,
        rejectIfRedisNotReady: true,
        ...(refundable ? {} : { inMemoryBlockOnConsumed: limit.points + 1 }),
      });
  }

  /** Takes one point and says how it stands; the limit is passed when more points are consumed than there are. */
  take(key: string): Promise<RateLimiterRes> {
    return this.#ask((limiter) => limiter.consume(key).catch(refusalAsState));
  }

  /** Gives a point back. */
  async giveBack(key: string): Promise<void> {
    await this.#ask((limiter) => limiter.reward(key));
  }

  #ask<T>(work: (limiter: RateLimiterAbstract) => Promise<T>): Promise<T> {
    const shared = this.#shared;
    return this.#counts.ask(shared && (() => work(shared)), () => work(this.#own));
  }
}

function refusalAsState(refusal: unknown): RateLimiterRes {
  if (refusal instanceof RateLimiterRes) return refusal;
  throw refusal;
}
