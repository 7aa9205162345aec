/** How many living replies are below one, and up to which event that is known. */
interface Count {
  living: number;
  asOf: number;
  /** The page that had it, of those read so far; undefined if an event did. */
  page: number | undefined;
}

/**
 * The replies of a thread that are known: what each answers, and how many living ones are below it. A deleted reply stays
 * in a thread as long as there are some. Tallies do not serve for that: they are not ordered with the events, and a
 * deleted reply has none.
 */
export class ReplyCounts {
  readonly #parents = new Map<number, number>();
  readonly #counts = new Map<number, Count>();
  #pages = 0;
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

  /** The replies of the next page, with how many living ones are below each as of its position. */
  addPage(replies: { id: number; parent: number; living: number }[], asOf: number): void {
    this.#pages += 1;
    for (const { id, parent, living } of replies) this.#know(id, parent, { living, asOf, page: this.#pages });
  }

  /** A reply that an event or an answer has, with none below it. */
  know(id: number, parent: number, asOf: number): void {
    this.#know(id, parent, { living: 0, asOf, page: undefined });
  }

  #know(id: number, parent: number, count: Count): void {
    if (this.#parents.has(id)) return;
    this.#parents.set(id, parent);
    this.#counts.set(id, count);
  }

  /**
   * An event: there is one more, or one less, below what a reply answers. A page also has what was committed and had no
   * number yet when it was read: the event of such a reply comes after the position of the page, whose counts have it.
   */
  count(id: number, root: number, change: 1 | -1, seq: number): void {
    const page = change === 1 ? this.#counts.get(id)?.page : undefined;
    let above = this.#parents.get(id);
    while (above !== undefined && above !== root) {
      const count = this.#counts.get(above);
      const isIn = page !== undefined && count?.page !== undefined && page <= count.page;
      if (count && count.asOf < seq && !isIn)
        this.#counts.set(above, { ...count, living: count.living + change, asOf: seq });
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
    this.#pages = 0;
    this.#unsure = false;
  }
}
