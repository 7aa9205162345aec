import type { FeedMode, ResetReason } from '../events.ts';
import type { Follower } from '../feed/follower.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Logger } from '../logger.ts';
import { type LogEntry, shortened } from '../outbox/log.ts';
import { type Encoded, encodeEntry, encodeMessage, Run } from './encoding.ts';
import type { Stretches } from './stretches.ts';
import { type EndSubscriber, HARD_MARK, SOFT_MARK, type Subscriber } from './subscriber.ts';
import type { TallyDelivery } from './tally-delivery.ts';

/** As far as a replay fills its queue: what else it is sent still has room beneath the hard mark. Bytes. */
const PAGE_MARK = 160 * 1024;
/** How long its queue may stay beyond the soft mark before it is closed. Milliseconds. */
const PATIENCE = 10_000;
/** How often a socket that is catching up and does not read is looked at, and how often whoever has not read all. Milliseconds. */
const SLOW_INTERVAL = 50;
const WATCH_INTERVAL = 500;
/** Events in one page of a replay. */
const REPLAY_PAGE = 100;
/** Replays that read the database at once on this node; the others wait. */
const CONCURRENT_READS = 2;
/** How long a node that is behind its client waits for its own tail. Milliseconds. */
const BEHIND_PATIENCE = 3000;
/** How old a node's last look at the log may be for it to replay out of memory. Milliseconds. */
const MAX_STALENESS = 1000;
/** Milliseconds between two `feed:head` to one socket, and in how many slices all of them are told, spread over that time. */
const BEACON = 2000;
const BEACON_SLICES = 20;
/** Milliseconds between two `feed:count`. */
const COUNT_INTERVAL = 1000;
/** How long the live sockets are left alone after a round of writing to them, as a share of how long it took, and at most. */
const REST_SHARE = 1.5;
const MAX_REST = 100;

/** Events that follow each other from the first to the last seq, and what is written of them. */
interface Round {
  first: number;
  last: number;
  entries: readonly LogEntry[];
  run: Run;
}

/** Everybody has it already. */
const NOTHING: Round = { first: 0, last: -1, entries: [], run: new Run([]) };

export interface DeliveryOptions {
  feed: Follower;
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  tallies: TallyDelivery;
  stretches: Stretches;
  metrics: Metrics;
  log: Logger;
  end: EndSubscriber;
}

/**
 * Hands the node's feed to its sockets. Every socket is in exactly one of three places:
 *
 * - **live**: it has all up to the node's position, but for what is being delivered in this round or will be in the next. A
 *   round follows at once when the node is idle. Under load it waits for half as long again as the last one took, so that
 *   writing takes two fifths of the node's time at most, and what has come meanwhile leaves in one write per socket. A
 *   round to many sockets is written in stretches; one that joins amid it has all of it already, and its place says so.
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
  readonly #tallies: TallyDelivery;
  readonly #stretches: Stretches;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #end: DeliveryOptions['end'];
  /** Those for whom something may wait to be read: only they are looked at, not ten thousand who have read everything. */
  readonly unread = new Set<Subscriber>();
  readonly #live = new Set<Subscriber>();
  readonly #counting = new Set<Subscriber>();
  readonly #timers: NodeJS.Timeout[] = [];
  /** What the live sockets are being handed, if a round is under way. */
  #round: Round | undefined;
  /** Events that follow it, contiguous, and that no live socket has been handed yet; and what ends their wait. */
  #undelivered: LogEntry[] = [];
  #nextRound: NodeJS.Timeout | undefined;
  #restUntil = 0;
  /** Where the beacon stands among the sockets, and how far its two seconds have run. */
  #beaconed: Iterator<Subscriber, void> = this.#listeners();
  #beaconSlice = 0;
  #reading = 0;
  readonly #waitingToRead: (() => void)[] = [];

  constructor({ feed, readLog, tallies, stretches, metrics, log, end }: DeliveryOptions) {
    this.#feed = feed;
    this.#readLog = readLog;
    this.#tallies = tallies;
    this.#stretches = stretches;
    this.#metrics = metrics;
    this.#log = log;
    this.#end = end;
    feed.on('events', (entries) => this.#take(entries));
    // Its sockets are ended, and what was to come in the old numbering, or is just being written, must not reach one that
    // begins in the new.
    feed.on('epoch', () => {
      this.#undelivered = [];
      if (this.#round) this.#round = NOTHING;
    });
  }

  start(): void {
    this.#timers.push(
      setInterval(() => this.#beacon(), BEACON / BEACON_SLICES),
      setInterval(() => this.#tellCounts(), COUNT_INTERVAL),
      setInterval(() => this.#endSlow(), WATCH_INTERVAL),
    );
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#nextRound);
  }

  /**
   * Takes a socket in at a position: brings it up to date, says `ready`, and hands it on to its mode.
   * @param after undefined: from now
   */
  admit(subscriber: Subscriber, after: number | undefined, epoch: string | undefined): void {
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
    this.unread.delete(subscriber);
    this.#live.delete(subscriber);
    this.#counting.delete(subscriber);
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

  #take(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.#undelivered.push(entry);
    if (this.#round && supersede(entries, this.#round.entries))
      this.#round = this.#roundOf(this.#round.entries);
    for (const subscriber of this.#counting) subscriber.uncounted += entries.length;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#round || this.#nextRound || this.#undelivered.length === 0) return;
    const wait = this.#restUntil - performance.now();
    // A timer of less than a millisecond takes longer than it says.
    if (wait < 1) void this.#deliver();
    else this.#nextRound = setTimeout(() => void this.#deliver(), wait);
  }

  /** As the node remembers the events by now: without a text that a later event of its post has taken out. */
  #roundOf(entries: readonly LogEntry[]): Round {
    const remembered = entries[0] && this.#feed.recent(entries[0].seq - 1, entries.length);
    const current = remembered?.length === entries.length ? remembered : entries;
    const first = current[0]?.seq ?? 0;
    return {
      first,
      last: first + current.length - 1,
      entries: current,
      run: new Run(current.map(encodeEntry)),
    };
  }

  /** One round: whatever has come since the last one, to every live socket. */
  async #deliver(): Promise<void> {
    this.#nextRound = undefined;
    const taken = this.#undelivered;
    this.#undelivered = [];
    this.#round = this.#roundOf(taken);
    const behind: Subscriber[] = [];
    let delivered = 0;
    let worked = await this.#stretches.each(this.#live, (subscriber) => {
      const { first, last, entries, run } = this.#round ?? NOTHING;
      if (subscriber.seq >= last) return;
      if (subscriber.pending <= SOFT_MARK) {
        // What is more than a queue holds follows at once to whoever has read it, in the same bytes as to the others.
        do delivered += this.#writePage(subscriber, entries, run);
        while (
          subscriber.seq < last &&
          subscriber.seq >= first - 1 &&
          subscriber.open &&
          subscriber.pending === 0
        );
        subscriber.heardAt = Date.now();
        if (subscriber.seq >= last) return;
      }
      behind.push(subscriber);
    });
    // Not before all have been met: who has caught up at once is in the live room again, and would be met a second time.
    worked += await this.#stretches.each(behind, (subscriber) => {
      if (this.#live.has(subscriber)) this.#catchUp(subscriber);
    });
    this.#round = undefined;
    this.#metrics.eventsDelivered.inc(delivered);
    const now = Date.now();
    for (const entry of taken) this.#metrics.commitToSocket.observe(Math.max(0, now - entry.at) / 1000);
    this.#restUntil = performance.now() + Math.min(MAX_REST, worked * REST_SHARE);
    this.#schedule();
  }

  /**
   * Writes the events that follow a socket's position, in order, until its queue is full. Moves its position on.
   * @returns how many
   */
  #writePage(subscriber: Subscriber, entries: readonly LogEntry[], run: Run): number {
    const first = entries[0];
    if (!first) return 0;
    const from = subscriber.seq + 1 - first.seq;
    // It came in behind some of them, or a hole lies before them: then it is not for this page to fill.
    if (from < 0 || from >= entries.length) return 0;
    let room = PAGE_MARK - subscriber.pending;
    let to = from;
    for (; to < entries.length; to += 1) {
      const { size } = run.messages[to] ?? { size: Infinity };
      if (size > room && to > from) break;
      room -= size;
    }
    if (!subscriber.open) return 0;
    subscriber.writeRun(run, from, to);
    subscriber.seq += to - from;
    return to - from;
  }

  async #resume(subscriber: Subscriber, after: number, epoch: string | undefined): Promise<void> {
    subscriber.seq = after;
    const reason = await this.#refusal(after, epoch);
    if (!subscriber.open) return;
    if (reason === 'unread') {
      // Its position may be as good as ever: it keeps it and comes back.
      this.#end(subscriber, 'reset', 'The log cannot be read at the moment. Connect again.');
      return;
    }
    if (reason) {
      this.#greet(subscriber, 'reset', reason);
      this.#place(subscriber);
      return;
    }
    this.#catchUp(subscriber, after);
    await this.#tallies.tellMissed(subscriber, after);
  }

  /**
   * Why a position cannot be served; `unread` if that cannot be told, since the node cannot read the log. A node that is
   * behind its client, knows another epoch, or has not read the log of late (it might hand on a text that has been
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
      const certain = readAt >= came;
      if (renumbered && certain) return 'epoch_changed';
      if (Date.now() >= came + BEHIND_PATIENCE) return certain ? 'future' : 'unread';
      if (!asked) this.#feed.wake();
      await sleep(SLOW_INTERVAL);
    }
  }

  /** Brings a socket from its position to the node's, at the socket's own pace, and joins it to the live room. */
  #catchUp(subscriber: Subscriber, from?: number): void {
    this.#live.delete(subscriber);
    // The loop that is at it goes on from wherever the socket stands by then.
    if (subscriber.catchingUp) return;
    subscriber.catchingUp = true;
    this.#replay(subscriber, from).catch((error: unknown) => this.#giveUp(subscriber, error));
  }

  /**
   * `catchingUp` ends in the same synchronous block as the loop itself: a moment later, somebody who takes the socket out of
   * the live room, or means to put it there, would leave that to a loop that is no more.
   */
  async #replay(subscriber: Subscriber, from: number | undefined): Promise<void> {
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
      const recent = this.#feed.recent(position, REPLAY_PAGE);
      let page = recent && shortened(recent);
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
          if (subscriber.greeted) {
            this.#end(subscriber, 'reset', 'The log no longer reaches your position. Connect again.');
            return;
          }
          subscriber.catchingUp = false;
          this.#greet(subscriber, 'reset', 'too_old');
          this.#place(subscriber);
          return;
        }
      }
      // From here to the join there is no await.
      this.#metrics.eventsDelivered.inc(this.#writePage(subscriber, page, new Run(page.map(encodeEntry))));
      if (subscriber.seq < this.#feed.seq) {
        // Other sockets and requests get their turn between two pages.
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      if (!subscriber.greeted) {
        this.#metrics.resumes.inc({ outcome: from === subscriber.seq ? 'current' : 'replayed', source });
        this.#say(subscriber, from === subscriber.seq ? 'current' : 'replayed', undefined);
      }
      subscriber.catchingUp = false;
      this.#live.add(subscriber);
      return;
    }
    subscriber.catchingUp = false;
    if (!subscriber.open || subscriber.greeted) return;
    // It asked for another mode while it was being brought up to date.
    this.#greet(subscriber, 'current', undefined);
    this.#place(subscriber);
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
        user_id: subscriber.identity.id,
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
    for (const subscriber of this.unread) {
      const { pending } = subscriber;
      if (pending === 0) this.unread.delete(subscriber);
      if (pending <= SOFT_MARK) subscriber.slowSince = undefined;
      else if (pending > HARD_MARK)
        this.#end(subscriber, 'slow_consumer', 'The connection leaves too much unread.');
      else if (now - (subscriber.slowSince ??= now) > PATIENCE)
        this.#end(subscriber, 'slow_consumer', 'The connection is more than ten seconds behind.');
    }
  }

  /**
   * Tells the next slice of the sockets where the feed stands: all in two seconds, but for those to whom an
   * event has just said as much. To all sockets at once it would be as much work as an event, with every other one waiting.
   */
  #beacon(): void {
    if (this.#beaconSlice === 0) this.#beaconed = this.#listeners();
    this.#beaconSlice = (this.#beaconSlice + 1) % BEACON_SLICES;
    const isLast = this.#beaconSlice === 0;
    // Only what every live socket has been handed: with more a client would think that it missed something.
    const next = this.#round?.entries[0] ?? this.#undelivered[0];
    const seq = (next?.seq ?? this.#feed.seq + 1) - 1;
    const frame = encodeMessage('feed:head', { seq });
    const recently = Date.now() - BEACON / 2;
    const slice = isLast ? Infinity : Math.ceil((this.#live.size + this.#counting.size) / BEACON_SLICES);
    for (let told = 0; told < slice; told += 1) {
      const { done, value: subscriber } = this.#beaconed.next();
      if (done) return;
      if (subscriber.heardAt < recently && subscriber.pending < SOFT_MARK) subscriber.write(frame);
    }
  }

  *#listeners(): Generator<Subscriber, void> {
    yield* this.#live;
    yield* this.#counting;
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

/** Whether some of these are of a post that an earlier event tells of. */
function supersede(entries: readonly LogEntry[], earlier: readonly LogEntry[]): boolean {
  const posts = new Set(earlier.map(({ postId }) => postId));
  return entries.some(({ postId }) => posts.has(postId));
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
