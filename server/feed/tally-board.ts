import type { Tally } from '../events.ts';

/** Posts whose newest rev is remembered, so that what comes twice is told once. */
const MAX_KNOWN = 50_000;

/**
 * Gathers the tallies that change and tells them once a window. They come from this node's voters, from other nodes, and
 * from the database; late and doubled ones are known by their `rev`. However fast people vote, a client hears at most
 * one message a window.
 */
export class TallyBoard {
  readonly #window: number;
  readonly #tell: (tallies: Tally[]) => void;
  readonly #onCoalesced: () => void;
  readonly #dirty = new Map<number, Tally>();
  /** Post → the highest rev that has been told or is about to be. Oldest first. */
  readonly #known = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #toldAt = 0;

  /** @param window milliseconds between two messages at least */
  constructor(window: number, tell: (tallies: Tally[]) => void, onCoalesced: () => void) {
    this.#window = window;
    this.#tell = tell;
    this.#onCoalesced = onCoalesced;
  }

  report(tallies: readonly Tally[]): void {
    for (const tally of tallies) {
      const known = this.#known.get(tally.post_id);
      if (known !== undefined && known >= tally.rev) continue;
      this.#known.delete(tally.post_id);
      this.#known.set(tally.post_id, tally.rev);
      if (this.#dirty.has(tally.post_id)) this.#onCoalesced();
      this.#dirty.set(tally.post_id, tally);
    }
    while (this.#known.size > MAX_KNOWN) {
      const [oldest] = this.#known.keys();
      if (oldest === undefined) break;
      this.#known.delete(oldest);
    }
    if (this.#dirty.size === 0 || this.#timer) return;
    // The first change after a pause is told at once; the next ones wait for the window to end.
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, this.#toldAt + this.#window - Date.now()));
  }

  /** The database is another one: revs of the old one mean nothing. */
  forget(): void {
    this.#known.clear();
    this.#dirty.clear();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#toldAt = Date.now();
    const tallies = [...this.#dirty.values()];
    this.#dirty.clear();
    if (tallies.length > 0) this.#tell(tallies);
  }
}
