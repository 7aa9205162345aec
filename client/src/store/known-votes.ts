import type { VoteView } from '../contract.ts';

/** Votes that are kept at most. */
const KEPT = 1000;

/**
 * What became of the user's newest votes, here and in other windows. A page that was asked for before a vote may come after it,
 * and would show the vote as if it were not cast.
 */
export class KnownVotes {
  /** The newest come last. */
  readonly #votes = new Map<number, VoteView>();

  add(vote: VoteView): void {
    const known = this.#votes.get(vote.post_id);
    if (known && known.rev > vote.rev) return;
    this.#votes.delete(vote.post_id);
    this.#votes.set(vote.post_id, vote);
    const [oldest] = this.#votes.keys();
    if (this.#votes.size > KEPT && oldest !== undefined) this.#votes.delete(oldest);
  }

  get(postId: number): VoteView | undefined {
    return this.#votes.get(postId);
  }

  clear(): void {
    this.#votes.clear();
  }
}
