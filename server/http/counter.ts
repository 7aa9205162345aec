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

/** How long Redis is not asked after it has failed to answer in time. Milliseconds. */
const RECOVERY = 2000;

/** Redis, for what nodes count together; it is asked only while it answers, so that nobody waits for it. */
export class SharedCounts {
  readonly redis: Redis | Cluster | undefined;
  #againAt = 0;

  /** @param redis a connection whose commands fail in time; see `connectRedis` */
  constructor(redis: Redis | Cluster | undefined) {
    this.redis = redis;
  }

  /** What Redis says, or undefined while it says nothing. */
  async ask<T>(question: (redis: Redis | Cluster) => Promise<T>): Promise<T | undefined> {
    if (!this.redis || Date.now() < this.#againAt) return undefined;
    try {
      return await question(this.redis);
    } catch {
      this.#againAt = Date.now() + RECOVERY;
      return undefined;
    }
  }
}

/**
 * Counts in Redis, for all nodes together, and in the memory of the node as well, which then knows how it stands when Redis does
 * not answer: a client gets as many times the limit as there are nodes, and not once more whenever Redis is slow.
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
  async take(key: string): Promise<RateLimiterRes> {
    const own = await this.#own.consume(key).catch(refusalAsState);
    const shared = this.#shared;
    const all =
      shared &&
      (await this.#counts.ask(() => shared.consume(key).catch((refusal: unknown) => this.#refused(refusal))));
    return all && all.consumedPoints >= own.consumedPoints ? all : own;
  }

  /** A refusal out of memory tells of no points, and is one all the same: what this node has counted alone must not outweigh it. */
  #refused(refusal: unknown): RateLimiterRes {
    const { msBeforeNext, consumedPoints } = refusalAsState(refusal);
    return new RateLimiterRes(0, msBeforeNext, Math.max(consumedPoints, this.limit.points + 1), false);
  }

  /** Gives a point back. */
  async giveBack(key: string): Promise<void> {
    await this.#own.reward(key);
    const shared = this.#shared;
    if (shared) await this.#counts.ask(() => shared.reward(key));
  }
}

function refusalAsState(refusal: unknown): RateLimiterRes {
  if (refusal instanceof RateLimiterRes) return refusal;
  throw refusal;
}
