import type { FeedReset, LiveEvent } from '../contract.ts';
import { isOfPost } from '../post-events.ts';
import { TidingsError } from '../tidings-error.ts';
import type { Connection } from './connection.ts';
import { type SubscribeOptions, Subscription } from './subscription.ts';

export interface SubscriptionsOptions {
  /**
   * Topics that nobody but the feed itself holds; undefined: it receives everything public, and no topic can be added.
   */
  topics: readonly string[] | undefined;
  /** Where the feed stands; undefined before that is known. */
  position: () => { seq: number; epoch: string | undefined } | undefined;
  /** The stream continues after this position: everything before it has come. */
  onMoved: (seq: number) => void;
  /** The server has not answered over a connection that is there: what it has done is not known. */
  onUnanswered: () => void;
  onRefused: (error: TidingsError) => void;
}

/** Before a request that could not be done is sent again. Milliseconds. */
const PAUSE = 1000;
/** Events of the user alone that are kept. */
const KEPT = 1000;

/**
 * Which topics are wanted, and which the server knows of. The difference is sent one request after the other, so that
 * the last word about a topic is the last one said. A connection begins with what is wanted at its handshake; a
 * subscription from before the feed's position waits for an answer of its own, and so does one whose handshake was refused.
 */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #own: Set<string> | undefined;
  readonly #all = new Set<Subscription>();
  readonly #told = new Set<string>();
  /** Topics that the server has been told to end, and has not answered. */
  #leaving: readonly string[] = [];
  /** The newest events of the user alone, which no answer to `subscribe` has. */
  #private: LiveEvent[] = [];
  /** After here all of them are known. */
  #privateFrom: number | undefined;
  #connection: Connection | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;
  /** Whether something may have changed since it was looked for what is to be said. */
  #changed = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#own = options.topics && new Set(options.topics);
    this.#privateFrom = options.position()?.seq;
  }

  /** The topics that are wanted; undefined: everything public. */
  get topics(): readonly string[] | undefined {
    if (!this.#own) return undefined;
    return [...new Set([...this.#own, ...[...this.#all].flatMap(({ topics }) => topics)])];
  }

  /** Whether events of a topic may come. */
  hears(topic: string): boolean {
    if (this.#own?.has(topic) || this.#told.has(topic) || this.#leaving.includes(topic)) return true;
    for (const { topics } of this.#all) if (topics.includes(topic)) return true;
    return false;
  }

  /** Whether each event after a position that concerns the user alone is known. */
  reachBackTo(seq: number): boolean {
    return this.#privateFrom !== undefined && seq >= this.#privateFrom;
  }

  add(topics: readonly string[], options: SubscribeOptions): Subscription {
    const { from = Infinity } = options;
    const known = this.#private.filter(({ seq }) => seq > from);
    const subscription = new Subscription(topics, options, known, (closed) => {
      this.#all.delete(closed);
      this.#sync();
    });
    this.#all.add(subscription);
    if (this.#connection && this.#follows(subscription) && topics.every((topic) => this.#told.has(topic))) {
      subscription.settle();
      subscription.confirm();
    } else this.#sync();
    return subscription;
  }

  /** Ends topics, those of the feed and those of all subscriptions. */
  drop(topics: readonly string[]): void {
    for (const topic of topics) this.#own?.delete(topic);
    for (const subscription of [...this.#all]) subscription.drop(topics);
    this.#sync();
  }

  /** What a handshake is to say. Subscriptions that go on from the feed's position are taken with it. */
  handshake(): string[] | undefined {
    if (!this.#own) return undefined;
    for (const subscription of this.#all) if (this.#follows(subscription)) subscription.settle();
    const settled = [...this.#all].filter((subscription) => subscription.settled);
    this.#told.clear();
    for (const topic of [...this.#own, ...settled.flatMap(({ topics }) => topics)]) this.#told.add(topic);
    return [...this.#told];
  }

  /**
   * The server has refused what a handshake said. What no connection has been live with is asked for by itself from now on, so
   * that one wrong topic is refused alone. @returns whether there is such a subscription
   */
  narrow(): boolean {
    const withdrawn = [...this.#all].filter((subscription) => subscription.withdraw());
    return withdrawn.length > 0;
  }

  /** A connection is live with what its handshake said; without one nothing can be told. */
  use(connection: Connection | undefined): void {
    this.#connection = connection;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!connection) return;
    this.#privateFrom ??= this.#options.position()?.seq;
    for (const subscription of this.#all) if (subscription.settled) subscription.confirm();
    this.#sync();
  }

  hear(event: LiveEvent): void {
    if (!isOfPost(event)) {
      this.#private.push(event);
      if (this.#private.length > KEPT) this.#privateFrom = this.#private.shift()?.seq;
    }
    for (const subscription of [...this.#all]) subscription.hear(event);
  }

  reset(reset: FeedReset): void {
    this.#private = [];
    this.#privateFrom = reset.seq;
    for (const subscription of [...this.#all])
      subscription.reset({ ...reset, topics: [...subscription.topics] });
  }

  /** Ends all of them. */
  close(): void {
    this.use(undefined);
    for (const subscription of [...this.#all]) subscription.close();
  }

  /** Whether all that a subscription wants comes after the feed's position. */
  #follows({ settled, apart, position, epoch }: Subscription): boolean {
    if (settled || apart) return false;
    if (position === undefined) return true;
    const feed = this.#options.position();
    return feed !== undefined && position >= feed.seq && (epoch ?? feed.epoch) === (feed.epoch ?? epoch);
  }

  #sync(): void {
    this.#changed = true;
    if (!this.#busy && this.#timer === undefined && this.#connection) void this.#tellAll();
  }

  /** Says what is new, until nothing is. */
  async #tellAll(): Promise<void> {
    this.#busy = true;
    try {
      // What is requested within one tick is seen at once.
      await Promise.resolve();
      let more = true;
      while (more) {
        this.#changed = false;
        const hasTold = await this.#tellOnce();
        // Looked at in the turn in which it is done: what is requested after this finds it idle.
        more = (hasTold || this.#changed) && this.#timer === undefined && this.#connection !== undefined;
      }
    } finally {
      this.#busy = false;
    }
  }

  /** @returns whether there may be more to say */
  async #tellOnce(): Promise<boolean> {
    const connection = this.#connection;
    if (!connection) return false;
    try {
      return await this.#tellNext(connection);
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error;
      // Another connection has been told in its handshake; a lost one will be followed by one.
      if (connection !== this.#connection) return true;
      if (error.status === 0) this.#options.onUnanswered();
      else {
        this.#timer = setTimeout(
          () => {
            this.#timer = undefined;
            this.#sync();
          },
          Math.max(PAUSE, (error.retryAfter ?? 0) * 1000),
        );
      }
      return false;
    }
  }

  /** @returns whether there was something to say */
  async #tellNext(connection: Connection): Promise<boolean> {
    const wanted = new Set(this.topics);
    // First the ones that make room for others.
    const unwanted = [...this.#told].filter((topic) => !wanted.has(topic));
    if (unwanted.length > 0) {
      for (const topic of unwanted) this.#told.delete(topic);
      this.#leaving = unwanted;
      try {
        await connection.ask('unsubscribe', { topics: unwanted });
      } catch (error) {
        // It goes on sending what they bring, and is asked again.
        if (connection === this.#connection) for (const topic of unwanted) this.#told.add(topic);
        throw error;
      } finally {
        this.#leaving = [];
      }
      return true;
    }
    const next = [...this.#all].find(({ settled }) => !settled);
    if (!next) return false;
    if (next.topics.length === 0) {
      // What concerns the user alone comes whatever the topics are: there is nothing to ask for.
      next.settle();
      next.confirm();
      return true;
    }
    try {
      await this.#subscribe(connection, next);
    } catch (error) {
      if (!(error instanceof TidingsError) || error.temporary || error.status === 0) throw error;
      this.#options.onRefused(error);
      next.refuse(error);
    }
    return true;
  }

  async #subscribe(connection: Connection, subscription: Subscription): Promise<void> {
    const { topics, position: from, epoch } = subscription;
    const request = {
      topics: [...topics],
      ...(from === undefined ? {} : { from }),
      ...(from === undefined || epoch === undefined ? {} : { epoch }),
    };
    await connection.ask('subscribe', request, ({ seq, events, reset = [] }) => {
      if (connection !== this.#connection) return;
      for (const topic of topics) this.#told.add(topic);
      // The log has no events but these; one of a newer service has a name that is not known here.
      subscription.settle(seq, events as LiveEvent[]);
      this.#options.onMoved(seq);
      const feed = this.#options.position();
      if (reset.length > 0 && feed?.epoch !== undefined)
        subscription.reset({ name: 'reset', topics: reset, seq, epoch: feed.epoch, reason: undefined });
      subscription.confirm();
    });
  }
}
