import type { VoteView } from 'tidings-client';

/** Between the windows of one browser: the feed tells how many votes there are, and not whose. */
const channel = new BroadcastChannel('tidings-own-votes');

interface Told {
  userId: number;
  vote: VoteView;
}

/** Tells the reader's other windows what became of a vote. */
export function tellOtherWindows(userId: number, vote: VoteView): void {
  channel.postMessage({ userId, vote } satisfies Told);
}

/** Votes that are kept at most. */
const KEPT = 1000;

/**
 * What became of the newest votes in other windows, for entries that were not here yet: a list that was asked for before the
 * vote comes after it, and shows it as if it were not cast.
 */
export class VotesElsewhere {
  readonly #votes = new Map<number, VoteView>();

  add(vote: VoteView): void {
    // Put at the end again: the oldest is forgotten first.
    this.#votes.delete(vote.post_id);
    this.#votes.set(vote.post_id, vote);
    for (const oldest of this.#votes.keys()) {
      if (this.#votes.size <= KEPT) break;
      this.#votes.delete(oldest);
    }
  }

  on(postId: number): VoteView | undefined {
    return this.#votes.get(postId);
  }

  /** Another database: what was said of the other is no news of it. */
  clear(): void {
    this.#votes.clear();
  }
}

/** Hears what became of this user's votes in other windows. @returns ends that */
export function onVoteElsewhere(userId: number, listener: (vote: VoteView) => void): () => void {
  const hear = ({ data }: MessageEvent<Told>) => {
    if (data.userId === userId) listener(data.vote);
  };
  channel.addEventListener('message', hear);
  return () => channel.removeEventListener('message', hear);
}
