import type { Follower } from '../log/follower.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { ResetReason } from '../protocol.ts';
import type { Subscription } from '../topics/subscription.ts';
import { type FeedSubscriber, NOTHING_QUEUED } from './subscriber.ts';
import type { TopicIndex } from './topic-index.ts';

/**
 * Who has been brought up to date: those who follow the feed, and those who only count. Anyone who is catching up is in
 * neither.
 */
export class LiveSet {
  /**
   * Those without topics. Each has all up to the node's position, but for what is in the fan-out batch being written or
   * in the next.
   */
  readonly live = new Set<FeedSubscriber>();
  /**
   * Those with topics. Each has all up to the node's position but for what it has queued: nothing is done for it by an
   * event that it does not receive.
   */
  readonly filtered = new Set<FeedSubscriber>();
  readonly counting = new Set<FeedSubscriber>();
  readonly #feed: Follower;
  readonly #index: TopicIndex;
  readonly #metrics: Metrics;

  constructor(feed: Follower, index: TopicIndex, metrics: Metrics) {
    this.#feed = feed;
    this.#index = index;
    this.#metrics = metrics;
  }

  /** How many a beacon has to be told. */
  get size(): number {
    return this.live.size + this.filtered.size + this.counting.size;
  }

  *[Symbol.iterator](): Generator<FeedSubscriber, void> {
    yield* this.live;
    yield* this.filtered;
    yield* this.counting;
  }

  has(subscriber: FeedSubscriber): boolean {
    return this.live.has(subscriber) || this.filtered.has(subscriber);
  }

  /** Where a subscriber stands: everything up to there has been delivered, is not for it, or need not be delivered. */
  positionOf(subscriber: FeedSubscriber): number {
    if (!this.filtered.has(subscriber)) return subscriber.seq;
    const [next] = subscriber.queued;
    return Math.max(subscriber.seq, next === undefined ? this.#feed.seq : Math.abs(next) - 1);
  }

  /** Takes a subscriber out; its position is written down. */
  remove(subscriber: FeedSubscriber): void {
    subscriber.seq = this.positionOf(subscriber);
    subscriber.queued = NOTHING_QUEUED;
    this.live.delete(subscriber);
    this.filtered.delete(subscriber);
    this.counting.delete(subscriber);
    this.#index.remove(subscriber);
  }

  /** Puts in a subscriber whose position is the node's. Synchronous with what set the position. */
  join(subscriber: FeedSubscriber): void {
    if (!subscriber.subscription) {
      this.live.add(subscriber);
      return;
    }
    subscriber.queued = NOTHING_QUEUED;
    this.filtered.add(subscriber);
    this.#index.add(subscriber);
  }

  /** Gives other topics to a subscriber that counts, or does not follow at all. */
  swap(subscriber: FeedSubscriber, topics: Subscription): void {
    const wasIn = this.#index.remove(subscriber);
    subscriber.subscription = topics;
    if (wasIn) this.#index.add(subscriber);
  }

  /** Greets a subscriber that begins at a position, the node's by default. */
  greet(
    subscriber: FeedSubscriber,
    outcome: 'current' | 'reset',
    reason: ResetReason | undefined,
    seq = this.#feed.seq,
  ): void {
    subscriber.standAt(seq);
    if (!subscriber.withoutSession) this.#metrics.resumes.inc({ outcome, source: 'none' });
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
      // A loop that is still at it joins it to the live set itself, and so does one that begins when it is let go.
      if (!subscriber.catchingUp && subscriber.held === 0) this.join(subscriber);
    } else if (subscriber.feed === 'count') {
      subscriber.uncounted = 0;
      this.counting.add(subscriber);
      if (subscriber.subscription) this.#index.add(subscriber);
    }
  }
}
