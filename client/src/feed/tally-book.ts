import type { Tally } from '../contract.ts';

/** Posts whose tally is remembered at most. */
const MAX_POSTS = 20_000;

/**
 * The newest tally of each post: of two the one with the higher `rev`, however late the other comes. That of a deleted
 * post is kept like any other: a withdrawn one is deleted for all but its owner, and continues from the same `rev` when
 * it comes back.
 */
export class TallyBook {
  /** The ones that changed last come last. */
  readonly #tallies = new Map<number, Tally>();

  get(postId: number): Tally | undefined {
    return this.#tallies.get(postId);
  }

  /** @returns whether it is news */
  keep(tally: Tally): boolean {
    const known = this.#tallies.get(tally.post_id);
    if (known && known.rev >= tally.rev) return false;
    this.#tallies.delete(tally.post_id);
    this.#tallies.set(tally.post_id, tally);
    if (this.#tallies.size > MAX_POSTS) {
      const [oldest] = this.#tallies.keys();
      if (oldest !== undefined) this.#tallies.delete(oldest);
    }
    return true;
  }

  /** The database is another one: revs of the old one mean nothing. */
  clear(): void {
    this.#tallies.clear();
  }
}
