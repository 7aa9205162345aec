/** The senders that a request counts for, for example a user and its address. */
export type Senders = readonly (number | string)[];

export interface QueueLimitOptions<Ask> {
  /** Requests that wait at most. */
  most: number;
  sendersOf: (ask: Ask) => Senders;
  /** Removes a request from its queue and rejects it. It has been deleted from the limit. */
  refuse: (ask: Ask) => void;
}

/**
 * Limits the length of a queue so that no sender can fill it: when too many requests wait, the last one of the sender
 * with the most is refused, and not the new one (unless it is the same). Of an address that several users share it is
 * one of the user with the most. Only when as many senders wait as there are places does a newcomer have to go.
 *
 * It only counts; the queue itself is its owner's. A request costs the same however many wait; a refusal as much as
 * there are senders that are as busy, and requests of the busiest.
 */
export class QueueLimit<Ask> {
  readonly #options: QueueLimitOptions<Ask>;
  /** Each sender's requests, in the order of arrival. */
  readonly #asksOf = new Map<number | string, Set<Ask>>();
  /** Number of requests → the senders that have so many, for the busiest to be found at once. */
  readonly #sendersWith = new Map<number, Set<number | string>>();
  #busiest = 0;
  readonly #waiting = new Set<Ask>();

  constructor(options: QueueLimitOptions<Ask>) {
    this.#options = options;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Counts a request that begins to wait, and refuses one if that is too many: perhaps the same. */
  add(ask: Ask): void {
    this.#waiting.add(ask);
    for (const sender of this.#options.sendersOf(ask)) {
      const asks = this.#asksOf.get(sender) ?? new Set();
      this.#asksOf.set(sender, asks);
      asks.add(ask);
      this.#move(sender, asks.size - 1, asks.size);
    }
    if (this.#waiting.size <= this.#options.most) return;
    const victim = this.#lastOfBusiest();
    if (victim === undefined) return;
    this.delete(victim);
    this.#options.refuse(victim);
  }

  /** Ends the count of a request that waits no more. Idempotent. */
  delete(ask: Ask): void {
    if (!this.#waiting.delete(ask)) return;
    for (const sender of this.#options.sendersOf(ask)) {
      const asks = this.#asksOf.get(sender);
      if (!asks) continue;
      asks.delete(ask);
      this.#move(sender, asks.size + 1, asks.size);
      if (asks.size === 0) this.#asksOf.delete(sender);
    }
  }

  #move(sender: number | string, before: number, after: number): void {
    const left = this.#sendersWith.get(before);
    left?.delete(sender);
    if (left?.size === 0) this.#sendersWith.delete(before);
    if (after > 0) {
      const joined = this.#sendersWith.get(after) ?? new Set();
      this.#sendersWith.set(after, joined.add(sender));
    }
    if (after > this.#busiest) this.#busiest = after;
    // It falls by one at a time, as its sender does.
    else if (before === this.#busiest && !this.#sendersWith.has(before)) this.#busiest = after;
  }

  /** Among several that are as busy, the one that became so last: of as many senders as places it is the newcomer. */
  #lastOfBusiest(): Ask | undefined {
    const busiest = [...(this.#sendersWith.get(this.#busiest) ?? [])].at(-1);
    if (busiest === undefined) return undefined;
    let victim: Ask | undefined;
    let crowd = 0;
    for (const ask of this.#asksOf.get(busiest) ?? []) {
      const least = Math.min(
        ...this.#options.sendersOf(ask).map((sender) => this.#asksOf.get(sender)?.size ?? 0),
      );
      if (least < crowd) continue;
      crowd = least;
      victim = ask;
    }
    return victim;
  }
}
