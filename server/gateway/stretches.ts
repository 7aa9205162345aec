/**
 * Does something with each of many in stretches, and lets the node do what else there is between two of them. To write to
 * fifteen thousand sockets takes half a second, and in one piece every request and every answer of the database would wait
 * that long. What fits into the first stretch is done when the call returns.
 */
export class Stretches {
  readonly #length: number;

  /** @param length of one stretch, in milliseconds; 0 ends it after each item */
  constructor(length: number) {
    this.#length = length;
  }

  /**
   * @param items may change meanwhile: what is taken out is not met any more, what is added to a set still is
   * @returns how long it worked, without what was done between two stretches. Milliseconds
   */
  async each<T>(items: Iterable<T>, work: (item: T) => void): Promise<number> {
    let worked = 0;
    let began = performance.now();
    for (const item of items) {
      work(item);
      const stretch = performance.now() - began;
      if (stretch < this.#length) continue;
      worked += stretch;
      await new Promise((resolve) => setImmediate(resolve));
      began = performance.now();
    }
    return worked + performance.now() - began;
  }
}
