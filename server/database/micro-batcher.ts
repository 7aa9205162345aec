import { takeRoundRobin } from '../queues/round-robin.ts';
import { QueueLimit, type Senders } from '../queues/queue-limit.ts';

export interface MicroBatcherOptions<Ask> {
  /**
   * Batches in progress at once: enough to use the database's latency, few enough that requests are batched under load.
   */
  atOnce: number;
  /** Maximum number of requests in one batch. */
  most: number;
  /** The senders of a request: if there are more requests than fit one batch, each sender has its share. */
  sendersOf: (ask: Ask) => Senders;
  /**
   * Maximum number of waiting requests while all batches are in progress. Beyond it the last one of the sender with the
   * most is removed and passed to `refuse`. Without it the caller limits them.
   */
  bound?: { most: number; refuse: (ask: Ask) => void };
  /** Settles all of them, also on failure: it must not reject. */
  round: (asks: readonly Ask[]) => Promise<void>;
}

/**
 * A micro-batcher: handles requests that arrive together as one batch. Requests of one tick go into one batch, and
 * while the maximum number of batches is in progress, further ones collect for the next: load makes batches larger, not
 * more numerous, and a single request does not wait. A batch begins after all of its requests have arrived, so its
 * result is as fresh as a separate query would be.
 */
export class MicroBatcher<Ask> {
  readonly #options: MicroBatcherOptions<Ask>;
  #waiting: Ask[] = [];
  #rounds = 0;
  #scheduled = false;
  readonly #bound: QueueLimit<Ask> | undefined;

  constructor(options: MicroBatcherOptions<Ask>) {
    this.#options = options;
    const { bound, sendersOf } = options;
    this.#bound =
      bound &&
      new QueueLimit({
        most: bound.most,
        sendersOf,
        refuse: (ask) => {
          this.remove(ask);
          bound.refuse(ask);
        },
      });
  }

  /** Requests that wait for a batch. */
  get waiting(): number {
    return this.#waiting.length;
  }

  add(ask: Ask): void {
    this.#waiting.push(ask);
    this.#count(ask);
    this.#schedule();
  }

  /** Defers requests of a batch to a later one, ahead of all that wait. */
  putBack(asks: readonly Ask[]): void {
    this.#waiting.unshift(...asks);
    for (const ask of asks) this.#count(ask);
    this.#schedule();
  }

  /** Removes a waiting request. */
  remove(ask: Ask): void {
    const at = this.#waiting.indexOf(ask);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#bound?.delete(ask);
  }

  #count(ask: Ask): void {
    if (this.#rounds >= this.#options.atOnce) this.#bound?.add(ask);
  }

  #schedule(): void {
    const { atOnce, most, sendersOf, round } = this.#options;
    if (this.#scheduled || this.#rounds >= atOnce || this.#waiting.length === 0) return;
    this.#scheduled = true;
    // Everything that arrives in this tick belongs to the same batch.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#waiting.length === 0) return; // removed since
      this.#rounds += 1;
      const { drawn, left } = takeRoundRobin(this.#waiting, most, sendersOf);
      this.#waiting = left;
      if (this.#bound) for (const ask of drawn) this.#bound.delete(ask);
      void round(drawn).finally(() => {
        this.#rounds -= 1;
        this.#schedule();
      });
      this.#schedule();
    });
  }
}
