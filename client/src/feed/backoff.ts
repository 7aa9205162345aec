export interface BackoffOptions {
  /** The first wait is anything up to this, the next up to twice as long, and so on. Milliseconds. */
  base?: number;
  /** The longest wait. Milliseconds. */
  cap?: number;
}

/**
 * How long to wait before the next attempt: exponential, with full jitter, so that ten thousand clients that lost one
 * node at one moment do not meet again at the next.
 */
export class Backoff {
  readonly #base: number;
  readonly #cap: number;
  #attempts = 0;

  constructor({ base = 1000, cap = 4000 }: BackoffOptions = {}) {
    this.#base = base;
    this.#cap = cap;
  }

  /** @param atLeast milliseconds, for a refusal that will not pass sooner */
  next(atLeast = 0): number {
    const window = Math.min(this.#cap, this.#base * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 30);
    return atLeast + Math.random() * window;
  }

  reset(): void {
    this.#attempts = 0;
  }
}
