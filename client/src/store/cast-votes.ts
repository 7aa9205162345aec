import type { VoteView } from '../contract.ts';
import type { Votes } from '../votes.ts';
import { KnownVotes } from './known-votes.ts';

export interface CastVotesListeners {
  /** The user wants this, and the server has not answered yet. */
  wanted: (postId: number, up: boolean) => void;
  /** The server's answer, or undefined if there is none and all is as it was. */
  settled: (postId: number, answer: VoteView | undefined) => void;
}

/** The user's votes: those on their way, and what became of the newest ones. Of quick clicks the last one counts. */
export class CastVotes {
  readonly #votes: Votes;
  readonly #hears: CastVotesListeners;
  readonly #running = new Map<number, { wanted: boolean; done: Promise<void> }>();
  readonly #known = new KnownVotes();
  /** Grows when the database or the user is another one. */
  #life = 0;

  constructor(votes: Votes, hears: CastVotesListeners) {
    this.#votes = votes;
    this.#hears = hears;
  }

  /** @throws {TidingsError} */
  cast(postId: number, up: boolean): Promise<void> {
    this.#hears.wanted(postId, up);
    const running = this.#running.get(postId);
    if (running) {
      running.wanted = up;
      return running.done;
    }
    const vote = { wanted: up, done: Promise.resolve() };
    this.#running.set(postId, vote);
    vote.done = this.#castUntilSettled(postId, vote).finally(() => {
      if (this.#running.get(postId) === vote) this.#running.delete(postId);
    });
    return vote.done;
  }

  /** The newest answer about a vote, here or in another window. */
  known(postId: number): VoteView | undefined {
    return this.#known.get(postId);
  }

  remember(vote: VoteView): void {
    this.#known.add(vote);
  }

  /** What was answered is known no longer; what is on its way stays so. */
  clear(): void {
    this.#known.clear();
  }

  /** The user or the database is another one: answers that are still to come are no news. */
  forget(): void {
    this.#life += 1;
    for (const postId of this.#running.keys()) this.#hears.settled(postId, undefined);
    this.#running.clear();
    this.clear();
  }

  async #castUntilSettled(postId: number, vote: { wanted: boolean }): Promise<void> {
    const life = this.#life;
    for (;;) {
      const up = vote.wanted;
      let answer: VoteView;
      try {
        answer = await (up ? this.#votes.cast(postId) : this.#votes.takeBack(postId));
      } catch (error) {
        if (life === this.#life) this.#hears.settled(postId, undefined);
        throw error;
      }
      // It was counted in another database, or as somebody else.
      if (life !== this.#life) return;
      this.#known.add(answer);
      this.#hears.settled(postId, answer);
      if (up === vote.wanted) return;
      this.#hears.wanted(postId, vote.wanted);
    }
  }
}
