import type { Follower } from '../log/follower.ts';
import type { Position } from '../protocol.ts';
import type { FanOut } from './fan-out.ts';
import type { LiveSet } from './live-set.ts';
import { type FeedSubscriber, SOFT_MARK } from './subscriber.ts';

/**
 * The interval of `feed:head` for one subscriber in milliseconds, and in how many slices all subscribers get it, spread
 * over that time.
 */
export const BEACON = 2000;
const BEACON_SLICES = 20;
/** The interval of `feed:count` in mode `count`. Milliseconds. */
const COUNT_INTERVAL = 1000;

/**
 * Sends `feed:head` (the beacon) to live subscribers without a recent event, and `feed:count` to those in mode `count`.
 */
export class Beacon {
  readonly #feed: Follower;
  readonly #members: LiveSet;
  readonly #fanOut: FanOut;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Where the beacon stands among them, and how far its two seconds have run. */
  #told: Iterator<FeedSubscriber, void>;
  #slice = 0;

  constructor(feed: Follower, members: LiveSet, fanOut: FanOut) {
    this.#feed = feed;
    this.#members = members;
    this.#fanOut = fanOut;
    this.#told = members[Symbol.iterator]();
  }

  start(): void {
    this.#timers.push(
      setInterval(() => this.#tellNext(), BEACON / BEACON_SLICES),
      setInterval(() => this.#tellCounts(), COUNT_INTERVAL),
    );
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /**
   * Sends `feed:head` to the next slice of subscribers: to all within two seconds, except those to whom an event has
   * just said the same. To all at once it would be as much work as an event.
   */
  #tellNext(): void {
    if (this.#slice === 0) this.#told = this.#members[Symbol.iterator]();
    this.#slice = (this.#slice + 1) % BEACON_SLICES;
    const isLast = this.#slice === 0;
    // Only what the whole live set has been handed: with more a client would think that it missed something.
    const { seq } = this.#fanOut;
    const head = this.#feed.seq;
    const heads = new Heads();
    const recently = Date.now() - BEACON / 2;
    const slice = isLast ? Infinity : Math.ceil(this.#members.size / BEACON_SLICES);
    for (let told = 0; told < slice; told += 1) {
      const { done, value: subscriber } = this.#told.next();
      if (done) return;
      if (subscriber.heardAt >= recently || subscriber.pending >= SOFT_MARK) continue;
      if (subscriber.feed !== 'live') subscriber.writeHead(heads.of(seq, seq));
      // A fan-out in progress may have handed it more than all have.
      else if (!subscriber.subscription) subscriber.writeHead(heads.of(seq, Math.min(subscriber.told, seq)));
      else if (subscriber.queued.length === 0) {
        subscriber.writeHead(heads.of(head, subscriber.told));
        // Then the next event is the same for all who have heard this.
        if (subscriber.seesHeads) subscriber.told = head;
      }
    }
  }

  #tellCounts(): void {
    const messages = new Map<number, { count: number; seq: number }>();
    for (const subscriber of this.#members.counting) {
      const count = subscriber.uncounted;
      if (count === 0 || subscriber.pending >= SOFT_MARK) continue;
      let news = messages.get(count);
      if (!news) messages.set(count, (news = { count, seq: this.#feed.seq }));
      subscriber.writeCount(news);
      subscriber.standAt(this.#feed.seq);
      subscriber.uncounted = 0;
    }
  }
}

/**
 * The same object for all whose chain ends with the same event, and who are told the same position: it is encoded once.
 */
class Heads {
  readonly #heads = new Map<number, Map<number, Position>>();

  of(seq: number, prev: number): Position {
    let ofSeq = this.#heads.get(seq);
    if (!ofSeq) this.#heads.set(seq, (ofSeq = new Map<number, Position>()));
    let head = ofSeq.get(prev);
    if (!head) ofSeq.set(prev, (head = { seq, prev }));
    return head;
  }
}
