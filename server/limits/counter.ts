import type { SharedCounts, Taken } from './shared-counts.ts';
import type { Limit } from './store.ts';

/** One rate limit: counts by key and returns the state of a counter. */
export class Counter {
  readonly limit: Limit;
  readonly #name: string;
  readonly #counts: SharedCounts;
  readonly #refundable: boolean;

  /** @param refundable whether points are given back; if not, what is over the limit is refused out of memory, and a flood costs Redis nothing */
  constructor(name: string, limit: Limit, counts: SharedCounts, { refundable = false } = {}) {
    this.limit = limit;
    this.#name = name;
    this.#counts = counts;
    this.#refundable = refundable;
  }

  /** Takes one point; the limit is passed when more points are consumed than there are. */
  take(key: string): Promise<Taken> {
    const { points, duration } = this.limit;
    return this.#counts.take(this.#keyOf(key), duration, this.#refundable ? Infinity : points);
  }

  /** How many points are taken now. */
  taken(key: string): Promise<number> {
    return this.#counts.taken(this.#keyOf(key));
  }

  #keyOf(key: string): string {
    return `limit:${this.#name}:${key}`;
  }
}
