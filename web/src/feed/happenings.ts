import type { LiveEvent } from 'tidings-client';

/** Events that are kept at most. */
const KEPT = 1000;

/**
 * The newest events, for lists that were read a moment ago: an answer tells how the world was at its position, and what has
 * been handed on since is made up for from here.
 */
export class Happenings {
  #events: LiveEvent[] = [];

  add(event: LiveEvent): void {
    this.#events.push(event);
    if (this.#events.length > 2 * KEPT) this.#events = this.#events.slice(-KEPT);
  }

  since(seq: number): readonly LiveEvent[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  /** The numbering has changed: what was is no news of it. */
  clear(): void {
    this.#events = [];
  }
}
