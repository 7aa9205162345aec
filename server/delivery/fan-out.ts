import { containerOf, entityOf, type LogEntry } from '../log/reader.ts';
import type { Follower } from '../log/follower.ts';
import type { Metrics } from '../ops/metrics.ts';
import { PUBLIC } from '../topics/audience.ts';
import { Batch } from './batch.ts';
import type { Freshness } from './freshness.ts';
import { isHidden } from './hidden.ts';
import type { LiveSet } from './live-set.ts';
import { QueuedViews } from './queued-views.ts';
import { type FeedSubscriber, NOTHING_QUEUED, SOFT_MARK, writePage, writeView } from './subscriber.ts';
import type { TimeSlices } from './time-slices.ts';
import type { TopicIndex } from './topic-index.ts';

/** The pause after a fan-out batch, as a multiple of its duration, and its maximum in milliseconds. */
const REST_SHARE = 1.5;
const MAX_REST = 100;

/** Everyone has it already. */
const NOTHING = new Batch('', []);

export interface FanOutOptions {
  feed: Follower;
  members: LiveSet;
  index: TopicIndex;
  /** Nothing is written while the node might not know who is hidden from whom. */
  freshness: Freshness;
  slices: TimeSlices;
  metrics: Metrics;
  /** Takes a subscriber out of the live set that does not read as fast as events come. */
  catchUp: (subscriber: FeedSubscriber) => void;
}

/**
 * Writes the node's events to the live set. A batch follows at once when the node is idle. Under load it waits for half
 * as long again as the last one took, so that writing takes two fifths of the node's time at most, and what has come
 * meanwhile leaves in one write per subscriber. A batch to many is written in time slices; one that joins during it has
 * all of it already, and its position says so.
 *
 * Who has topics is looked up when the node passes an event, with the relations as they are then, and has the event
 * queued; a fan-out writes what each of them has queued by then.
 */
export class FanOut {
  readonly #feed: Follower;
  readonly #members: LiveSet;
  readonly #index: TopicIndex;
  readonly #freshness: Freshness;
  readonly #slices: TimeSlices;
  readonly #metrics: Metrics;
  readonly #catchUp: FanOutOptions['catchUp'];
  /** What the live subscribers are being handed, if a fan-out is in progress. */
  #current: Batch | undefined;
  /** Events that follow it, contiguous, and that no live subscriber has been handed yet; and what ends their wait. */
  #undelivered: LogEntry[] = [];
  #nextBatch: NodeJS.Timeout | undefined;
  /** The last public event before them; unknown before the first fan-out. */
  #publicBefore: number | undefined;
  #restUntil = 0;
  /** Those with topics who have something queued. */
  #reached: FeedSubscriber[] = [];

  constructor({ feed, members, index, freshness, slices, metrics, catchUp }: FanOutOptions) {
    this.#feed = feed;
    this.#members = members;
    this.#index = index;
    this.#freshness = freshness;
    this.#slices = slices;
    this.#metrics = metrics;
    this.#catchUp = catchUp;
  }

  /** The position up to which the whole live set has been handed everything. */
  get seq(): number {
    const next = this.#current?.entries[0] ?? this.#undelivered[0];
    return (next?.seq ?? this.#feed.seq + 1) - 1;
  }

  stop(): void {
    clearTimeout(this.#nextBatch);
  }

  /** What was to come in the old numbering, or is just being written, must not reach one who begins in the new. */
  forget(): void {
    this.#undelivered = [];
    this.#reached = [];
    this.#publicBefore = undefined;
    if (this.#current) this.#current = NOTHING;
  }

  /**
   * The node passes an event: queues it for those with topics who receive it. Called for each event in order, before
   * `take`, as relations change in between.
   */
  pass(entry: LogEntry): void {
    this.#index.reach(entry, (subscriber, isDeparture) => {
      if (subscriber.feed === 'count') {
        if (!isHidden(subscriber, entry)) subscriber.uncounted += 1;
        return;
      }
      // It came from a place that was ahead of the node.
      if (entry.seq <= subscriber.seq) return;
      const signed = isDeparture ? -entry.seq : entry.seq;
      if (subscriber.queued.length > 0) subscriber.queued.push(signed);
      else {
        subscriber.queued = [signed];
        this.#reached.push(subscriber);
      }
    });
  }

  take(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.#undelivered.push(entry);
    if (this.#current && supersede(entries, this.#current.entries))
      this.#current = this.#batchOf(this.#current.entries);
    const { counting } = this.#members;
    if (counting.size > 0) {
      const batch = new Batch(this.#feed.epoch, entries);
      for (const subscriber of counting)
        if (!subscriber.subscription) subscriber.uncounted += batch.countFor(subscriber);
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#current || this.#nextBatch || this.#undelivered.length === 0) return;
    const wait = this.#restUntil - performance.now();
    // A timer of less than a millisecond takes longer than it says.
    if (wait < 1) void this.#deliver();
    else this.#nextBatch = setTimeout(() => void this.#deliver(), wait);
  }

  /** As the node remembers the events by now: without a text that a later event of its entity has taken out. */
  #batchOf(entries: readonly LogEntry[]): Batch {
    const remembered = entries[0] && this.#feed.recent(entries[0].seq - 1, entries.length);
    const current =
      remembered?.length === entries.length ? remembered : entries.map((entry) => this.#feed.current(entry));
    return new Batch(this.#feed.epoch, current, this.#publicBefore);
  }

  /** One fan-out: whatever has come since the last one, to the live set. */
  async #deliver(): Promise<void> {
    this.#nextBatch = undefined;
    const { live } = this.#members;
    const taken = this.#undelivered;
    this.#undelivered = [];
    const reached = this.#reached;
    this.#reached = [];
    if (live.size === 0 && reached.length === 0) {
      // Nobody is there, or nobody wants it.
      this.#publicBefore = lastPublic(taken) ?? this.#publicBefore;
      return;
    }
    this.#current = this.#batchOf(taken);
    const behind: FeedSubscriber[] = [];
    const ready = () => this.#freshness.wait();
    let delivered = 0;
    /** To webhooks, which are no clients. */
    let ofOwn = 0;
    let worked = await this.#slices.each(
      live,
      (subscriber) => {
        const batch = this.#current ?? NOTHING;
        const { first, last } = batch;
        if (subscriber.seq >= last) return;
        if (subscriber.pending <= SOFT_MARK) {
          const before = delivered;
          // What is more than a queue holds follows at once to anyone who has read it, in the same bytes as to the
          // others.
          do delivered += writePage(subscriber, batch);
          while (
            subscriber.seq < last &&
            subscriber.seq >= first - 1 &&
            subscriber.open &&
            subscriber.pending === 0
          );
          // `feed:head` has to reach those who received nothing of it.
          if (delivered > before) subscriber.heardAt = Date.now();
          if (subscriber.withoutSession) ofOwn += delivered - before;
          if (subscriber.seq >= last) return;
        }
        behind.push(subscriber);
      },
      ready,
    );
    const views = new QueuedViews(this.#feed);
    worked += await this.#slices.each(
      reached,
      (subscriber) => {
        if (!this.#members.filtered.has(subscriber) || subscriber.queued.length === 0) return;
        const taken = writeQueued(subscriber, views);
        delivered += taken;
        if (taken > 0) subscriber.heardAt = Date.now();
        if (subscriber.withoutSession) ofOwn += taken;
        if (subscriber.queued.length > 0) behind.push(subscriber);
      },
      ready,
    );
    // Not before all have been met: who has caught up at once is in the live set again, and would be met a second time.
    worked += await this.#slices.each(behind, (subscriber) => {
      if (this.#members.has(subscriber)) this.#catchUp(subscriber);
    });
    this.#publicBefore = lastPublic(this.#current.entries) ?? this.#publicBefore;
    this.#current = undefined;
    this.#metrics.eventsDelivered.inc(delivered - ofOwn);
    const now = Date.now();
    for (const entry of taken) this.#metrics.commitToSocket.observe(Math.max(0, now - entry.at) / 1000);
    this.#restUntil = performance.now() + Math.min(MAX_REST, worked * REST_SHARE);
    this.#schedule();
  }
}

function lastPublic(entries: readonly LogEntry[]): number | undefined {
  return entries.findLast(({ audience }) => audience === PUBLIC)?.seq;
}

/**
 * Writes what a subscriber with topics has queued, as far as it reads.
 * @returns how many events. If it has something queued afterwards it is behind, and `seq` says how far it has come
 */
function writeQueued(subscriber: FeedSubscriber, views: QueuedViews): number {
  if (subscriber.pending > SOFT_MARK) return 0;
  const view = views.of(subscriber);
  if (!view) return 0;
  let taken = 0;
  do taken += writeView(subscriber, view);
  while (subscriber.seq < view.last && subscriber.open && subscriber.pending === 0);
  if (subscriber.seq >= view.last) subscriber.queued = NOTHING_QUEUED;
  return taken;
}

/** Whether some of these are of an entity that an earlier event tells of. */
function supersede(entries: readonly LogEntry[], earlier: readonly LogEntry[]): boolean {
  const entities = new Set(earlier.map(entityOf));
  const containers = new Set(earlier.map(containerOf));
  return entries.some(
    (entry) => entities.has(entityOf(entry)) || (entry.erasesContainer && containers.has(containerOf(entry))),
  );
}
