import { setTimeout as sleep } from 'node:timers/promises';
import type { Follower } from '../log/follower.ts';
import { type LogEntry, shortened } from '../log/reader.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { ResetReason } from '../protocol.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import { Batch } from './batch.ts';
import { BEACON } from './beacon.ts';
import type { LiveSet } from './live-set.ts';
import { type FeedSubscriber, SOFT_MARK, writePage } from './subscriber.ts';

/** How often one that is catching up and does not read is looked at. Milliseconds. */
const SLOW_INTERVAL = 50;
/** Events in one page of a replay. */
const REPLAY_PAGE = 100;
/** Replays that read the database at once on this node; the others wait, each address and each of its users in turn. */
const CONCURRENT_READS = 2;
/** How long a node that is behind its client waits for its own tail. Milliseconds. */
const BEHIND_TIME_LIMIT = 3000;
/** How old the last read of the log may be for a replay from the ring buffer. Milliseconds. */
const MAX_STALENESS = 1000;

/** The message for a subscriber whose position is no longer valid. */
export const RENUMBERED = 'The numbering of the feed has changed. Connect again.';

export interface ReplayOptions {
  feed: Follower;
  members: LiveSet;
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  metrics: Metrics;
  log: Logger;
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
  readonly #live: Set<FeedSubscriber>;
  readonly #readLog: ReplayOptions['readLog'];
  readonly #metrics: Metrics;
  readonly #log: Logger;
  /** Bounded by the subscribers: each waits for one page. */
  readonly #reads = new FairSemaphore<FeedSubscriber>({
    atOnce: CONCURRENT_READS,
    pathOf: ({ senders }) => senders,
  });

  constructor({ feed, members, readLog, metrics, log }: ReplayOptions) {
    this.#feed = feed;
    this.#members = members;
    this.#live = members.live;
    this.#readLog = readLog;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Those that wait to read the log. */
  get waiting(): number {
    return this.#reads.waiting;
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
    const reason = await this.#refusal(after, epoch);
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
   * is behind its client, knows another epoch, or has not read the log recently (it might hand on a text that has been
   * taken out) waits for a look at the database.
   */
  async #refusal(after: number, epoch: string | undefined): Promise<ResetReason | 'unread' | undefined> {
    const came = Date.now();
    for (let asked = false; ; asked = true) {
      const { readAt } = this.#feed;
      const renumbered = epoch !== undefined && epoch !== this.#feed.epoch;
      if (!renumbered && after <= this.#feed.seq && readAt >= came - MAX_STALENESS)
        return after < this.#feed.logFloor ? 'too_old' : undefined;
      // What tells against the client has to have been found out since it came.
      if (readAt >= came) return renumbered ? 'epoch_changed' : 'future';
      if (Date.now() >= came + BEHIND_TIME_LIMIT) return 'unread';
      if (!asked) this.#feed.wake();
      await sleep(SLOW_INTERVAL);
    }
  }

  /** Brings a subscriber from its position to the node's, at its own pace, and joins it to the live set. */
  catchUp(subscriber: FeedSubscriber, from?: number): void {
    this.#live.delete(subscriber);
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
    let source = 'ring';
    let toldAt = Date.now();
    while (subscriber.open && subscriber.feed === 'live' && (subscriber.greeted || !subscriber.switched)) {
      if (this.#feed.epoch !== epoch) {
        // The numbering ended under it: positions are no longer valid. It reconnects and gets `reset`.
        subscriber.end('reset', RENUMBERED);
        return;
      }
      if (subscriber.pending > SOFT_MARK) {
        await sleep(SLOW_INTERVAL);
        continue;
      }
      subscriber.slowSince = undefined;
      const position = subscriber.seq;
      const recent = this.#feed.recent(position, REPLAY_PAGE);
      let page = recent && shortened(recent);
      if (!page) {
        source = 'log';
        try {
          page = await this.#readBounded(subscriber);
        } catch (error) {
          this.#log.debug({ err: error }, 'a replay is waiting for the database');
          await sleep(500);
          continue;
        }
        // It changed its mode or the numbering ended meanwhile: look again.
        if (!subscriber.open || subscriber.seq !== position || this.#feed.epoch !== epoch) continue;
        if (page[0]?.seq !== position + 1) {
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
      }
      // From here to the join there is no await.
      const told = writePage(subscriber, new Batch(epoch, page, subscriber.told));
      this.#metrics.eventsDelivered.inc(told);
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
        this.#metrics.resumes.inc({ outcome, source });
        this.#members.say(subscriber, outcome, undefined);
      }
      subscriber.catchingUp = false;
      // One that wanted no more than this has ended with it.
      if (!subscriber.open) return;
      this.#live.add(subscriber);
      return;
    }
    subscriber.catchingUp = false;
    if (!subscriber.open || subscriber.greeted) return;
    // It asked for another mode while it was being brought up to date.
    this.#members.greet(subscriber, 'current', undefined);
    this.#members.place(subscriber);
  }

  /** A bug: it is closed and resumes, rather than being left without its events. */
  #giveUp(subscriber: FeedSubscriber, error: unknown): void {
    this.#log.error({ err: error }, 'the replay for a subscriber failed');
    subscriber.end('reset', 'Something went wrong here. Connect again.');
  }

  #readBounded(subscriber: FeedSubscriber): Promise<LogEntry[]> {
    return this.#reads.run(subscriber, async () =>
      subscriber.open ? this.#readLog(subscriber.seq, REPLAY_PAGE) : [],
    );
  }
}
