/**
 * Work of which some pieces run at once, whoever waits for it in turn: after each turn a sender goes behind the others that
 * wait. For many waiters: a turn costs the same however many there are. What waits is bounded by who may ask.
 */
export class TurnTaking {
  readonly #atOnce: number;
  #running = 0;
  /** Each sender's asks, in their order; the sender whose turn is next comes first. */
  readonly #waiting = new Map<number, (() => void)[]>();
  #count = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Asks that wait. */
  get waiting(): number {
    return this.#count;
  }

  async run<T>(sender: number, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running += 1;
    else await this.#wait(sender);
    try {
      return await work();
    } finally {
      // The place is handed on, not freed: a newcomer must not slip in between.
      const next = this.#next();
      if (next) next();
      else this.#running -= 1;
    }
  }

  #wait(sender: number): Promise<void> {
    this.#count += 1;
    return new Promise((resolve) => {
      const own = this.#waiting.get(sender);
      if (own) own.push(resolve);
      else this.#waiting.set(sender, [resolve]);
    });
  }

  #next(): (() => void) | undefined {
    for (const [sender, asks] of this.#waiting) {
      const next = asks.shift();
      this.#waiting.delete(sender);
      if (asks.length > 0) this.#waiting.set(sender, asks);
      this.#count -= 1;
      return next;
    }
    return undefined;
  }
}
