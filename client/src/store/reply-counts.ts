/** How many living replies are below one, and up to which event that is known. */
interface Count {
  living: number;
  /** The most that there have been. */
  most: number;
  asOf: number;
  /** Up to which event it was known when it was read. */
  readAt: number;
  /** The page that had it, of those read so far; undefined if an event did. */
  page: number | undefined;
  /** Whether that page may count what events after its position tell. */
  isAhead: boolean;
  /** Whether such an event may have been counted again. */
  isDoubtful: boolean;
}

/** There is one more reply, or one less. */
interface Change {
  by: 1 | -1;
  seq: number;
  /** The page that had it. */
  page: number | undefined;
}

/** A change that is not counted yet in all that is above it. */
interface Unplaced {
  /** The first reply above that is not known; or, if not even its parent is, the one that it tells of. */
  at: number;
  isItself: boolean;
  change: Change;
}

/** Changes that wait until more is known: so many at most. */
const KEPT = 1000;

/**
 * The replies of a thread that are known: what each answers, and how many living ones are below it. A deleted reply stays
 * in a thread as long as there are some. Tallies do not serve for that: they are not ordered with the events, and a
 * deleted reply has none.
 */
export class ReplyCounts {
  readonly #root: number;
  readonly #parents = new Map<number, number>();
  readonly #counts = new Map<number, Count>();
  /** In order. */
  #unplaced: Unplaced[] = [];
  #pages = 0;
  /** Events up to here have been counted, or wait: a further page is told of some again. */
  #heard = 0;

  /** @param root the first post, which is not counted */
  constructor(root: number) {
    this.#root = root;
  }

  parentOf(id: number): number | undefined {
    return this.#parents.get(id);
  }

  living(id: number): number {
    return this.#counts.get(id)?.living ?? 0;
  }

  /**
   * Whether something happened that may be below a reply, so that its count may be too high or too low. Not if nothing has
   * ever been below it; and a reply has a lower id than what answers it.
   */
  unsureOf(id: number): boolean {
    const count = this.#counts.get(id);
    if (!count) return false;
    return count.isDoubtful || (count.most > 0 && this.#unplaced.some(({ at }) => at > id));
  }

  /**
   * The replies of the next page, with how many living ones are below each as of its position.
   * @param isAhead whether they may count what has no number yet
   */
  addPage(replies: { id: number; parent: number; living: number }[], asOf: number, isAhead: boolean): void {
    this.#pages += 1;
    for (const { id, parent, living } of replies)
      this.#know(id, parent, living, asOf, { page: this.#pages, isAhead });
    this.#place();
  }

  /** A reply that an event or an answer has. */
  know(id: number, parent: number, living: number, asOf: number): void {
    this.#know(id, parent, living, asOf, { page: undefined, isAhead: false });
    this.#place();
  }

  #know(
    id: number,
    parent: number,
    living: number,
    asOf: number,
    source: Pick<Count, 'page' | 'isAhead'>,
  ): void {
    if (this.#parents.has(id)) return;
    this.#parents.set(id, parent);
    this.#counts.set(id, { living, most: living, asOf, readAt: asOf, ...source, isDoubtful: false });
  }

  /**
   * An event of a reply: there is one more, or one less, below what it answers.
   * @param parent of one that may not be known, if the event says it
   * @returns whether all above it is known
   */
  count(id: number, parent: number | undefined, by: 1 | -1, seq: number): boolean {
    const change = { by, seq, page: by === 1 ? this.#counts.get(id)?.page : undefined };
    const above = parent ?? this.#parents.get(id);
    const at = above === undefined ? id : this.#climb(above, change, 'asOf');
    if (at === this.#root) return true;
    if (seq > this.#heard)
      this.#unplaced = [...this.#unplaced.slice(1 - KEPT), { at, isItself: above === undefined, change }];
    this.#heard = Math.max(this.#heard, seq);
    return false;
  }

  /**
   * Counts in a reply and in all above it.
   * @param since what they have already: in order that is everything up to `asOf`
   * @returns the first one that is not known, or the root
   */
  #climb(from: number, change: Change, since: 'asOf' | 'readAt'): number {
    let id = from;
    for (;;) {
      const parent = this.#parents.get(id);
      if (id === this.#root || parent === undefined) return id;
      this.#add(id, change, since);
      id = parent;
    }
  }

  /**
   * A page also has what was committed and had no number yet when it was read: the event of such a reply comes after the
   * position of the page, whose counts have it. If the reply is on a page itself, that is known; otherwise not.
   */
  #add(id: number, { by, seq, page }: Change, since: 'asOf' | 'readAt'): void {
    const count = this.#counts.get(id);
    const isIn = page !== undefined && count?.page !== undefined && page <= count.page;
    if (!count || seq <= count[since] || isIn) return;
    const living = count.living + by;
    this.#counts.set(id, {
      ...count,
      living,
      most: Math.max(count.most, living),
      asOf: Math.max(count.asOf, seq),
      isDoubtful: count.isDoubtful || count.isAhead,
    });
  }

  /** Counts what waited for replies that have become known. */
  #place(): void {
    if (!this.#unplaced.some(({ at }) => this.#parents.has(at))) return;
    this.#unplaced = this.#unplaced.flatMap((one) => {
      const { at, isItself, change } = one;
      const from = isItself ? this.#parents.get(at) : at;
      if (from === undefined) return [one];
      const end = this.#climb(from, change, 'readAt');
      if (end === this.#root) return [];
      return [{ at: end, isItself: false, change }];
    });
  }

  /** It is not shown any more. What is below it keeps its place. */
  forget(id: number): void {
    this.#counts.delete(id);
    this.#parents.delete(id);
  }

  clear(): void {
    this.#parents.clear();
    this.#counts.clear();
    this.#unplaced = [];
    this.#pages = 0;
    this.#heard = 0;
  }
}
