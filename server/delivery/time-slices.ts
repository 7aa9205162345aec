/**
 * Works through many items in time slices and yields to the event loop between two of them. Writing to fifteen thousand
 * sockets takes half a second: in one piece, every request and every answer of the database would wait that long. What
 * fits into the first slice is done when the call returns.
 */
export class TimeSlices {
  readonly #length: number;

  /** @param length of one slice, in milliseconds; 0 ends it after each item */
  constructor(length: number) {
    this.#length = length;
  }

  /**
   * @param items may change meanwhile: what is taken out is not met any more, what is added to a set still is
   * @param ready asked before each item: undefined if its work may be done now, otherwise resolves when to ask again
   * @returns how long it worked, without what was done between two slices. Milliseconds
   */
  async each<T>(
    items: Iterable<T>,
    work: (item: T) => void,
    ready?: () => Promise<void> | undefined,
  ): Promise<number> {
    let worked = 0;
    let began = performance.now();
    for (const item of items) {
      for (let wait = ready?.(); wait; wait = ready?.()) {
        worked += performance.now() - began;
        await wait;
        began = performance.now();
      }
      work(item);
      const slice = performance.now() - began;
      if (slice < this.#length) continue;
      worked += slice;
      await new Promise((resolve) => setImmediate(resolve));
      began = performance.now();
    }
    return worked + performance.now() - began;
  }
}
