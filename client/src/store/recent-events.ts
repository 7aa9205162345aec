import type { LiveEvent } from '../contract.ts';

/** Events that are kept at least, once there have been so many. */
const KEPT = 1000;

/**
 * The newest events. A page of the list and the feed are two views of one numbering, and each may be ahead of the
 * other: the page may come from a node that is behind the feed. What it lacks is applied to it from here.
 */
export class RecentEvents {
  #events: LiveEvent[] = [];
  /** From after here on every event is kept. */
  #from = 0;

  add(event: LiveEvent): void {
    this.#events.push(event);
    if (this.#events.length < 2 * KEPT) return;
    this.#events = this.#events.slice(-KEPT);
    this.#from = (this.#events[0]?.seq ?? event.seq) - 1;
  }

  /** Whether every event after a position is here. */
  reachBackTo(seq: number): boolean {
    return seq >= this.#from;
  }

  since(seq: number): readonly LiveEvent[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  /** The feed continues from another position: earlier events are not sent. */
  restart(seq: number): void {
    this.#events = [];
    this.#from = seq;
  }
}
