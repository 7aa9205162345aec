import type { Follower } from '../log/follower.ts';

/**
 * How old the last look at the log may be while events are written. The answer to a block comes this long after the
 * block has its number: by then each node has passed it, or writes nothing. Milliseconds.
 */
const MAX_AGE = 1000;

/**
 * Whether the node has read the log recently enough to write events. A node whose database is away, or whose process
 * was stopped for a while, might not know that somebody hides somebody: it waits for a look at the log.
 */
export class Freshness {
  readonly #feed: Pick<Follower, 'knownAt' | 'wake'>;
  readonly #waiting = new Set<() => void>();

  constructor(feed: Pick<Follower, 'knownAt' | 'wake' | 'on'>) {
    this.#feed = feed;
    feed.on('read', () => this.#release());
  }

  /** Asked before each write: a process may be stopped at any moment. */
  get isFresh(): boolean {
    return performance.now() - this.#feed.knownAt < MAX_AGE;
  }

  /** Resolves when it is fresh, or the service stops; undefined if it is. */
  wait(): Promise<void> | undefined {
    if (this.isFresh) return undefined;
    this.#feed.wake();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** Nobody waits any longer. */
  stop(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #release(): void {
    if (!this.isFresh) return;
    this.stop();
  }
}
