import { setTimeout as sleep } from 'node:timers/promises';
import type { Follower } from '../log/follower.ts';
import type { LogEntry } from '../log/reader.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { ResetReason } from '../protocol.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import { Batch } from './batch.ts';
import { BEACON } from './beacon.ts';
import type { Freshness } from './freshness.ts';
import type { LiveSet } from './live-set.ts';
import type { MissedEvents, EventRange } from './missed-events.ts';
import { selectView } from './select-view.ts';
import { SharedPages } from './shared-pages.ts';
import { type FeedSubscriber, SOFT_MARK, writePage, writeView } from './subscriber.ts';

/** How often one that is catching up and does not read is looked at. Milliseconds. */
const SLOW_INTERVAL = 50;
/** Events in one page of a replay, and in that of one who takes few: most may be for others. */
const REPLAY_PAGE = 100;
const SMALL_PAGE = 10;
/** Replays that read the database at once on this node; the others wait, each address and each of its users in turn. */
const CONCURRENT_READS = 2;
/** How long a node that is behind its client waits for its own tail. Milliseconds. */
export const BEHIND_TIME_LIMIT = 3000;
/** How old the last read of the log may be for a replay from the ring buffer. Milliseconds. */
const MAX_STALENESS = 1000;
/** The pause after a read that failed. Milliseconds. */
const RETRY_INTERVAL = 500;

/** The message for a subscriber whose position is no longer valid. */
export const RENUMBERED = 'The numbering of the feed has changed. Connect again.';

export interface ReplayOptions {
  feed: Follower;
  members: LiveSet;
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  /** What those with topics have missed. */
  missed: MissedEvents;
  /** Nothing is written while the node might not know who is hidden from whom. */
  freshness: Freshness;
  /** How long a position may be ahead of the log before it is none of it. Milliseconds. */
  aheadLimit: number;
  metrics: Metrics;
  log: Logger;
}

/** What follows a position, and where it was found. */
interface Page {
  write: () => number;
  source: EventRange['source'];
  /** Where the node was when it began to read this. */
  began: number;
}

/**
 * Brings subscribers from their positions to the node's. Anyone who is behind is not in the live set; a loop of its own
 * writes it pages, out of the node's ring buffer or else the log, as fast as it reads. When its position equals the
 * node's it joins the live set: the last slice of the ring, the cursor and the join are one synchronous block, so
 * nothing can come between, twice, or be left out.
 */
export class Replay {
  readonly #feed: Follower;
  readonly #members: LiveSet;
  readonly #readLog: ReplayOptions['readLog'];
  readonly #missed: MissedEvents;
  readonly #freshness: Freshness;
  readonly #aheadLimit: number;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #shared = new SharedPages();
  /** Bounded by the subscribers: each waits for one page, or one answer. */
  readonly #reads = new FairSemaphore<FeedSubscriber>({
    atOnce: CONCURRENT_READS,
    pathOf: ({ senders }) => senders,
  });

  constructor({ feed, members, readLog, missed, freshness, aheadLimit, metrics, log }: ReplayOptions) {
    this.#feed = feed;
    this.#members = members;
    this.#readLog = readLog;
    this.#missed = missed;
    this.#freshness = freshness;
    this.#aheadLimit = aheadLimit;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Those that wait to read the log. */
  get waiting(): number {
    return this.#reads.waiting;
  }

  /** Runs a read of the log for a subscriber, in its turn. */
  inTurn<T>(subscriber: FeedSubscriber, read: () => Promise<T>): Promise<T> {
    return this.#reads.run(subscriber, read);
  }

  /**
   * Resumes a subscriber at a position, or sends it the reason why that cannot be served.
   * @param onResumed called when its position has been found to be one that it can continue from
   */
  resume(
    subscriber: FeedSubscriber,
    after: number,
    epoch: string | undefined,
    onResumed?: (after: number) => Promise<void>,
  ): void {
    this.#resume(subscriber, after, epoch, onResumed).catch((error: unknown) =>
      this.#giveUp(subscriber, error),
    );
  }

  async #resume(
    subscriber: FeedSubscriber,
    after: number,
    epoch: string | undefined,
    onResumed: ((after: number) => Promise<void>) | undefined,
  ): Promise<void> {
    subscriber.standAt(after);
    const reason = await this.#refusal(subscriber, after, epoch);
    if (!subscriber.open) return;
    if (reason === 'unread') {
      // Its position may be as good as ever: it keeps it and comes back.
      subscriber.end('reset', 'The log cannot be read at the moment. Connect again.');
      return;
    }
    if (reason) {
      this.#members.greet(subscriber, 'reset', reason);
      this.#members.place(subscriber);
      return;
    }
    this.catchUp(subscriber, after);
    await onResumed?.(after);
  }

  /**
   * Why a position cannot be served; `unread` if that cannot be told, since the node cannot read the log. A node that
   * is behind its client waits until it has read all of the log; one that knows another epoch, or has not looked at the
   * database recently, for a look.
   */
  async #refusal(
    subscriber: FeedSubscriber,
    after: number,
    epoch: string | undefined,
  ): Promise<ResetReason | 'unread' | undefined> {
    const came = Date.now();
    const entered = performance.now();
    for (let asked = false; ; asked = true) {
      const { readAt, knownAt } = this.#feed;
      // What tells against the client has to have been found out since it came.
      if (epoch !== undefined && epoch !== this.#feed.epoch) {
        if (readAt >= came) return 'epoch_changed';
      } else if (after > this.#feed.seq) {
        if (knownAt >= entered && performance.now() >= entered + this.#aheadLimit) return 'future';
      } else if (readAt >= came - MAX_STALENESS)
        return after < this.#feed.logFloor && !this.#isQuiet(subscriber, after) ? 'too_old' : undefined;
      if (performance.now() >= entered + BEHIND_TIME_LIMIT) return 'unread';
      if (!asked) this.#feed.wake();
      await sleep(SLOW_INTERVAL);
    }
  }

  /**
   * Whether nothing has come since a position that would be for a subscriber: then it does not matter what the log has.
   */
  #isQuiet({ subscription, member }: FeedSubscriber, after: number): boolean {
    return (
      subscription !== undefined && member !== undefined && this.#missed.isQuiet(subscription, member, after)
    );
  }

  /** Brings a subscriber from its position to the node's, at its own pace, and joins it to the live set. */
  catchUp(subscriber: FeedSubscriber, from?: number): void {
    this.#members.remove(subscriber);
    // The loop that is at it continues from wherever it stands by then.
    if (subscriber.catchingUp) return;
    subscriber.catchingUp = true;
    this.#replay(subscriber, from).catch((error: unknown) => this.#giveUp(subscriber, error));
  }

  /**
   * `catchingUp` ends in the same synchronous block as the loop itself: a moment later, somebody who takes it out of
   * the live set, or means to put it there, would leave that to a loop that is no more.
   */
  async #replay(subscriber: FeedSubscriber, from: number | undefined): Promise<void> {
    const epoch = this.#feed.epoch;
    let source: EventRange['source'] = 'none';
    let toldAt = Date.now();
    while (subscriber.open && subscriber.feed === 'live' && (subscriber.greeted || !subscriber.switched)) {
      if (this.#feed.epoch !== epoch) {
        // The numbering ended under it: positions are no longer valid. It reconnects and gets `reset`.
        subscriber.end('reset', RENUMBERED);
        return;
      }
      if (subscriber.pending > SOFT_MARK || subscriber.held > 0) {
        await sleep(SLOW_INTERVAL);
        continue;
      }
      const stale = this.#freshness.wait();
      if (stale) {
        await stale;
        continue;
      }
      subscriber.slowSince = undefined;
      const { seq: position, subscription } = subscriber;
      let page = this.#inMemory(subscriber, epoch);
      if (!page) {
        try {
          page = await this.#read(subscriber, epoch);
        } catch (error) {
          this.#log.debug({ err: error }, 'a replay is waiting for the database');
          await sleep(RETRY_INTERVAL);
          continue;
        }
        // It changed its mode or its topics, or the numbering ended meanwhile: look again.
        const isSame = subscriber.seq === position && subscriber.subscription === subscription;
        if (!subscriber.open || !isSame || subscriber.held > 0 || this.#feed.epoch !== epoch) continue;
        if (!page) {
          // Pruned while it was on its way.
          if (subscriber.greeted) {
            subscriber.end('reset', 'The log no longer reaches your position. Connect again.');
            return;
          }
          subscriber.catchingUp = false;
          this.#members.greet(subscriber, 'reset', 'too_old');
          this.#members.place(subscriber);
          return;
        }
        // Or it cannot be told any more which texts have been taken out since it was read.
        if (!this.#freshness.isFresh || !this.#feed.hasPassedSince(page.began)) continue;
        const { member } = subscriber;
        if (subscription && member && !this.#missed.knowsFollows(subscription, member, position)) continue;
      }
      // From here to the join there is no await.
      if (source !== 'log' && page.source !== 'none') source = page.source;
      const told = page.write();
      if (!subscriber.withoutSession) this.#metrics.eventsDelivered.inc(told);
      if (subscriber.seq < this.#feed.seq) {
        // However much of the log is not for it, it is heard of, and does not begin again where it stood.
        if (told > 0) toldAt = Date.now();
        else if (Date.now() - toldAt >= BEACON) {
          toldAt = Date.now();
          subscriber.writeHead({ seq: subscriber.seq, prev: subscriber.told });
        }
        // Yields to the event loop: other subscribers and requests come between two pages.
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      if (!subscriber.greeted) {
        const outcome = from === subscriber.told ? 'current' : 'replayed';
        // What `ready` says is its position then, also for a client that checks the chain.
        if (subscriber.told < subscriber.seq)
          subscriber.writeHead({ seq: subscriber.seq, prev: subscriber.told });
        if (!subscriber.withoutSession) this.#metrics.resumes.inc({ outcome, source });
        this.#members.say(subscriber, outcome, undefined);
      }
      subscriber.catchingUp = false;
      // One that wanted no more than this has ended with it.
      if (!subscriber.open) return;
      this.#members.join(subscriber);
      return;
    }
    subscriber.catchingUp = false;
    if (!subscriber.open || subscriber.greeted) return;
    // It asked for another mode while it was being brought up to date.
    this.#members.greet(subscriber, 'current', undefined);
    this.#members.place(subscriber);
  }

  /** What follows the position of a subscriber, if the node has it in memory. */
  #inMemory(subscriber: FeedSubscriber, epoch: string): Page | undefined {
    const { seq, subscription, member } = subscriber;
    const { seq: began } = this.#feed;
    if (!subscription || !member) {
      const recent = this.#feed.recent(seq, REPLAY_PAGE);
      if (!recent) return undefined;
      const write = () => writePage(subscriber, this.#shared.of(epoch, recent, subscriber.told));
      return { source: 'ring', began, write };
    }
    const range = this.#missed.near(subscription, member, seq);
    return range && this.#filteredPage(subscriber, epoch, { ...range, began });
  }

  /** @returns undefined if the log does not reach back so far */
  #read(subscriber: FeedSubscriber, epoch: string): Promise<Page | undefined> {
    return this.inTurn(subscriber, async () => {
      const { seq, subscription, member, open } = subscriber;
      const { seq: began } = this.#feed;
      if (!open) return undefined;
      if (!subscription || !member) {
        const limit = Math.min(REPLAY_PAGE, Math.max(SMALL_PAGE, subscriber.room));
        const page = await this.#readLog(seq, limit);
        if (page[0]?.seq !== seq + 1) return undefined;
        const write = () => {
          const current = page.map((entry) => this.#feed.current(entry));
          return writePage(subscriber, new Batch(epoch, current, subscriber.told));
        };
        return { source: 'log', began, write };
      }
      const range = await this.#missed.far(subscription, member, seq);
      return range && this.#filteredPage(subscriber, epoch, { ...range, began });
    });
  }

  #filteredPage(subscriber: FeedSubscriber, epoch: string, range: EventRange & { began: number }): Page {
    const asNow = (entry: LogEntry) => this.#feed.current(entry);
    return {
      source: range.source,
      began: range.began,
      write: () => writeView(subscriber, selectView(subscriber, epoch, range, REPLAY_PAGE, asNow)),
    };
  }

  /** A bug: it is closed and resumes, rather than being left without its events. */
  #giveUp(subscriber: FeedSubscriber, error: unknown): void {
    this.#log.error({ err: error }, 'the replay for a subscriber failed');
    subscriber.end('reset', 'Something went wrong here. Connect again.');
  }
}
