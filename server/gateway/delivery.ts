import type { FeedMode, ResetReason, SessionCloseCode, Tally } from '../events.ts';
import type { Follower } from '../feed/follower.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Logger } from '../logger.ts';
import type { LogEntry } from '../outbox/log.ts';
import { type Encoded, encodeEntry, encodeMessage } from './encoding.ts';
import type { Subscriber } from './subscriber.ts';

/** Beyond this a socket is fed no further until it has read: it falls out of the live room and catches up later. Bytes. */
const SOFT_MARK = 64 * 1024;
/** As far as a replay fills its queue: what else it is sent still has room beneath the hard mark. Bytes. */
const PAGE_MARK = 160 * 1024;
/** Beyond this it is closed at once. Bytes. */
const HARD_MARK = 256 * 1024;
/** How long its queue may stay beyond the soft mark before it is closed. Milliseconds. */
const PATIENCE = 10_000;
/** How often a socket that is catching up and does not read is looked at, and how often all are. Milliseconds. */
const SLOW_INTERVAL = 50;
const WATCH_INTERVAL = 500;
/** Events in one page of a replay. */
const REPLAY_PAGE = 100;
/** Replays that read the database at once on this node; the others wait. */
const CONCURRENT_READS = 2;
/** How long a node that is behind its client waits for its own tail. Milliseconds. */
const BEHIND_PATIENCE = 3000;
/** Milliseconds between two `feed:head`, and between two `feed:count`. */
const BEACON = 2000;
const COUNT_INTERVAL = 1000;
/** Tallies in one message. */
const TALLIES_PER_FRAME = 500;
/** Tallies held back for a slow socket. */
const MAX_HELD = 5000;

export interface DeliveryOptions {
  feed: Follower;
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  /** Tallies that a client at this position may not have heard. The same array for all who ask together. */
  missedTallies: (after: number) => Promise<Tally[]>;
  metrics: Metrics;
  log: Logger;
  /** Ends a socket with a coded reason. */
  end: (subscriber: Subscriber, code: SessionCloseCode, detail: string) => void;
}

/**
 * Hands the node's feed to its sockets. Every socket is in exactly one of three places:
 *
 * - **live**: its position is the node's. Each batch that the follower tells is written to it in the same tick.
 * - **catching up**: its position is behind. It is in no room; a loop of its own writes it pages, out of the node's ring
 *   or else the log, as fast as it reads. When its position equals the node's it joins the live room: the last slice of
 *   the ring, the cursor and the join are one synchronous block, so nothing can come between, twice, or be left out.
 * - **not following** (modes `count` and `off`).
 *
 * A live socket that does not read falls back to catching up, which brakes itself, so what it costs is bounded in bytes
 * and it has no hole afterwards; if it stays ten seconds behind it is closed and comes back with its position.
 */
export class Delivery {
  readonly #feed: Follower;
  readonly #readLog: DeliveryOptions['readLog'];
  readonly #missedTallies: DeliveryOptions['missedTallies'];
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #end: DeliveryOptions['end'];
  readonly #all = new Set<Subscriber>();
  readonly #live = new Set<Subscriber>();
  readonly #counting = new Set<Subscriber>();
  readonly #allTallies = new Set<Subscriber>();
  readonly #trackers = new Map<number, Set<Subscriber>>();
  readonly #held = new Set<Subscriber>();
  readonly #timers: NodeJS.Timeout[] = [];
  #reading = 0;
  readonly #waitingToRead: (() => void)[] = [];

  constructor({ feed, readLog, missedTallies, metrics, log, end }: DeliveryOptions) {
    this.#feed = feed;
    this.#readLog = readLog;
    this.#missedTallies = missedTallies;
    this.#metrics = metrics;
    this.#log = log;
    this.#end = end;
    feed.on('events', (entries) => this.#deliver(entries));
  }

  start(): void {
    this.#timers.push(
      setInterval(() => this.#beacon(), BEACON),
      setInterval(() => this.#tellCounts(), COUNT_INTERVAL),
      setInterval(() => this.#flushHeld(), SLOW_INTERVAL * 2),
      setInterval(() => this.#endSlow(), WATCH_INTERVAL),
    );
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /**
   * Takes a socket in at a position: brings it up to date, says `ready`, and hands it on to its mode.
   * @param after undefined: from now
   */
  admit(subscriber: Subscriber, after: number | undefined, epoch: string | undefined): void {
    this.#all.add(subscriber);
    if (subscriber.tallies === 'all') this.#allTallies.add(subscriber);
    if (after === undefined) {
      this.#greet(subscriber, 'current', undefined);
      this.#place(subscriber);
      return;
    }
    this.#resume(subscriber, after, epoch).catch((error: unknown) => this.#giveUp(subscriber, error));
  }

  /** Forgets a socket. Nothing is written to it after this has returned. */
  remove(subscriber: Subscriber): void {
    subscriber.ended = true;
    this.#all.delete(subscriber);
    this.#live.delete(subscriber);
    this.#counting.delete(subscriber);
    this.#allTallies.delete(subscriber);
    this.#held.delete(subscriber);
    this.untrack(subscriber, [...subscriber.tracked]);
  }

  /** Changes what a socket hears. Events between two modes are its own affair; it goes on from the seq returned. */
  setMode(subscriber: Subscriber, mode: FeedMode): number {
    const following = subscriber.feed === 'live';
    subscriber.feed = mode;
    if (mode === 'live' && following) return subscriber.seq;
    if (!subscriber.greeted) {
      // Whoever brings it up to date sees it, and says with `ready` where it goes on.
      subscriber.switched = true;
      return this.#feed.seq;
    }
    this.#live.delete(subscriber);
    this.#counting.delete(subscriber);
    subscriber.seq = this.#feed.seq;
    this.#place(subscriber);
    return subscriber.seq;
  }

  /** Whether so much waits for a socket that nothing may be added. */
  isFull(subscriber: Subscriber): boolean {
    return subscriber.pending > HARD_MARK;
  }

  track(subscriber: Subscriber, postIds: readonly number[]): void {
    for (const postId of postIds) {
      subscriber.tracked.add(postId);
      const trackers = this.#trackers.get(postId);
      if (trackers) trackers.add(subscriber);
      else this.#trackers.set(postId, new Set([subscriber]));
    }
  }

  untrack(subscriber: Subscriber, postIds: readonly number[]): void {
    for (const postId of postIds) {
      subscriber.tracked.delete(postId);
      const trackers = this.#trackers.get(postId);
      trackers?.delete(subscriber);
      if (trackers?.size === 0) this.#trackers.delete(postId);
    }
  }

  /** Writes the tallies of one window to whoever wants them. */
  deliverTallies(tallies: readonly Tally[]): void {
    for (const { slice, frame } of tallyFrames(tallies)) {
      for (const subscriber of this.#allTallies) this.#writeTallies(subscriber, slice, frame);
    }
    const wanted = new Map<Subscriber, Tally[]>();
    for (const tally of tallies) {
      for (const subscriber of this.#trackers.get(tally.post_id) ?? []) {
        if (subscriber.tallies !== 'tracked') continue;
        const own = wanted.get(subscriber);
        if (own) own.push(tally);
        else wanted.set(subscriber, [tally]);
      }
    }
    for (const [subscriber, own] of wanted) this.#writeTallies(subscriber, own, encodeMessage('votes', own));
  }

  /** Before `ready`, and while a socket is slow, only the newest tally of each post is kept for it. */
  #writeTallies(subscriber: Subscriber, tallies: readonly Tally[], frame: Encoded): void {
    if (subscriber.greeted && !subscriber.heldTallies && subscriber.pending < SOFT_MARK) {
      subscriber.write(frame);
      this.#metrics.tallyFrames.inc();
      return;
    }
    const held = (subscriber.heldTallies ??= new Map<number, Tally>());
    this.#held.add(subscriber);
    for (const tally of tallies) {
      const known = held.get(tally.post_id);
      if (!known || known.rev < tally.rev) held.set(tally.post_id, tally);
    }
    if (held.size > MAX_HELD)
      this.#end(subscriber, 'slow_consumer', 'The connection does not keep up with the tallies.');
  }

  #flushHeld(): void {
    for (const subscriber of this.#held) {
      if (!subscriber.greeted || subscriber.pending >= SOFT_MARK) continue;
      const tallies = [...(subscriber.heldTallies?.values() ?? [])];
      subscriber.heldTallies = undefined;
      this.#held.delete(subscriber);
      for (let at = 0; at < tallies.length; at += TALLIES_PER_FRAME) {
        subscriber.write(encodeMessage('votes', tallies.slice(at, at + TALLIES_PER_FRAME)));
        this.#metrics.tallyFrames.inc();
      }
    }
  }

  #deliver(entries: readonly LogEntry[]): void {
    const frames = entries.map(encodeEntry);
    const last = entries.at(-1);
    if (!last) return;
    for (const subscriber of this.#live) {
      if (subscriber.pending > SOFT_MARK) {
        this.#catchUp(subscriber);
        continue;
      }
      this.#writePage(subscriber, entries, frames);
      // A batch may be larger than the room that was left: the socket goes on from where it stopped.
      if (subscriber.seq < last.seq) this.#catchUp(subscriber);
    }
    for (const subscriber of this.#counting) subscriber.uncounted += entries.length;
    const now = Date.now();
    for (const entry of entries) this.#metrics.commitToSocket.observe(Math.max(0, now - entry.at) / 1000);
  }

  /** Writes events in order until the socket's queue is full. Moves its position with each. */
  #writePage(subscriber: Subscriber, entries: readonly LogEntry[], frames: readonly Encoded[]): void {
    let room = PAGE_MARK - subscriber.pending;
    let written = 0;
    for (const [at, entry] of entries.entries()) {
      const frame = frames[at];
      if (!frame || entry.seq !== subscriber.seq + 1) break;
      if (frame.size > room && written > 0) break;
      subscriber.write(frame);
      subscriber.seq = entry.seq;
      room -= frame.size;
      written += 1;
    }
    this.#metrics.eventsDelivered.inc(written);
  }

  async #resume(subscriber: Subscriber, after: number, epoch: string | undefined): Promise<void> {
    const reason = await this.#refusal(after, epoch);
    if (!subscriber.open) return;
    if (reason) {
      this.#greet(subscriber, 'reset', reason);
      this.#place(subscriber);
      return;
    }
    subscriber.seq = after;
    this.#catchUp(subscriber, after);
    if (subscriber.tallies === 'all') await this.#tellMissedTallies(subscriber, after);
  }

  /** A client that was away hears the tallies that it missed; a failure costs it nothing but their lateness. */
  async #tellMissedTallies(subscriber: Subscriber, after: number): Promise<void> {
    const tallies = await this.#missedTallies(after).catch((error: unknown): Tally[] => {
      this.#log.debug({ err: error }, 'missed tallies could not be read');
      return [];
    });
    if (!subscriber.open) return;
    for (const { slice, frame } of tallyFrames(tallies)) this.#writeTallies(subscriber, slice, frame);
  }

  /** Why a position cannot be served. A node that is behind its client waits a moment for its own tail. */
  async #refusal(after: number, epoch: string | undefined): Promise<ResetReason | undefined> {
    if (after > this.#feed.seq) this.#feed.wake();
    const deadline = Date.now() + BEHIND_PATIENCE;
    for (;;) {
      if (epoch !== undefined && epoch !== this.#feed.epoch) {
        // Perhaps this node has not yet heard that the database is another one.
        if (Date.now() >= deadline || !(await this.#sameEpochAs(epoch))) return 'epoch_changed';
      } else if (after <= this.#feed.seq) {
        return after < this.#feed.logFloor ? 'too_old' : undefined;
      } else if (Date.now() >= deadline) return 'future';
      await sleep(SLOW_INTERVAL);
    }
  }

  /** Looks again after the node has read the database once more. */
  async #sameEpochAs(epoch: string): Promise<boolean> {
    const since = Date.now();
    this.#feed.wake();
    for (let waited = 0; this.#feed.readAt < since && waited < 1000; waited += SLOW_INTERVAL)
      await sleep(SLOW_INTERVAL);
    return this.#feed.epoch === epoch;
  }

  /** Brings a socket from its position to the node's, at the socket's own pace, and joins it to the live room. */
  #catchUp(subscriber: Subscriber, from?: number): void {
    this.#live.delete(subscriber);
    // The loop that is at it goes on from wherever the socket stands by then.
    if (subscriber.catchingUp) return;
    subscriber.catchingUp = true;
    this.#replay(subscriber, from).catch((error: unknown) => this.#giveUp(subscriber, error));
  }

  async #replay(subscriber: Subscriber, from: number | undefined): Promise<void> {
    try {
      await this.#replayPages(subscriber, from);
    } finally {
      subscriber.catchingUp = false;
    }
    if (!subscriber.open || subscriber.greeted) return;
    // It asked for another mode while it was being brought up to date.
    this.#greet(subscriber, 'current', undefined);
    this.#place(subscriber);
  }

  async #replayPages(subscriber: Subscriber, from: number | undefined): Promise<void> {
    const epoch = this.#feed.epoch;
    let source = 'ring';
    while (subscriber.open && subscriber.feed === 'live' && (subscriber.greeted || !subscriber.switched)) {
      if (this.#feed.epoch !== epoch) {
        // The numbering ended under it: positions mean nothing any more. It comes back and is told so.
        this.#end(subscriber, 'reset', 'The numbering of the feed has changed. Connect again.');
        return;
      }
      if (subscriber.pending > SOFT_MARK) {
        await sleep(SLOW_INTERVAL);
        continue;
      }
      subscriber.slowSince = undefined;
      const position = subscriber.seq;
      let page = this.#feed.recent(position, REPLAY_PAGE);
      if (!page) {
        source = 'log';
        try {
          page = await this.#readBounded(subscriber);
        } catch (error) {
          this.#log.debug({ err: error }, 'a replay waits for the database');
          await sleep(500);
          continue;
        }
        // It changed its mode or the numbering ended meanwhile: look again.
        if (!subscriber.open || subscriber.seq !== position || this.#feed.epoch !== epoch) continue;
        if (page[0]?.seq !== position + 1) {
          // Pruned while it was on its way.
          if (subscriber.greeted)
            this.#end(subscriber, 'reset', 'The log no longer reaches your position. Connect again.');
          else {
            this.#greet(subscriber, 'reset', 'too_old');
            this.#place(subscriber);
          }
          return;
        }
      }
      // From here to the join there is no await.
      this.#writePage(subscriber, page, page.map(encodeEntry));
      if (subscriber.seq < this.#feed.seq) {
        // Other sockets and requests get their turn between two pages.
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      if (!subscriber.greeted) {
        this.#metrics.resumes.inc({ outcome: from === subscriber.seq ? 'current' : 'replayed', source });
        this.#say(subscriber, from === subscriber.seq ? 'current' : 'replayed', undefined);
      }
      this.#live.add(subscriber);
      return;
    }
  }

  /** A bug: the socket is closed and comes back, rather than be left without its events. */
  #giveUp(subscriber: Subscriber, error: unknown): void {
    this.#log.error({ err: error }, 'a socket could not be brought up to date');
    this.#end(subscriber, 'reset', 'Something went wrong here. Connect again.');
  }

  async #readBounded(subscriber: Subscriber): Promise<LogEntry[]> {
    if (this.#reading >= CONCURRENT_READS)
      await new Promise<void>((resolve) => this.#waitingToRead.push(resolve));
    else this.#reading += 1;
    try {
      return subscriber.open ? await this.#readLog(subscriber.seq, REPLAY_PAGE) : [];
    } finally {
      const next = this.#waitingToRead.shift();
      if (next) next();
      else this.#reading -= 1;
    }
  }

  #greet(subscriber: Subscriber, outcome: 'current' | 'reset', reason: ResetReason | undefined): void {
    subscriber.seq = this.#feed.seq;
    this.#metrics.resumes.inc({ outcome, source: 'none' });
    this.#say(subscriber, outcome, reason);
  }

  #say(
    subscriber: Subscriber,
    outcome: 'current' | 'replayed' | 'reset',
    reason: ResetReason | undefined,
  ): void {
    subscriber.greeted = true;
    subscriber.write(
      encodeMessage('ready', {
        epoch: this.#feed.epoch,
        seq: subscriber.seq,
        user_id: subscriber.connection.identity.id,
        outcome,
        ...(reason === undefined ? {} : { reason }),
      }),
    );
  }

  /** Puts a socket whose position is the node's where its mode belongs. Synchronous with what set the position. */
  #place(subscriber: Subscriber): void {
    if (!subscriber.open) return;
    if (subscriber.feed === 'live') {
      // A loop that is still at it joins it to the room itself.
      if (!subscriber.catchingUp) this.#live.add(subscriber);
    } else if (subscriber.feed === 'count') {
      subscriber.uncounted = 0;
      this.#counting.add(subscriber);
    }
  }

  /** In whatever place it is: who leaves too much unread for too long is ended. */
  #endSlow(): void {
    const now = Date.now();
    for (const subscriber of this.#all) {
      const { pending } = subscriber;
      if (pending <= SOFT_MARK) subscriber.slowSince = undefined;
      else if (pending > HARD_MARK)
        this.#end(subscriber, 'slow_consumer', 'The connection leaves too much unread.');
      else if (now - (subscriber.slowSince ??= now) > PATIENCE)
        this.#end(subscriber, 'slow_consumer', 'The connection is more than ten seconds behind.');
    }
  }

  #beacon(): void {
    const frame = encodeMessage('feed:head', { seq: this.#feed.seq });
    for (const subscriber of this.#live) if (subscriber.pending < SOFT_MARK) subscriber.write(frame);
    for (const subscriber of this.#counting) if (subscriber.pending < SOFT_MARK) subscriber.write(frame);
  }

  #tellCounts(): void {
    const frames = new Map<number, Encoded>();
    for (const subscriber of this.#counting) {
      const count = subscriber.uncounted;
      if (count === 0 || subscriber.pending >= SOFT_MARK) continue;
      let frame = frames.get(count);
      if (!frame) frames.set(count, (frame = encodeMessage('feed:count', { count, seq: this.#feed.seq })));
      subscriber.write(frame);
      subscriber.seq = this.#feed.seq;
      subscriber.uncounted = 0;
    }
  }
}

const framesOf = new WeakMap<readonly Tally[], { slice: readonly Tally[]; frame: Encoded }[]>();

/** The messages that tell these tallies, encoded once for all who are told them. */
function tallyFrames(tallies: readonly Tally[]): { slice: readonly Tally[]; frame: Encoded }[] {
  let frames = framesOf.get(tallies);
  if (!frames) {
    frames = [];
    for (let at = 0; at < tallies.length; at += TALLIES_PER_FRAME) {
      const slice = tallies.slice(at, at + TALLIES_PER_FRAME);
      frames.push({ slice, frame: encodeMessage('votes', [...slice]) });
    }
    framesOf.set(tallies, frames);
  }
  return frames;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
