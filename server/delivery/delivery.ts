import { setTimeout as sleep } from 'node:timers/promises';
import { type AppError, unavailable } from '../errors.ts';
import type { Follower } from '../log/follower.ts';
import type { LogEntry, Probe } from '../log/reader.ts';
import { SharedPages } from '../log/shared-pages.ts';
import { TopicPositions } from '../log/topic-positions.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { FeedMode } from '../protocol.ts';
import { Beacon } from './beacon.ts';
import type { Connections } from './connections.ts';
import { FanOut } from './fan-out.ts';
import { Freshness } from './freshness.ts';
import { LiveSet } from './live-set.ts';
import { MissedEvents } from './missed-events.ts';
import { RelationMemory, type RelationSource } from './relation-memory.ts';
import { BEHIND_TIME_LIMIT, RENUMBERED, Replay } from './replay.ts';
import { type FeedSubscriber, HARD_MARK, SOFT_MARK } from './subscriber.ts';
import {
  type SubscribeAnswer,
  type SubscribeRequest,
  TopicChanges,
  type TopicChangesOptions,
} from './topic-changes.ts';
import { TopicIndex } from './topic-index.ts';
import type { TimeSlices } from './time-slices.ts';

/** How long its queue may stay beyond the soft mark before it is closed. Milliseconds. */
const TIME_LIMIT = 10_000;
/** How often everyone who has not read all is looked at. Milliseconds. */
const WATCH_INTERVAL = 500;

/** `Retry-After` for requests to a stopping node. Seconds. */
const DRAINING_PAUSE = 1;

export interface DeliveryOptions {
  feed: Follower;
  /** The subscribers of each user, to end them with their session. */
  connections: Connections;
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  /**
   * Finds the events of some topics and authors by the indexes of the log; undefined if it does not reach back so far.
   */
  probeLog: (probe: Probe, after: number, upTo: number, limit: number) => Promise<LogEntry[] | undefined>;
  /** The relations of users as the stream has them. */
  relationSource: RelationSource;
  /**
   * Whether positions are given out that were read from replicas: these may show an event before the primary does, as
   * while its commit waits for a synchronous standby.
   */
  usesReplicas: boolean;
  slices: TimeSlices;
  metrics: Metrics;
  log: Logger;
}

/**
 * Delivers the node's feed to its subscribers: sockets, streams and long-polls alike. A transport makes a subscriber,
 * lets it `enter`, looks its session up and has it admitted at a position; from there on only the delivery writes to
 * it.
 *
 * Every subscriber that has been admitted is in exactly one of three places:
 *
 * - **live** (`LiveSet`): `FanOut` writes it each batch of events, or those of its topics, and `Beacon` where the feed
 *   stands.
 * - **catching up**: its position is behind. `Replay` writes it what it missed and joins it to the live set.
 * - **not following** (modes `count` and `off`).
 *
 * What is not public reaches only the users whom the event names; everyone else's position moves over it. Each event
 * says which one came before it in the chain of its subscription, and a beacon says the same where no event does.
 *
 * Backpressure: a slow consumer in the live set falls back to catching up, which writes only as fast as the client
 * reads, so its memory is bounded and it misses nothing; if it stays ten seconds behind it is closed (`slow_consumer`)
 * and can resume with its position.
 *
 * Graceful shutdown: after `refuseNew` nobody can enter, and `drain` ends all subscribers. Nobody can enter between the
 * two and be forgotten.
 */
export class Delivery {
  readonly #feed: Follower;
  readonly #connections: Connections;
  /** All subscribers that have entered and not left, admitted or not. */
  readonly #subscribers = new Set<FeedSubscriber>();
  /**
   * Subscribers that may have unread data: only these are checked for backpressure, not thousands that have read
   * everything.
   */
  readonly unread = new Set<FeedSubscriber>();
  readonly #relations: RelationMemory<FeedSubscriber>;
  readonly #freshness: Freshness;
  readonly #pages: SharedPages;
  readonly #missed: MissedEvents;
  #positions: TopicPositions;
  readonly #members: LiveSet;
  readonly #topicChanges: TopicChanges;
  readonly #replay: Replay;
  readonly #fanOut: FanOut;
  readonly #beacon: Beacon;
  #watch: NodeJS.Timeout | undefined;
  #draining = false;
  /** Subscribers that are the service's own. */
  #ownReaders = 0;

  constructor({
    feed,
    connections,
    readLog,
    probeLog,
    relationSource,
    usesReplicas,
    slices,
    metrics,
    log,
  }: DeliveryOptions) {
    this.#feed = feed;
    this.#connections = connections;
    const relations = new RelationMemory<FeedSubscriber>({ feed, source: relationSource, log });
    const freshness = new Freshness(feed);
    const pages = new SharedPages(readLog);
    const index = new TopicIndex(relations);
    const members = new LiveSet(feed, index, metrics);
    this.#positions = new TopicPositions(feed.seq);
    const missed = new MissedEvents({ feed, relations, pages, probe: probeLog }, this.#positions);
    this.#relations = relations;
    this.#freshness = freshness;
    this.#pages = pages;
    this.#missed = missed;
    this.#members = members;
    const aheadLimit = usesReplicas ? BEHIND_TIME_LIMIT : 0;
    const parts = { feed, members, missed, freshness, aheadLimit };
    this.#replay = new Replay({ ...parts, readLog, metrics, log });
    const catchUp = (subscriber: FeedSubscriber) => this.#replay.catchUp(subscriber);
    const inTurn: TopicChangesOptions['inTurn'] = (subscriber, read) => this.#replay.inTurn(subscriber, read);
    this.#topicChanges = new TopicChanges({ ...parts, relations, inTurn, catchUp, log });
    this.#fanOut = new FanOut({ feed, members, index, freshness, slices, metrics, catchUp });
    this.#beacon = new Beacon(feed, members, this.#fanOut);
    feed.on('events', (entries) => this.#pass(entries));
    feed.on('epoch', ({ seq }) => {
      this.#fanOut.forget();
      for (const subscriber of [...this.#subscribers]) subscriber.end('reset', RENUMBERED);
      relations.forget();
      pages.forget();
      this.#knowPositionsFrom(seq);
    });
  }

  /** How many clients have entered and not left. */
  get size(): number {
    return this.#subscribers.size - this.#ownReaders;
  }

  /** The numbering that positions belong to. */
  get epoch(): string {
    return this.#feed.epoch;
  }

  /** Whether what a subscriber has been handed may be written: the node knows who is hidden from whom. */
  get isFresh(): boolean {
    return this.#freshness.isFresh;
  }

  /** Replays that wait to read the log. */
  get replaysWaiting(): number {
    return this.#replay.waiting;
  }

  /** Users whose relations are in memory. */
  get usersKnown(): number {
    return this.#relations.size;
  }

  /** Subscribers with topics that are up to date. */
  get filtered(): number {
    return this.#members.filtered.size;
  }

  /** After the feed has been started. */
  start(): void {
    this.#knowPositionsFrom(this.#feed.seq);
    this.#beacon.start();
    this.#watch = setInterval(() => this.#endSlow(), WATCH_INTERVAL);
  }

  stop(): void {
    this.#beacon.stop();
    clearInterval(this.#watch);
    this.#fanOut.stop();
    this.#freshness.stop();
    this.#relations.stop();
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

  /**
   * @throws {AppError} 503 while the node stops; the connection of anyone who asked is to be closed too
   */
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
    if (subscriber.withoutSession) this.#ownReaders += 1;
    this.#connections.add(subscriber);
    this.#relations.enter(subscriber);
  }

  /** Ends everyone with `draining`, spread over some time so that they do not all come back at once. Milliseconds. */
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
   * Admits a subscriber at a position: replays what it missed, sends `ready`, and continues in its mode.
   * @param after undefined: from now
   * @param onResumed called when its position has been found to be one that it can continue from
   */
  admit(
    subscriber: FeedSubscriber,
    after: number | undefined,
    epoch: string | undefined,
    onResumed?: (after: number) => Promise<void>,
  ): void {
    if (!subscriber.open) return;
    // Now is when it came, however long the relations of its user take.
    const { seq: now } = this.#feed;
    const admit = () => {
      if (!subscriber.open) return;
      if (after !== undefined) {
        this.#replay.resume(subscriber, after, epoch, onResumed);
        return;
      }
      const isBehind = subscriber.feed === 'live' && now < this.#feed.seq;
      this.#members.greet(subscriber, 'current', undefined, isBehind ? now : this.#feed.seq);
      if (isBehind) this.#replay.catchUp(subscriber);
      else this.#members.place(subscriber);
    };
    if (this.#relations.isKnown(subscriber)) admit();
    else void this.#relations.ready(subscriber).then(admit);
  }

  /**
   * Forgets a subscriber. Nothing is written to it after this has returned.
   * @returns whether it was in
   */
  remove(subscriber: FeedSubscriber): boolean {
    subscriber.ended = true;
    this.#connections.remove(subscriber);
    this.unread.delete(subscriber);
    this.#members.remove(subscriber);
    this.#relations.leave(subscriber);
    if (!this.#subscribers.delete(subscriber)) return false;
    if (subscriber.withoutSession) this.#ownReaders -= 1;
    return true;
  }

  /**
   * Adds topics to those of a subscriber.
   * @returns the events of these topics after the position asked for, and the position from which on they are live
   * @throws {AppError} 422 if it receives everything public or would have too many topics, 503 if it is not up to date
   *   in time
   */
  subscribe(subscriber: FeedSubscriber, request: SubscribeRequest): Promise<SubscribeAnswer> {
    return this.#topicChanges.subscribe(subscriber, request);
  }

  /**
   * Takes topics away from those of a subscriber: nothing of them is written to it from here on.
   * @returns those that are left
   * @throws {AppError} 422 if it receives everything public
   */
  unsubscribe(subscriber: FeedSubscriber, topics: readonly string[]): readonly string[] {
    return this.#topicChanges.unsubscribe(subscriber, topics);
  }

  /** Where a subscriber stands: everything up to there has been delivered, is not for it, or need not be delivered. */
  positionOf(subscriber: FeedSubscriber): number {
    return this.#members.positionOf(subscriber);
  }

  /** Changes the mode of a subscriber. Events that come in between are not sent; it continues from the seq returned. */
  setMode(subscriber: FeedSubscriber, mode: FeedMode): number {
    const following = subscriber.feed === 'live';
    subscriber.feed = mode;
    if (mode === 'live' && following) return this.positionOf(subscriber);
    if (!subscriber.greeted) {
      // Anyone who brings it up to date sees it, and says with `ready` where it continues.
      subscriber.switched = true;
      return this.#feed.seq;
    }
    this.#members.remove(subscriber);
    subscriber.standAt(this.#feed.seq);
    this.#members.place(subscriber);
    return subscriber.seq;
  }

  /** Whether so much waits for a subscriber that nothing may be added. */
  isFull(subscriber: FeedSubscriber): boolean {
    return subscriber.pending > HARD_MARK;
  }

  /** The node passes events: what they change between users holds for those behind them. */
  #pass(entries: readonly LogEntry[]): void {
    this.#pages.note(entries);
    for (const entry of entries) {
      this.#positions.note(entry);
      const { relation, seq } = entry;
      if (relation) {
        for (const { relations, subscribers } of this.#relations.apply(relation, seq)) {
          const other = relation.user_id === relations.userId ? relation.target_id : relation.user_id;
          for (const subscriber of subscribers) subscriber.takeBack(other);
        }
      }
      this.#fanOut.pass(entry);
    }
    this.#fanOut.take(entries);
    this.#relations.advanced();
  }

  /** Knows the newest events of topics after a position, and what the ring buffer has of before. */
  #knowPositionsFrom(position: number): void {
    let from = position;
    const remembered = this.#feed.remembered;
    if (remembered[0]) from = remembered[0].seq - 1;
    this.#positions = new TopicPositions(from);
    for (const entry of remembered) this.#positions.note(entry);
    this.#missed.positions = this.#positions;
  }

  /** In whatever place it is: who leaves too much unread for too long is ended. */
  #endSlow(): void {
    const now = Date.now();
    for (const subscriber of this.unread) {
      const { pending } = subscriber;
      if (pending === 0) this.unread.delete(subscriber);
      if (pending <= SOFT_MARK) subscriber.slowSince = undefined;
      else if (pending > HARD_MARK)
        subscriber.end('slow_consumer', 'The client reads too slowly: its send buffer is full.');
      else if (now - (subscriber.slowSince ??= now) > TIME_LIMIT)
        subscriber.end('slow_consumer', 'The connection is more than ten seconds behind.');
    }
  }
}

/** The error for a request that arrives at a stopping node, or is unanswered when it stops. */
export function draining(): AppError {
  return unavailable('The node is shutting down. Connect again.', DRAINING_PAUSE, {
    headers: { Connection: 'close' },
  });
}
