import { takeRoundRobin } from '../queues/round-robin.ts';
import { QueueLimit, type Senders } from '../queues/queue-limit.ts';

export interface MicroBatcherOptions<Ask> {
  /** Rounds under way at once: enough to fill the wait for the database, few enough that asks gather under load. */
  atOnce: number;
  /** Asks in one round at most. */
  most: number;
  /** Whose ask it is: of more asks than fit one round each sender has its share. */
  sendersOf: (ask: Ask) => Senders;
  /**
   * Asks that wait at most while all rounds are under way. The last one of the sender with the most is taken out, and told so
   * by `refuse`. Without it they are bounded by who may ask, or by their owner.
   */
  bound?: { most: number; refuse: (ask: Ask) => void };
  /** Answers them all, with a failure too: it must not reject. */
  round: (asks: readonly Ask[]) => Promise<void>;
}

/**
 * Answers together who asks at the same moment. Asks of one tick go into one round, and while so many rounds are under way
 * the others gather for the next: load makes rounds larger and not more, and a lone ask waits for nobody. A round begins
 * after each of its asks has come, so its answer is as fresh as one of their own.
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

  /** Asks that wait for a round. */
  get waiting(): number {
    return this.#waiting.length;
  }

  add(ask: Ask): void {
    this.#waiting.push(ask);
    this.#count(ask);
    this.#schedule();
  }

  /** Leaves asks of a round to a later one, as if they had come before all that wait. */
  putBack(asks: readonly Ask[]): void {
    this.#waiting.unshift(...asks);
    for (const ask of asks) this.#count(ask);
    this.#schedule();
  }

  /** Takes out an ask that waits for its round. */
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
    // What else arrives in this tick belongs to the same round.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#waiting.length === 0) return; // taken out since
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
