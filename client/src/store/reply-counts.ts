/** How many living replies are below one, and up to which event that is known. */
interface Count {
  living: number;
  asOf: number;
}

/**
 * The replies of a thread that are known: what each answers, and how many living ones are below it. A deleted reply stays
 * in a thread as long as there are some. Tallies do not serve for that: they are not ordered with the events, and a
 * deleted reply has none.
 */
export class ReplyCounts {
  readonly #parents = new Map<number, number>();
  readonly #counts = new Map<number, Count>();
  /** Whether something happened below replies that are not known: some counts may be too high or too low. */
  #unsure = false;

  get unsure(): boolean {
    return this.#unsure;
  }

  parentOf(id: number): number | undefined {
    return this.#parents.get(id);
  }

  living(id: number): number {
    return this.#counts.get(id)?.living ?? 0;
  }

  /** A reply as a page or an event has it. */
  know(id: number, parent: number, living: number, asOf: number): void {
    if (this.#parents.has(id)) return;
    this.#parents.set(id, parent);
    this.#counts.set(id, { living, asOf });
  }

  /** An event: there is one more, or one less, below what a reply answers. */
  count(id: number, root: number, change: 1 | -1, seq: number): void {
    let above = this.#parents.get(id);
    while (above !== undefined && above !== root) {
      const count = this.#counts.get(above);
      if (count && count.asOf < seq) this.#counts.set(above, { living: count.living + change, asOf: seq });
      above = this.#parents.get(above);
    }
    if (above === undefined) this.#unsure = true;
  }

  /** It is not shown any more. What is below it keeps its place. */
  forget(id: number): void {
    this.#counts.delete(id);
    this.#parents.delete(id);
  }

  clear(): void {
    this.#parents.clear();
    this.#counts.clear();
    this.#unsure = false;
  }
}
