import type { Logger } from '../logger.ts';
import { describeRedisError, messageOf, type RedisFault, saysMore, unproven } from './redis-faults.ts';

/** What Redis is used for, and what else must hold. */
export type RedisPart = 'bus' | 'limits' | 'epochs' | 'positions';

/** What is worse without Redis, for the log. */
const consequences: Record<RedisPart, string> = {
  bus: 'events go through PostgreSQL',
  limits: 'each machine counts rate limits on its own',
  epochs: 'two databases share one Redis prefix',
  positions: 'the restore of a database snapshot may go unnoticed',
};

export interface RedisHealthOptions {
  log: Logger;
  /** Of keys and channels. */
  prefix: string;
  /** A fault has begun, by its reason. */
  onFault: (reason: string) => void;
}

/**
 * The health of Redis. The parts that use Redis report failures and successes here; each reason is logged once, and the
 * recovery once, when everything works again.
 */
export class RedisHealth {
  readonly #options: RedisHealthOptions;
  readonly #faults = new Map<RedisPart, RedisFault>();
  readonly #logged = new Set<string>();

  constructor(options: RedisHealthOptions) {
    this.#options = options;
  }

  /** Of this part nothing is known yet. */
  expect(part: RedisPart): void {
    this.#faults.set(part, unproven);
  }

  /** @param cause an error of Redis or of the connection, or what was found out */
  fail(part: RedisPart, cause: unknown): void {
    const { log, prefix, onFault } = this.#options;
    const fault = isFault(cause) ? cause : describeRedisError(cause, prefix);
    const before = this.#faults.get(part);
    if (before && saysMore(before, fault)) return;
    this.#faults.set(part, fault);
    if (this.#logged.has(fault.reason)) return;
    this.#logged.add(fault.reason);
    onFault(fault.reason);
    log.warn(
      { reason: fault.reason, ...(isFault(cause) ? {} : { err: { message: messageOf(cause) } }) },
      `Redis: ${fault.detail} Meanwhile ${consequences[part]}.`,
    );
  }

  /** This part has just been proved to work. */
  prove(part: RedisPart): void {
    if (!this.#faults.delete(part) || this.#faults.size > 0 || this.#logged.size === 0) return;
    this.#logged.clear();
    this.#options.log.info('Redis works again');
  }

  isWell(part: RedisPart): boolean {
    return !this.#faults.has(part);
  }

  /** The fault that says most; undefined while all is well. */
  get fault(): RedisFault | undefined {
    const [first, ...others] = this.#faults.values();
    return others.reduce((most, fault) => (most && saysMore(fault, most) ? fault : most), first);
  }
}

function isFault(cause: unknown): cause is RedisFault {
  return typeof cause === 'object' && cause !== null && 'reason' in cause && 'detail' in cause;
}
