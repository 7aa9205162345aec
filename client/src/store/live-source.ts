import type { Client } from '../client.ts';
import type { FeedPosition, FeedReset, LiveEvent, Tally } from '../contract.ts';
import { delay, unlessAborted } from '../delay.ts';
import { Feed, type FeedOptions } from '../feed/feed.ts';
import type { Subscription } from '../feed/subscription.ts';
import type { TidingsError } from '../tidings-error.ts';

/**
 * What a store listens to: a feed that others use too, which must have `topics` (none of its own will do), or the
 * options of a feed for this store alone.
 */
export type StoreFeed = Feed | Omit<FeedOptions, 'after' | 'epoch' | 'mode' | 'topics'>;

/** The same value for the same shared feed, and for options that say the same: whether a new store has to be made. */
export function keyOfFeed(feed: StoreFeed | undefined): unknown {
  return feed instanceof Feed ? feed : JSON.stringify(feed);
}

/**
 * The topic that has each event of a list. `null`: none has to, since each concerns the user alone and comes anyway;
 * undefined: only everything public has, of a shared feed all top-level posts.
 */
export type ListTopic = string | null | undefined;

export interface SourceListeners {
  /** Each event after the position, in order, once. A shared feed also brings those of its other topics. */
  event: (event: LiveEvent) => void;
  tally: (tally: Tally) => void;
  incomplete: () => void;
  status: () => void;
  /** What lies before `seq` is not handed on. */
  reset: (reset: Pick<FeedReset, 'seq'> & { reason: FeedReset['reason'] | undefined }) => void;
  ready: () => void;
  refused: (error: TidingsError) => void;
}

/** What a store hears after a position: by a feed of its own, or by a subscription to one that is shared. */
export class LiveSource {
  readonly feed: Feed;
  /** What it was opened for. */
  readonly topic: ListTopic;
  readonly #subscription: Subscription | undefined;
  readonly #ends: (() => void)[];
  #closed = false;

  /** @throws {TidingsError} `aborted`: the shared feed has ended */
  constructor(
    client: Client,
    given: StoreFeed | undefined,
    topic: ListTopic,
    { seq, epoch }: FeedPosition,
    hears: SourceListeners,
  ) {
    this.topic = topic;
    if (given instanceof Feed) {
      this.feed = given;
      this.#subscription = given.subscribe(topic === null ? [] : (topic ?? 'feed'), { from: seq, epoch });
    } else {
      const topics = topic === undefined ? {} : { topics: topic === null ? [] : [topic] };
      this.feed = client.feed({ tallies: 'tracked', ...given, ...topics, after: seq, epoch });
    }
    const { feed } = this;
    this.#ends = [
      ...(this.#subscription
        ? this.#hearSubscription(this.#subscription, hears)
        : [feed.on('event', hears.event), feed.on('reset', hears.reset)]),
      feed.on('tally', hears.tally),
      feed.on('incomplete', hears.incomplete),
      feed.on('status', hears.status),
      feed.on('ready', hears.ready),
    ];
  }

  /** Whether it still brings events. */
  get open(): boolean {
    return !this.#closed && this.feed.status.state !== 'ended';
  }

  /** Everything up to here has been handed on. */
  get seq(): number {
    const { position } = this.feed;
    return (this.#subscription?.settled === false ? this.#subscription.position : position?.seq) ?? 0;
  }

  /** A feed that is shared stays. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) end();
    if (this.#subscription) this.#subscription.close();
    else this.feed.close();
  }

  #hearSubscription(subscription: Subscription, hears: SourceListeners): (() => void)[] {
    return [
      subscription.on('event', hears.event),
      subscription.on('reset', hears.reset),
      subscription.on('refused', (error) => {
        this.close();
        hears.refused(error);
      }),
    ];
  }
}

/**
 * Whether a source on a feed misses nothing after a position. What concerns the user alone is in no answer to
 * `subscribe`, so a shared feed must have brought it.
 */
export function reaches(feed: StoreFeed | undefined, { seq, epoch }: FeedPosition): boolean {
  return !(feed instanceof Feed) || (feed.position?.epoch === epoch && feed.reachesBackTo(seq));
}

/** How long a page that is about to be read waits for a shared feed that connects: it is then read once. Milliseconds. */
const PATIENCE = 1000;

/** A shared feed that cannot be asked about positions yet. @throws {TypeError} it is none that stores can share */
export function unbegun(feed: StoreFeed | undefined): Feed | undefined {
  if (!(feed instanceof Feed)) return undefined;
  if (feed.topics === undefined) {
    throw new TypeError(
      'A feed that stores share needs `topics`; none of its own will do: client.feed({ topics: [] }).',
    );
  }
  return feed.position === undefined ? feed : undefined;
}

/** Waits a moment for a feed that connects for the first time. One that cannot connect holds no page up. */
export async function connected(feed: Feed, signal: AbortSignal): Promise<void> {
  if (feed.status.state !== 'connecting') return;
  const noMore = new AbortController();
  const done = () => noMore.abort();
  const off = feed.on('status', done);
  signal.addEventListener('abort', done);
  await delay(PATIENCE, noMore.signal).catch(() => undefined);
  signal.removeEventListener('abort', done);
  off();
}

/** Waits until a feed can be asked about positions. @throws {TidingsError} why it has ended, or `aborted` */
export async function begun(feed: Feed, signal: AbortSignal): Promise<void> {
  await unlessAborted(feed.ready(), signal);
}
