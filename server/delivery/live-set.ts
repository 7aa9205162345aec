import type { Follower } from '../log/follower.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { ResetReason } from '../protocol.ts';
import type { FeedSubscriber } from './subscriber.ts';

/**
 * Who has been brought up to date: those who follow the feed, and those who only count. Anyone who is catching up is in
 * neither.
 */
export class LiveSet {
  /** Each has all up to the node's position, but for what is in the fan-out batch being written or in the next. */
  readonly live = new Set<FeedSubscriber>();
  readonly counting = new Set<FeedSubscriber>();
  readonly #feed: Follower;
  readonly #metrics: Metrics;

  constructor(feed: Follower, metrics: Metrics) {
    this.#feed = feed;
    this.#metrics = metrics;
  }

  /** How many a beacon has to be told. */
  get size(): number {
    return this.live.size + this.counting.size;
  }

  *[Symbol.iterator](): Generator<FeedSubscriber, void> {
    yield* this.live;
    yield* this.counting;
  }

  remove(subscriber: FeedSubscriber): void {
    this.live.delete(subscriber);
    this.counting.delete(subscriber);
  }

  /** Greets a subscriber that begins at the node's position. */
  greet(subscriber: FeedSubscriber, outcome: 'current' | 'reset', reason: ResetReason | undefined): void {
    subscriber.standAt(this.#feed.seq);
    this.#metrics.resumes.inc({ outcome, source: 'none' });
    this.say(subscriber, outcome, reason);
  }

  /** Tells a subscriber where it stands. */
  say(
    subscriber: FeedSubscriber,
    outcome: 'current' | 'replayed' | 'reset',
    reason: ResetReason | undefined,
  ): void {
    subscriber.greeted = true;
    subscriber.greet({
      epoch: this.#feed.epoch,
      seq: subscriber.seq,
      outcome,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Puts a subscriber whose position is the node's where its mode belongs. Synchronous with what set the position. */
  place(subscriber: FeedSubscriber): void {
    if (!subscriber.open) return;
    if (subscriber.feed === 'live') {
      // A loop that is still at it joins it to the live set itself.
      if (!subscriber.catchingUp) this.live.add(subscriber);
    } else if (subscriber.feed === 'count') {
      subscriber.uncounted = 0;
      this.counting.add(subscriber);
    }
  }
}
