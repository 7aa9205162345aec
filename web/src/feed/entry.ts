import { computed, signal } from '@preact/signals';
import type { PostAnswer, PostView, Tally, VoteView } from 'tidings-client';

/** A post on the page. What changes of it are signals of its own, so that a vote redraws a number and not a list. */
export class Entry {
  readonly id: number;
  readonly post;
  /** Whether it came while the reader was looking. */
  readonly live: boolean;
  /** It is on its way out: shown for the moment that its closing takes. */
  readonly leaving = signal(false);
  /** What the reader has just asked for and the server has not yet answered. */
  readonly hoped = signal<{ voted: boolean; votes: number } | undefined>(undefined);
  /** What to show: while a vote is under way, what it will come to; otherwise what the server said last. */
  readonly shown;
  /** Up to which event this is known; of older ones it has nothing to learn. */
  seq: number;
  readonly #voted;
  /** Of which tally that is said: each change of one's vote has a tally of its own, so the higher `rev` knows better. */
  #votedRev;
  readonly #tally;

  constructor(post: PostView | PostAnswer, { seq, live }: { seq: number; live: boolean }) {
    this.id = post.id;
    this.live = live;
    this.seq = seq;
    this.post = signal<PostView>(post);
    this.#voted = signal('voted' in post && post.voted);
    this.#votedRev = 'voted' in post ? post.rev : -1;
    this.#tally = signal({ votes: post.votes, rev: post.rev });
    this.shown = computed(
      () => this.hoped.value ?? { voted: this.#voted.value, votes: this.#tally.value.votes },
    );
  }

  /** Takes in what an answer or an event says; of two versions the newer one stays. */
  learn(post: PostView | PostAnswer, seq = this.seq): void {
    this.seq = Math.max(this.seq, seq);
    if (post.version >= this.post.peek().version) this.post.value = post;
    if ('voted' in post) this.keepVote(post);
    else this.keepTally(post);
  }

  keepTally({ votes, rev }: Pick<Tally, 'votes' | 'rev'>): void {
    if (rev > this.#tally.peek().rev) this.#tally.value = { votes, rev };
  }

  /** What the server says of the reader's own vote. */
  keepVote(answer: Pick<VoteView, 'voted' | 'votes' | 'rev'>): void {
    if (answer.rev >= this.#votedRev) {
      this.#voted.value = answer.voted;
      this.#votedRev = answer.rev;
    }
    this.keepTally(answer);
  }

  /** Shows a vote as if it were counted. */
  hope(voted: boolean): void {
    const { votes } = this.#tally.peek();
    const counted = this.#voted.peek() === voted ? votes : votes + (voted ? 1 : -1);
    this.hoped.value = { voted, votes: Math.max(0, counted) };
  }
}
