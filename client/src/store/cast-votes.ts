import type { Client } from '../client.ts';
import type { VoteView } from '../contract.ts';
import { KnownVotes } from './known-votes.ts';
import { type VoteWish, type VoteWishes, type VoteWishListeners, voteWishes } from './vote-wishes.ts';

/** The user's votes as a store shows them: those without an answer, and what became of the newest ones. */
export class CastVotes {
  readonly #wishes: VoteWishes;
  readonly #hears: VoteWishListeners;
  readonly #known = new KnownVotes();
  #ends: (() => void)[] = [];

  constructor(client: Client, hears: VoteWishListeners) {
    this.#wishes = voteWishes(client);
    this.#hears = hears;
  }

  /** Hears of votes, whichever store they are cast in, until `close`. */
  open(): void {
    if (this.#ends.length > 0) return;
    const { wanted, delayed, settled } = this.#hears;
    this.#ends = [
      this.#wishes.on('wanted', wanted),
      this.#wishes.on('delayed', delayed),
      this.#wishes.on('settled', (postId, answer) => {
        if (answer) this.#known.add(answer);
        settled(postId, answer);
      }),
    ];
  }

  /** @throws {TidingsError} */
  cast(postId: number, up: boolean): Promise<void> {
    return this.#wishes.cast(postId, up);
  }

  /** The votes that have no answer yet. */
  get wishes(): Iterable<VoteWish & { delayed: boolean }> {
    return this.#wishes;
  }

  /** The newest answer about a vote, here or in another window. */
  known(postId: number): VoteView | undefined {
    return this.#known.get(postId);
  }

  remember(vote: VoteView): void {
    this.#known.add(vote);
  }

  /** The server can be reached. */
  live(): void {
    this.#wishes.retry();
  }

  /** What was answered is known no longer; what is on its way stays so. */
  close(): void {
    for (const end of this.#ends.splice(0)) end();
    this.#known.clear();
  }

  /** The user or the database is another one: answers that are still to come are no news. */
  forget(): void {
    this.#wishes.forget();
    this.#known.clear();
  }
}
