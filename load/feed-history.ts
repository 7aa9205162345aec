/** Events noted one by one as missing; of a larger hole only the number is kept. */
const MAX_NOTED = 10_000;

/**
 * The numbers that one client was handed, held against 1, 2, 3 …: each once, in order, without a gap. Kept as small as
 * that allows, since there are tens of thousands of them: what arrived in order is one number.
 */
export class FeedHistory {
  /** The highest number handed over, or taken as the start. */
  last = -1;
  doubled = 0;
  outOfOrder = 0;
  /** Times that the server said it cannot serve the client's position: a loss that is told. */
  resets = 0;
  #floor = -1;
  #missing: Set<number> | undefined;
  #lostUnnoted = 0;

  /** The client begins here: what came before is not its affair. */
  begin(seq: number): void {
    this.last = seq;
    this.#floor = seq;
    this.#missing = undefined;
  }

  get begun(): boolean {
    return this.#floor >= 0;
  }

  take(seq: number): void {
    if (seq === this.last + 1) {
      this.last = seq;
      return;
    }
    if (seq > this.last) {
      for (let missed = this.last + 1; missed < seq; missed += 1) {
        this.#missing ??= new Set();
        if (this.#missing.size >= MAX_NOTED) {
          this.#lostUnnoted += seq - missed;
          break;
        }
        this.#missing.add(missed);
      }
      this.last = seq;
    } else if (this.#missing?.delete(seq)) this.outOfOrder += 1;
    else this.doubled += 1;
  }

  /** Whether the client has everything up to this number. */
  reaches(head: number): boolean {
    return this.last >= head && this.lost(head) === 0;
  }

  /** How many events up to `head` it was never handed. */
  lost(head: number): number {
    return (this.#missing?.size ?? 0) + this.#lostUnnoted + Math.max(0, head - this.last);
  }
}
