/**
 * The events that are told to everybody, by what clients were told of them. What is for a single user has numbers too,
 * so an event need not have the number behind that of the event before it.
 */
export class PublicChain {
  readonly #before = new Map<number, number>();
  #last = 0;

  /**
   * Whether it can be that an event is told with this one before it: not if another one lies in between, as far as that
   * was known when the event first came.
   */
  admits(seq: number, prev: number): boolean {
    return prev >= this.#eventBefore(seq);
  }

  /** 0 if none is known. */
  #eventBefore(seq: number): number {
    let before = this.#before.get(seq);
    if (before === undefined) {
      before = seq > this.#last ? this.#last : 0;
      this.#before.set(seq, before);
      this.#last = Math.max(this.#last, seq);
    }
    return before;
  }
}
