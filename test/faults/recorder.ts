import type { FeedEventName, FeedEvents, Tally } from '../../server/contract.ts';
import type { Convergence, Write } from './history.ts';
import { postIdOf } from '../support/posts.ts';

/** Where writers and clients of one run put down what they see. */
export class Recorder {
  readonly writes: Write[] = [];
  readonly convergences: Convergence[] = [];
  readonly tallyConflicts: string[] = [];
  readonly firstSeen = new Map<number, FeedEvents[FeedEventName]>();
  /** Posts that may be voted on: visible when last heard of. The newest last. */
  readonly ballot = new Set<number>();
  deliveries = 0;
  reconnects = 0;
  /** Answers 503 without a `Retry-After`. */
  hintless = 0;
  readonly #tallies = new Map<string, number>();

  event(seq: number, name: FeedEventName, data: FeedEvents[FeedEventName]): void {
    this.deliveries += 1;
    if (this.firstSeen.has(seq)) return;
    if (!('redacted' in data)) this.firstSeen.set(seq, data);
    const id = postIdOf(data);
    if (id === undefined) return;
    if (name === 'post:created') this.ballot.add(id);
    if (name === 'post:deleted') this.ballot.delete(id);
  }

  /** What somebody was told of a post's votes: at one rev everyone has to be told the same. */
  tally({ post_id, votes, rev }: Tally, who: string): void {
    const at = `${post_id}:${rev}`;
    const told = this.#tallies.get(at);
    if (told === undefined) this.#tallies.set(at, votes);
    else if (told !== votes && this.tallyConflicts.length < 100)
      this.tallyConflicts.push(
        `post ${post_id} at rev ${rev}: ${votes} votes for ${who}, ${told} for others`,
      );
  }
}
