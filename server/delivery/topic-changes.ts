import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, unavailable } from '../errors.ts';
import type { Follower } from '../log/follower.ts';
import type { Logger } from '../logger.ts';
import { type Reach, reachOf, Subscription } from '../topics/subscription.ts';
import { EVERYTHING, MAX_TOPICS } from '../topics/topic.ts';
import type { LogEntry } from '../log/reader.ts';
import { PUBLIC } from '../topics/audience.ts';
import type { Freshness } from './freshness.ts';
import { departureOf } from './departed.ts';
import type { LiveSet } from './live-set.ts';
import type { MissedEvents, EventRange } from './missed-events.ts';
import { isHidden } from './hidden.ts';
import type { Member, RelationMemory } from './relation-memory.ts';
import type { FeedSubscriber } from './subscriber.ts';

export interface SubscribeRequest {
  topics: readonly string[];
  /** The position of what the client holds of these topics; undefined: it wants what comes from now on. */
  from: number | undefined;
  /** The numbering that it belongs to; undefined: the present one. */
  epoch: string | undefined;
}

export interface SubscribeAnswer {
  seq: number;
  events: readonly LogEntry[];
  /** Those whose events could not be handed over. */
  reset: readonly string[];
}

export interface TopicChangesOptions {
  feed: Pick<Follower, 'epoch' | 'seq' | 'knownAt' | 'wake' | 'current' | 'hasPassedSince'>;
  members: LiveSet;
  missed: MissedEvents;
  relations: RelationMemory<FeedSubscriber>;
  freshness: Freshness;
  /** See `ReplayOptions`. */
  aheadLimit: number;
  /** Runs a read of the log for a subscriber, in its turn. */
  inTurn: <T>(subscriber: FeedSubscriber, read: () => Promise<T>) => Promise<T>;
  catchUp: (subscriber: FeedSubscriber) => void;
  log: Logger;
}

/** What one answer may hold, which has to fit the queue of a socket. Events, and bytes if it is more than one event. */
const MAX_EVENTS = 500;
const MAX_BYTES = 160 * 1024;
/** How long the events of an answer may take to be found. Milliseconds. */
const READ_LIMIT = 5000;
/** How long a request waits until its subscriber is up to date, or the node where the client is. Milliseconds. */
const WAIT_LIMIT = 5000;
const WAIT_INTERVAL = 10;
/** `Retry-After`. Seconds. */
const RETRY = 1;

/**
 * Widens and narrows open subscriptions. While its topics change a subscriber is handed nothing: its position is then
 * one number, up to which it has had everything of the topics that it had. The answer has the events of the new topics
 * up to there, and the stream continues with all topics behind it. So nothing is left out, and the stream goes up.
 */
export class TopicChanges {
  readonly #options: TopicChangesOptions;

  constructor(options: TopicChangesOptions) {
    this.#options = options;
  }

  async subscribe(
    subscriber: FeedSubscriber,
    { topics, from, epoch }: SubscribeRequest,
  ): Promise<SubscribeAnswer> {
    const { feed, members, relations, aheadLimit } = this.#options;
    requireRoom(subscriber, topics);
    const asked = Subscription.of(topics);
    const came = performance.now();
    const isHere = () => epoch === undefined || epoch === feed.epoch;
    const position = () => (subscriber.feed === 'live' ? members.positionOf(subscriber) : feed.seq);
    /** Ahead of the log, as only a look at all of it can tell: this node may be behind. */
    const isAhead = (at: number) =>
      at > feed.seq && feed.knownAt >= came && performance.now() >= came + aheadLimit;
    const isReached = () => from === undefined || !isHere() || position() >= from || isAhead(from);
    if (from !== undefined && from > feed.seq) feed.wake();
    void relations.ready(subscriber, asked.hasHome);
    const isReady = () => subscriber.greeted && relations.isKnown(subscriber, asked.hasHome) && isReached();
    await until(() => !subscriber.open || isReady());
    if (!subscriber.open || !isReady())
      throw unavailable('The connection is not up to date yet. Try again.', RETRY);
    // Another request may have been answered meanwhile.
    const wanted = requireRoom(subscriber, topics);
    const release = this.#change(subscriber, wanted);
    try {
      const seq = subscriber.feed === 'live' ? subscriber.seq : feed.seq;
      if (from === undefined) return { seq, events: [], reset: [] };
      if (!isHere() || from > seq) return { seq, events: [], reset: asked.topics };
      return { seq, ...(await this.#eventsOf(subscriber, asked, from, seq)) };
    } finally {
      // Behind the answer.
      setImmediate(release);
    }
  }

  unsubscribe(subscriber: FeedSubscriber, topics: readonly string[]): readonly string[] {
    const left = requireTopics(subscriber).without(topics);
    // Behind the answer: an event ahead of it is of the topics that were there.
    setImmediate(this.#change(subscriber, left));
    return left.topics;
  }

  /**
   * Gives a subscriber other topics.
   * @returns what lets it continue: until then it stands at `seq` if it follows the feed
   */
  #change(subscriber: FeedSubscriber, topics: Subscription): () => void {
    const { members, catchUp } = this.#options;
    if (subscriber.feed !== 'live') {
      members.swap(subscriber, topics);
      return () => undefined;
    }
    subscriber.held += 1;
    members.remove(subscriber);
    subscriber.subscription = topics;
    return () => {
      subscriber.held -= 1;
      // A loop that is at it sees that it is not held any more.
      if (subscriber.held === 0 && subscriber.open && subscriber.feed === 'live') catchUp(subscriber);
    };
  }

  /** What of some topics came after a position, up to another. */
  async #eventsOf(
    subscriber: FeedSubscriber,
    asked: Subscription,
    from: number,
    upTo: number,
  ): Promise<Omit<SubscribeAnswer, 'seq'>> {
    const { feed, missed, freshness, inTurn, log } = this.#options;
    const { seq: known } = feed;
    const { member } = subscriber;
    const nothing = { events: [], reset: asked.topics };
    if (!member) return nothing;
    const began = Date.now();
    let found: FoundEvents | undefined;
    for (let position = from; position < upTo;) {
      if (Date.now() - began > READ_LIMIT || !subscriber.open) return nothing;
      let range: EventRange | undefined;
      try {
        const near = missed.near(asked, member, position);
        const at = position;
        range = near ?? (await inTurn(subscriber, () => missed.far(asked, member, at)));
      } catch (error) {
        log.debug({ err: error }, 'the events of new topics wait for the database');
        await sleep(WAIT_INTERVAL * 10);
        continue;
      }
      if (!range) return nothing;
      if (!found && !missed.knowsFollows(asked, member, from)) continue;
      // Not before it is known whom the user has followed since.
      found ??= new FoundEvents(subscriber, member, asked, from);
      for (const entry of range.entries) if (entry.seq > position && entry.seq <= upTo) found.take(entry);
      position = range.last;
      // Yields to the event loop: other subscribers and requests come between two pages.
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let wait = freshness.wait(); wait && subscriber.open; wait = freshness.wait()) await wait;
    // It cannot be told any more which texts have been taken out since they were read.
    if (!feed.hasPassedSince(known)) return nothing;
    return { events: found?.present(feed) ?? [], reset: found?.reset ?? [] };
  }
}

/** What is found of new topics, as far as one answer may hold it. */
class FoundEvents {
  readonly #subscriber: FeedSubscriber;
  /** As what an event reaches the subscriber with all topics that it has now. */
  readonly #form: (entry: LogEntry) => Reach;
  readonly #byTopic: Map<string, (entry: LogEntry) => Reach>;
  #events: { entry: LogEntry; topics: readonly string[] }[] = [];
  #bytes = 0;
  readonly reset: string[] = [];

  constructor(
    subscriber: FeedSubscriber,
    { reader, relations }: Member<FeedSubscriber>,
    asked: Subscription,
    from: number,
  ) {
    const follows = relations.followsAfter(from);
    const judge = (subscription: Subscription) => reachOf(subscription, reader, follows);
    this.#subscriber = subscriber;
    this.#form = judge(subscriber.subscription ?? asked);
    this.#byTopic = new Map(asked.topics.map((topic) => [topic, judge(Subscription.of([topic]))]));
  }

  take(entry: LogEntry): void {
    // What concerns the user alone comes in the stream, whatever the topics.
    if (entry.audience !== PUBLIC || this.#form(entry) === undefined) return;
    const topics: string[] = [];
    for (const [topic, reach] of this.#byTopic) if (reach(entry) !== undefined) topics.push(topic);
    if (topics.length === 0) return;
    this.#events.push({ entry, topics });
    this.#bytes += Buffer.byteLength(entry.json);
    while (this.#events.length > MAX_EVENTS || (this.#bytes > MAX_BYTES && this.#events.length > 1))
      this.#giveUpLargest();
  }

  /** As they are by now: a text may have been taken out since they were found, or an author hidden. */
  present(feed: Pick<Follower, 'current'>): LogEntry[] {
    const present: LogEntry[] = [];
    for (const { entry } of this.#events) {
      const current = feed.current(entry);
      if (isHidden(this.#subscriber, current)) continue;
      present.push(this.#form(current) === 'departure' ? departureOf(current) : current);
    }
    return present;
  }

  /** The topic with the most events is left to be read again as a list. */
  #giveUpLargest(): void {
    const counts = new Map<string, number>();
    for (const { topics } of this.#events)
      for (const topic of topics) counts.set(topic, (counts.get(topic) ?? 0) + 1);
    const [[largest] = ['']] = [...counts].sort(([, one], [, other]) => other - one);
    this.#byTopic.delete(largest);
    this.reset.push(largest);
    this.#events = this.#events
      .map(({ entry, topics }) => ({ entry, topics: topics.filter((topic) => topic !== largest) }))
      .filter(({ topics }) => topics.length > 0);
    this.#bytes = this.#events.reduce((sum, { entry }) => sum + Buffer.byteLength(entry.json), 0);
  }
}

/** @throws {AppError} 422 if it receives everything public */
function requireTopics({ subscription }: FeedSubscriber): Subscription {
  if (subscription) return subscription;
  throw new AppError(
    'invalid',
    `This connection receives everything public: "${EVERYTHING}" is not mixed with other topics. Connect with \`topics\` in the handshake.`,
  );
}

/** The topics that it has then. @throws {AppError} 422 if they are too many */
function requireRoom(subscriber: FeedSubscriber, topics: readonly string[]): Subscription {
  const wanted = requireTopics(subscriber).with(topics);
  if (wanted.topics.length > MAX_TOPICS)
    throw new AppError('invalid', `A connection has at most ${MAX_TOPICS} topics. Unsubscribe from some.`);
  return wanted;
}

/** Resolves when it holds, or the time is over. */
async function until(holds: () => boolean): Promise<void> {
  const began = Date.now();
  while (!holds() && Date.now() - began < WAIT_LIMIT) await sleep(WAIT_INTERVAL);
}
