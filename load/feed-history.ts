/** Events noted one by one as missing; of a larger hole only the number is kept. */
const MAX_NOTED = 10_000;

/**
 * The numbers that one client was handed, held against the chain that they name: each once, in order, without a gap.
 * Kept as small as that allows, since there are tens of thousands of clients: what arrived in order is one number.
 *
 * Of a hole, the event that the next one names is lost, and those that other clients were handed; the other numbers may
 * be of events that are not for this client.
 */
export class FeedHistory {
  /** The highest number handed over, or taken as the start. */
  last = -1;
  doubled = 0;
  outOfOrder = 0;
  /** Times that the server said it cannot serve the client's position: a loss that is told. */
  resets = 0;
  #floor = -1;
  /** With whether the chain names it. */
  #missing: Map<number, boolean> | undefined;
  #lostUnnoted = 0;
  readonly #isEvent: (seq: number) => boolean;

  /** @param isEvent whether another client was handed an event of this number */
  constructor(isEvent: (seq: number) => boolean = () => true) {
    this.#isEvent = isEvent;
  }

  /** The client begins here: what came before is not its affair. */
  begin(seq: number): void {
    this.last = seq;
    this.#floor = seq;
    this.#missing = undefined;
  }

  get begun(): boolean {
    return this.#floor >= 0;
  }

  /** @param prev between it and the event there is nothing for this client */
  take(seq: number, prev = seq - 1): void {
    if (seq > this.last) {
      for (let missed = this.last + 1; missed <= prev; missed += 1) {
        this.#missing ??= new Map();
        if (this.#missing.size >= MAX_NOTED) {
          this.#lostUnnoted += prev + 1 - missed;
          break;
        }
        this.#missing.set(missed, missed === prev);
      }
      this.last = seq;
    } else if (this.#missing?.delete(seq)) this.outOfOrder += 1;
    else this.doubled += 1;
  }

  /** A beacon: there is nothing for this client between the two numbers. */
  moveOn(seq: number, prev: number): void {
    if (prev <= this.last && seq > this.last) this.last = seq;
  }

  /** Whether the client has everything up to this number. */
  reaches(head: number): boolean {
    return this.last >= head && this.lost(head) === 0;
  }

  /** How many events up to `head` it was never handed. */
  lost(head: number): number {
    let lost = this.#lostUnnoted;
    // The last numbers may be of events that are not for this client: the beacon that says so comes only later.
    for (let seq = this.last + 1; seq <= head; seq += 1) if (this.#isEvent(seq)) lost += 1;
    for (const [seq, isNamed] of this.#missing ?? []) if (isNamed || this.#isEvent(seq)) lost += 1;
    return lost;
  }
}
