import type { Connections } from './connections.ts';
import { type AppError, unavailable } from '../errors.ts';
import type { FeedMode, Position, ResetReason } from '../protocol.ts';
import type { Follower } from '../log/follower.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Logger } from '../logger.ts';
import { entityOf, type LogEntry, shortened } from '../log/reader.ts';
import { TurnTaking } from '../queues/turn-taking.ts';
import { Batch } from './batch.ts';
import { type FeedSubscriber, HARD_MARK, SOFT_MARK } from './subscriber.ts';
import type { TimeSlices } from './time-slices.ts';

/** As far as a replay fills its queue: what else it is sent still has room beneath the hard mark. Bytes. */
const PAGE_MARK = 160 * 1024;
/** How long its queue may stay beyond the soft mark before it is closed. Milliseconds. */
const PATIENCE = 10_000;
/** How often one that is catching up and does not read is looked at, and how often everybody who has not read all. Milliseconds. */
const SLOW_INTERVAL = 50;
const WATCH_INTERVAL = 500;
/** Events in one page of a replay. */
const REPLAY_PAGE = 100;
/** Replays that read the database at once on this node; the others wait, each address and each of its users in turn. */
const CONCURRENT_READS = 2;
/** How long a node that is behind its client waits for its own tail. Milliseconds. */
const BEHIND_PATIENCE = 3000;
/** How old a node's last look at the log may be for it to replay out of memory. Milliseconds. */
const MAX_STALENESS = 1000;
/** Milliseconds between two beacons to one subscriber, and in how many slices all of them are told, spread over that time. */
const BEACON = 2000;
const BEACON_SLICES = 20;
/** Milliseconds between two messages to one who only counts. */
const COUNT_INTERVAL = 1000;
/** How long the live set is left alone after a fan-out, as a share of how long that took, and at most. */
const REST_SHARE = 1.5;
const MAX_REST = 100;

const RENUMBERED = 'The numbering of the feed has changed. Connect again.';

/** Everybody has it already. */
const NOTHING = new Batch('', []);

/** What a client is told whose request comes while the node stops. Seconds. */
const DRAINING_PAUSE = 1;

export interface DeliveryOptions {
  feed: Follower;
  /** The subscribers of each user: a session's end is their end. */
  connections: Connections;
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  slices: TimeSlices;
  metrics: Metrics;
  log: Logger;
}

/**
 * Hands the node's feed to its subscribers: sockets, streams and long-polls alike. A transport makes a subscriber, lets
 * it `enter`, looks its session up and has it admitted at a position; from there on only this class writes to it.
 *
 * Every subscriber that has been admitted is in exactly one of three places:
 *
 * - **live**: it has all up to the node's position, but for what is in the fan-out batch being written or in the next. A
 *   batch follows at once when the node is idle. Under load it waits for half as long again as the last one took, so that
 *   writing takes two fifths of the node's time at most, and what has come meanwhile leaves in one write per subscriber.
 *   A batch to many is written in time slices; one that joins amid it has all of it already, and its position says so.
 * - **catching up**: its position is behind. It is not in the live set; a loop of its own writes it pages, out of the
 *   node's ring buffer or else the log, as fast as it reads. When its position equals the node's it joins the live set: the
 *   last slice of the ring, the cursor and the join are one synchronous block, so nothing can come between, twice, or be
 *   left out.
 * - **not following** (modes `count` and `off`).
 *
 * What is not public reaches only the users whom the event names; everybody else's position moves over it. Each event says
 * which one came before it in the chain of its subscription, and a beacon says the same where no event does.
 *
 * Backpressure: a live subscriber that does not read falls back to catching up, which brakes itself, so what it costs is
 * bounded in bytes and it has no hole afterwards; if it stays ten seconds behind it is ended and comes back with its
 * position.
 *
 * Draining: from `refuseNew` on nobody enters, and `drain` ends everybody who is in. There is no moment between the two at
 * which somebody could enter and be forgotten.
 */
export class Delivery {
  readonly #feed: Follower;
  readonly #connections: Connections;
  readonly #readLog: DeliveryOptions['readLog'];
  readonly #slices: TimeSlices;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  /** All who have entered and not left, admitted or not. */
  readonly #subscribers = new Set<FeedSubscriber>();
  /** Those for whom something may wait to be read: only they are looked at, not ten thousand who have read everything. */
  readonly unread = new Set<FeedSubscriber>();
  readonly #live = new Set<FeedSubscriber>();
  readonly #counting = new Set<FeedSubscriber>();
  readonly #timers: NodeJS.Timeout[] = [];
  /** What the live subscribers are being handed, if a fan-out is under way. */
  #round: Batch | undefined;
  /** Events that follow it, contiguous, and that no live subscriber has been handed yet; and what ends their wait. */
  #undelivered: LogEntry[] = [];
  #nextRound: NodeJS.Timeout | undefined;
  /** The last public event before them; unknown before the first fan-out. */
  #publicBefore: number | undefined;
  #restUntil = 0;
  /** Where the beacon stands among them, and how far its two seconds have run. */
  #beaconed: Iterator<FeedSubscriber, void> = this.#listeners();
  #beaconSlice = 0;
  /** Bounded by the subscribers: each waits for one page. */
  readonly #reads = new TurnTaking<FeedSubscriber>({
    atOnce: CONCURRENT_READS,
    pathOf: ({ senders }) => senders,
  });
  #draining = false;

  constructor({ feed, connections, readLog, slices, metrics, log }: DeliveryOptions) {
    this.#feed = feed;
    this.#connections = connections;
    this.#readLog = readLog;
    this.#slices = slices;
    this.#metrics = metrics;
    this.#log = log;
    feed.on('events', (entries) => this.#take(entries));
    // What was to come in the old numbering, or is just being written, must not reach one who begins in the new.
    feed.on('epoch', () => {
      this.#undelivered = [];
      this.#publicBefore = undefined;
      if (this.#round) this.#round = NOTHING;
      for (const subscriber of [...this.#subscribers]) subscriber.end('reset', RENUMBERED);
    });
  }

  /** How many have entered and not left. */
  get size(): number {
    return this.#subscribers.size;
  }

  /** The numbering that positions belong to. */
  get epoch(): string {
    return this.#feed.epoch;
  }

  /** Replays that wait to read the log. */
  get replaysWaiting(): number {
    return this.#reads.waiting;
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
    for (const subscriber of [...this.#subscribers]) subscriber.terminate();
  }

  /** Whether the node stops, so that nobody may enter. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Nobody enters from here on. */
  refuseNew(): void {
    this.#draining = true;
  }

  /** @throws {AppError} 503 while the node stops; the connection of whoever asked is to be closed too */
  requireOpen(): void {
    if (this.#draining) throw draining();
  }

  /**
   * Knows a subscriber from here on. It must enter before its session is looked up: an end of the session that commits after
   * the look-up then finds it here, and one that commits before is seen by the look-up.
   * @throws {AppError} 503 while the node stops
   */
  enter(subscriber: FeedSubscriber): void {
    this.requireOpen();
    this.#subscribers.add(subscriber);
    this.#connections.add(subscriber);
  }

  /** Ends everybody with `draining`, spread over some time so that they do not all come back at once. Milliseconds. */
  async drain(spread: number): Promise<void> {
    this.refuseNew();
    const all = [...this.#subscribers];
    const began = Date.now();
    for (const [at, subscriber] of all.entries()) {
      const wait = began + (spread * at) / all.length - Date.now();
      if (wait > 5) await sleep(wait);
      subscriber.end('draining', 'The node is shutting down. Connect again.');
    }
  }

  /**
   * Takes a subscriber in at a position: brings it up to date, greets it, and hands it on to its mode.
   * @param after undefined: from now
   * @param onResumed called when its position has been found to be one that it can go on from
   */
  admit(
    subscriber: FeedSubscriber,
    after: number | undefined,
    epoch: string | undefined,
    onResumed?: (after: number) => Promise<void>,
  ): void {
    if (!subscriber.open) return;
    if (after === undefined) {
      this.#greet(subscriber, 'current', undefined);
      this.#place(subscriber);
      return;
    }
    this.#resume(subscriber, after, epoch, onResumed).catch((error: unknown) =>
      this.#giveUp(subscriber, error),
    );
  }

  /**
   * Forgets a subscriber. Nothing is written to it after this has returned.
   * @returns whether it was in
   */
  remove(subscriber: FeedSubscriber): boolean {
    subscriber.ended = true;
    this.#connections.remove(subscriber);
    this.unread.delete(subscriber);
    this.#live.delete(subscriber);
    this.#counting.delete(subscriber);
    return this.#subscribers.delete(subscriber);
  }

  /** Changes what a subscriber hears. Events between two modes are its own affair; it goes on from the seq returned. */
  setMode(subscriber: FeedSubscriber, mode: FeedMode): number {
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
    subscriber.standAt(this.#feed.seq);
    this.#place(subscriber);
    return subscriber.seq;
  }

  /** Whether so much waits for a subscriber that nothing may be added. */
  isFull(subscriber: FeedSubscriber): boolean {
    return subscriber.pending > HARD_MARK;
  }

  #take(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.#undelivered.push(entry);
    if (this.#round && supersede(entries, this.#round.entries))
      this.#round = this.#roundOf(this.#round.entries);
    if (this.#counting.size > 0) {
      const batch = new Batch(this.#feed.epoch, entries);
      for (const subscriber of this.#counting) subscriber.uncounted += batch.countFor(subscriber.identity);
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#round || this.#nextRound || this.#undelivered.length === 0) return;
    const wait = this.#restUntil - performance.now();
    // A timer of less than a millisecond takes longer than it says.
    if (wait < 1) void this.#deliver();
    else this.#nextRound = setTimeout(() => void this.#deliver(), wait);
  }

  /** As the node remembers the events by now: without a text that a later event of its entity has taken out. */
  #roundOf(entries: readonly LogEntry[]): Batch {
    const remembered = entries[0] && this.#feed.recent(entries[0].seq - 1, entries.length);
    const current = remembered?.length === entries.length ? remembered : entries;
    return new Batch(this.#feed.epoch, current, this.#publicBefore);
  }

  /** One fan-out: whatever has come since the last one, to the live set. */
  async #deliver(): Promise<void> {
    this.#nextRound = undefined;
    const taken = this.#undelivered;
    this.#undelivered = [];
    this.#round = this.#roundOf(taken);
    const behind: FeedSubscriber[] = [];
    let delivered = 0;
    let worked = await this.#slices.each(this.#live, (subscriber) => {
      const batch = this.#round ?? NOTHING;
      const { first, last } = batch;
      if (subscriber.seq >= last) return;
      if (subscriber.pending <= SOFT_MARK) {
        const before = delivered;
        // What is more than a queue holds follows at once to whoever has read it, in the same bytes as to the others.
        do delivered += this.#writePage(subscriber, batch);
        while (
          subscriber.seq < last &&
          subscriber.seq >= first - 1 &&
          subscriber.open &&
          subscriber.pending === 0
        );
        // A beacon has to tell who has heard nothing of it where the feed stands.
        if (delivered > before) subscriber.heardAt = Date.now();
        if (subscriber.seq >= last) return;
      }
      behind.push(subscriber);
    });
    // Not before all have been met: who has caught up at once is in the live set again, and would be met a second time.
    worked += await this.#slices.each(behind, (subscriber) => {
      if (this.#live.has(subscriber)) this.#catchUp(subscriber);
    });
    this.#publicBefore = this.#round.publicView.events.at(-1)?.entry.seq ?? this.#publicBefore;
    this.#round = undefined;
    this.#metrics.eventsDelivered.inc(delivered);
    const now = Date.now();
    for (const entry of taken) this.#metrics.commitToSocket.observe(Math.max(0, now - entry.at) / 1000);
    this.#restUntil = performance.now() + Math.min(MAX_REST, worked * REST_SHARE);
    this.#schedule();
  }

  /**
   * Writes the events that follow a subscriber's position and are meant for it, in order, until its queue is full. Moves its
   * position on, over what is not for it as well.
   * @returns how many
   */
  #writePage(subscriber: FeedSubscriber, batch: Batch): number {
    const { seq } = subscriber;
    // It came in behind some of them, or a hole lies before them: then it is not for this page to fill.
    if (seq + 1 < batch.first || seq >= batch.last || !subscriber.open) return 0;
    const view = batch.viewOf(subscriber.identity, seq, subscriber.told);
    const { length } = view.events;
    const from = view.indexAfter(seq);
    let room = PAGE_MARK - subscriber.pending;
    let to = from;
    for (; to < length; to += 1) {
      const size = view.sizeOf(to);
      if (size > room && to > from) break;
      room -= size;
    }
    const taken = to > from ? subscriber.writeEvents(view, from, to) : 0;
    if (taken > 0) subscriber.standAt(view.events[from + taken - 1]?.entry.seq ?? seq);
    if (from + taken === length) subscriber.seq = view.last;
    return taken;
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
      this.#greet(subscriber, 'reset', reason);
      this.#place(subscriber);
      return;
    }
    this.#catchUp(subscriber, after);
    await onResumed?.(after);
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
      if (readAt >= came) return renumbered ? 'epoch_changed' : 'future';
      if (Date.now() >= came + BEHIND_PATIENCE) return 'unread';
      if (!asked) this.#feed.wake();
      await sleep(SLOW_INTERVAL);
    }
  }

  /** Brings a subscriber from its position to the node's, at its own pace, and joins it to the live set. */
  #catchUp(subscriber: FeedSubscriber, from?: number): void {
    this.#live.delete(subscriber);
    // The loop that is at it goes on from wherever it stands by then.
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
        // The numbering ended under it: positions mean nothing any more. It comes back and is told so.
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
          this.#log.debug({ err: error }, 'a replay waits for the database');
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
          this.#greet(subscriber, 'reset', 'too_old');
          this.#place(subscriber);
          return;
        }
      }
      // From here to the join there is no await.
      const told = this.#writePage(subscriber, new Batch(epoch, page, subscriber.told));
      this.#metrics.eventsDelivered.inc(told);
      if (subscriber.seq < this.#feed.seq) {
        // However much of the log is not for it, it is heard of, and does not begin anew where it stood.
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
        this.#say(subscriber, outcome, undefined);
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
    this.#greet(subscriber, 'current', undefined);
    this.#place(subscriber);
  }

  /** A bug: it is ended and comes back, rather than be left without its events. */
  #giveUp(subscriber: FeedSubscriber, error: unknown): void {
    this.#log.error({ err: error }, 'a subscriber could not be brought up to date');
    subscriber.end('reset', 'Something went wrong here. Connect again.');
  }

  #readBounded(subscriber: FeedSubscriber): Promise<LogEntry[]> {
    return this.#reads.run(subscriber, async () =>
      subscriber.open ? this.#readLog(subscriber.seq, REPLAY_PAGE) : [],
    );
  }

  #greet(subscriber: FeedSubscriber, outcome: 'current' | 'reset', reason: ResetReason | undefined): void {
    subscriber.standAt(this.#feed.seq);
    this.#metrics.resumes.inc({ outcome, source: 'none' });
    this.#say(subscriber, outcome, reason);
  }

  #say(
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
  #place(subscriber: FeedSubscriber): void {
    if (!subscriber.open) return;
    if (subscriber.feed === 'live') {
      // A loop that is still at it joins it to the live set itself.
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
      else if (pending > HARD_MARK) subscriber.end('slow_consumer', 'The connection leaves too much unread.');
      else if (now - (subscriber.slowSince ??= now) > PATIENCE)
        subscriber.end('slow_consumer', 'The connection is more than ten seconds behind.');
    }
  }

  /**
   * Tells the next slice of them where the feed stands: all in two seconds, but for those to whom an
   * event has just said as much. To all at once it would be as much work as an event, with every other one waiting.
   */
  #beacon(): void {
    if (this.#beaconSlice === 0) this.#beaconed = this.#listeners();
    this.#beaconSlice = (this.#beaconSlice + 1) % BEACON_SLICES;
    const isLast = this.#beaconSlice === 0;
    // Only what the whole live set has been handed: with more a client would think that it missed something.
    const next = this.#round?.entries[0] ?? this.#undelivered[0];
    const seq = (next?.seq ?? this.#feed.seq + 1) - 1;
    // The same object for all whose chain ends with the same event: it is encoded once.
    const heads = new Map<number, Position>();
    const headAfter = (prev: number) => {
      let head = heads.get(prev);
      if (!head) heads.set(prev, (head = { seq, prev }));
      return head;
    };
    const recently = Date.now() - BEACON / 2;
    const slice = isLast ? Infinity : Math.ceil((this.#live.size + this.#counting.size) / BEACON_SLICES);
    for (let told = 0; told < slice; told += 1) {
      const { done, value: subscriber } = this.#beaconed.next();
      if (done) return;
      if (subscriber.heardAt >= recently || subscriber.pending >= SOFT_MARK) continue;
      // Who counts has no chain. A fan-out under way may have handed it more than all have.
      const prev = subscriber.feed === 'live' ? Math.min(subscriber.told, seq) : seq;
      subscriber.writeHead(headAfter(prev));
    }
  }

  *#listeners(): Generator<FeedSubscriber, void> {
    yield* this.#live;
    yield* this.#counting;
  }

  #tellCounts(): void {
    const messages = new Map<number, { count: number; seq: number }>();
    for (const subscriber of this.#counting) {
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

/** Whether some of these are of an entity that an earlier event tells of. */
function supersede(entries: readonly LogEntry[], earlier: readonly LogEntry[]): boolean {
  const entities = new Set(earlier.map(entityOf));
  return entries.some((entry) => entities.has(entityOf(entry)));
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The refusal of somebody who comes to a node that stops, or who has no answer when it does. */
export function draining(): AppError {
  return unavailable('The node is shutting down. Connect again.', DRAINING_PAUSE, {
    headers: { Connection: 'close' },
  });
}
