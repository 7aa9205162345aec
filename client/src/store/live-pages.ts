import type { Client } from '../client.ts';
import type { LiveEvent, Tally } from '../contract.ts';
import { delay, jittered } from '../delay.ts';
import { Emitter } from '../emitter.ts';
import { postEvent } from '../event-names.ts';
import type { Feed } from '../feed/feed.ts';
import type { FeedStatus } from '../feed/status.ts';
import type { PagePlace } from '../page-place.ts';
import { TidingsError } from '../tidings-error.ts';
import {
  begun,
  connected,
  type ListTopic,
  LiveSource,
  reaches,
  type StoreFeed,
  unbegun,
} from './live-source.ts';
import { RecentEvents } from './recent-events.ts';

/** What a store of any kind says of its pages and its connection. */
export interface PagesState {
  /** Whether `loadMore` would find more. */
  hasMore: boolean;
  /** Whether a page is on its way. */
  loading: boolean;
  /** Why the last page did not come. */
  error: TidingsError | undefined;
  /** Which page `loading` and `error` are about: the first one, or the next one below. */
  page: 'first' | 'next';
  status: FeedStatus;
  /** The newest event that has been folded in; 0 before there is a list. */
  seq: number;
}

/** The list that the pages are of. */
export interface LivePagesOptions<P extends PagePlace> {
  client: Client;
  feed: StoreFeed | undefined;
  /** Of the list that is asked for. */
  topic: () => ListTopic;
  /** @throws {TidingsError} */
  read: (cursor: string | undefined, signal: AbortSignal) => Promise<P>;
  /**
   * A page has come. Events since then are told next, as old ones.
   * @param continues whether what was known before is of the same user and database
   * @returns called after these events
   */
  onPage: (page: P, which: 'first' | 'next', continues: boolean) => () => void;
  /** @param live whether it is news; otherwise it is for a page that was read before it */
  onEvent: (event: LiveEvent, live: boolean) => void;
  onTally?: (tally: Tally) => void;
  /** What came before is not known: the list is about to be read again. */
  onReset?: () => void;
  /** The user or the database is another one: what is known of either, and what is on its way, is no news. */
  onForget?: () => void;
  /** The database is another one, and the shown posts may be none of it. */
  onReplaced: (seq: number) => void;
  /** The connection is there, or there again. */
  onLive?: () => void;
  /** There is a new state: called for each change, before those who subscribe are told once of all. */
  onChange: () => void;
}

/** A subscription to the tally of a post, and what ends it on the open feed. */
interface Tracked {
  postId: number;
  release: (() => void) | undefined;
}

/** So much may come on top of a list that is left open; then it is read again rather than growing for ever. */
export const MAX_GROWTH = 300;
/** Changes by events are told of at most once in so long, so that many of them are drawn together. Milliseconds. */
const TOGETHER = 200;
/** Until a list that could not be read, or was too old, is read again, unless the server asks for more. Milliseconds. */
const RETRY = 3000;
/** What stays so until somebody does something about it: nobody is logged in, or the shared feed has ended. */
const HOPELESS = new Set<TidingsError['code']>(['logged_out', 'aborted', 'unsupported']);

/**
 * Pages of a list and the events after them.
 *
 * A page and the feed are two views of one numbering, and each may be ahead of the other. If the feed is ahead, the events
 * after the page's position are applied to the page. If the page is ahead, the events up to its position are in it already.
 */
export class LivePages<P extends PagePlace> {
  readonly #options: LivePagesOptions<P>;
  readonly #changes = new Emitter<{ change: () => void }>();
  readonly #events = new RecentEvents();
  /** The posts whose tallies are wanted. They outlive a feed: the next one is asked for them again. */
  readonly #tracked = new Set<Tracked>();
  #source: LiveSource | undefined;
  /** A page from before here lacks posts that a follow, or the end of a block, has brought. */
  #freshFrom = 0;
  #next: string | undefined;
  /** The page that is on its way. One that has been asked for since takes its place. */
  #request: AbortController | undefined;
  /** The shared feed that the list waits for, whose first page is shown already, and what ends the waiting. */
  #awaited: { feed: Feed; seq: number; waiting: AbortController } | undefined;
  #page: 'first' | 'next' = 'first';
  #error: TidingsError | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stale = false;
  #telling = false;
  /** An event or a tally is being folded in. */
  #hearing = false;
  /** When changes by events were told of last, and what tells of those since. */
  #toldAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(options: LivePagesOptions<P>) {
    this.#options = options;
  }

  get state(): PagesState {
    return {
      hasMore: this.hasMore,
      loading: this.loading,
      error: this.#error,
      page: this.#page,
      status: this.#closed
        ? { state: 'ended', reason: 'closed' }
        : ((this.#awaited ?? this.#source)?.feed.status ?? { state: 'connecting' }),
      seq: this.#awaited?.seq ?? this.#source?.seq ?? 0,
    };
  }

  get hasMore(): boolean {
    return this.#next !== undefined;
  }

  get loading(): boolean {
    return this.#request !== undefined;
  }

  /** Whose list it is; undefined before the feed has been live, and after its end: the next login may be another user's. */
  get userId(): number | undefined {
    return this.#open?.feed.userId;
  }

  /**
   * Called once for changes that happen together. Changes by events alone happen together where they come within
   * `TOGETHER` of those that were told of last. @returns removes the listener
   */
  subscribe(listener: () => void): () => void {
    return this.#changes.on('change', listener);
  }

  /** Loads the first page and follows on from it, also after `close`. */
  async load(): Promise<void> {
    this.#closed = false;
    await this.reload();
  }

  /** Loads the first page again, unless the list is closed. */
  async reload(): Promise<void> {
    if (this.#closed) return;
    this.#stale = false;
    await this.#load('first', undefined);
  }

  async loadMore(): Promise<void> {
    const cursor = this.#next;
    if (this.#closed || this.#request || cursor === undefined) return;
    if (this.#error && this.#page === 'first') return;
    await this.#load('next', cursor);
  }

  /** An event has brought posts that are in no event: loads the first page again, as of then or later. */
  refresh(seq: number): void {
    if (this.#closed || seq <= this.#freshFrom) return;
    this.#freshFrom = seq;
    void this.reload();
  }

  /** Loads the first page again once the feed is live. */
  refreshWhenLive(): void {
    this.#stale = true;
  }

  /** Something could not be read that the list depends on: it is loaded again, if that may help. */
  readAgainAfter(error: TidingsError): void {
    if (this.#closed) return;
    this.#stale = true;
    const hopeless = HOPELESS.has(error.code) || (error.status >= 400 && error.status < 500);
    if (hopeless && !error.temporary) return;
    const wait = Math.max(jittered(RETRY), (error.retryAfter ?? 0) * 1000);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.reload(), wait);
  }

  /** The events after a position, as far as they are kept. What is closed has none. */
  since(seq: number): readonly LiveEvent[] {
    return this.#closed ? [] : this.#events.since(seq);
  }

  /** The newest tally that the feed knows of a post. */
  tally(postId: number): Tally | undefined {
    return this.#source?.feed.tally(postId);
  }

  /** Wants the tally of a post. @returns ends that */
  track(postId: number): () => void {
    const tracked: Tracked = { postId, release: this.#open?.feed.track(postId) };
    this.#tracked.add(tracked);
    return () => {
      if (this.#tracked.delete(tracked)) tracked.release?.();
    };
  }

  reconnect(): void {
    (this.#awaited ?? this.#open)?.feed.reconnect();
  }

  /** What is on its way is ignored. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancel();
    this.#leave();
    this.changed();
  }

  /** There is a new state. */
  changed(): void {
    this.#options.onChange();
    if (this.#telling) return;
    const wait = this.#hearing ? this.#toldAt + TOGETHER - performance.now() : 0;
    if (wait > 0) {
      this.#timer ??= setTimeout(() => {
        this.#toldAt = performance.now();
        this.#tell();
      }, wait);
      return;
    }
    if (this.#hearing) this.#toldAt = performance.now();
    this.#telling = true;
    queueMicrotask(() => this.#tell());
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#telling = false;
    this.#changes.emit('change');
  }

  /** Folds something in that the feed has brought. */
  #hear(fold: () => void): void {
    this.#hearing = true;
    try {
      fold();
    } finally {
      this.#hearing = false;
    }
  }

  /** What it listens to, unless that has ended: it does not come back, but another one can be opened. */
  get #open(): LiveSource | undefined {
    return this.#source?.open ? this.#source : undefined;
  }

  /** Whether what it listens to has all that the list which is asked for needs. */
  get #goesOn(): boolean {
    return this.#open !== undefined && this.#open.topic === this.#options.topic();
  }

  /** What is on its way, or waited for, is not wanted any more. */
  #cancel(): void {
    clearTimeout(this.#retry);
    this.#request?.abort();
    this.#request = undefined;
    this.#awaited?.waiting.abort();
    this.#awaited = undefined;
  }

  async #load(which: 'first' | 'next', cursor: string | undefined): Promise<void> {
    // While the next page is on its way, the time of the next try at the first one stays.
    if (which === 'first') this.#cancel();
    const request = (this.#request = new AbortController());
    // What failed is said until it has been done, not again with each try.
    if (which !== this.#page || which === 'next') this.#error = undefined;
    this.#page = which;
    this.changed();
    try {
      const page = await this.#read(cursor, request.signal);
      if (request !== this.#request) return;
      this.#request = undefined;
      this.#take(page, which);
    } catch (error) {
      if (request !== this.#request) return;
      this.#request = undefined;
      if (!(error instanceof TidingsError)) throw error;
      this.#error = error;
      if (which === 'first') this.readAgainAfter(error);
    } finally {
      // What has given it up has said so.
      if (!request.signal.aborted) this.changed();
    }
  }

  #take(page: P, which: 'first' | 'next'): void {
    // With no feed between then and now, the database and the user may be others, and what was known is no news of them.
    const done = this.#options.onPage(page, which, this.#open !== undefined);
    if (which === 'first' && !this.#goesOn) this.#followWhenBegun(page);
    this.#next = page.next;
    this.#error = undefined;
    for (const event of this.#events.since(page.position.seq)) {
      // What was created since is above the next page: on an earlier one, or it waits.
      if (which === 'first' || event.name !== postEvent.added) this.#options.onEvent(event, false);
    }
    done();
  }

  /** A page that the feed continues from without a gap. @throws {TidingsError} */
  async #read(cursor: string | undefined, signal: AbortSignal): Promise<P> {
    const feed = unbegun(this.#options.feed);
    if (feed) await connected(feed, signal);
    for (;;) {
      const page = await this.#options.read(cursor, signal);
      if (this.#continues(page)) return page;
      await delay(jittered(RETRY), signal);
    }
  }

  /**
   * Not if it is of a node that has fallen far behind, or the database has just been replaced, which the feed is about
   * to say.
   */
  #continues({ position }: PagePlace): boolean {
    const { seq, epoch } = position;
    const source = this.#goesOn ? this.#open : undefined;
    if (!source) return unbegun(this.#options.feed) !== undefined || reaches(this.#options.feed, position);
    return epoch === source.feed.position?.epoch && seq >= this.#freshFrom && this.#events.reachBackTo(seq);
  }

  /** A page is shown also while a shared feed cannot connect; what comes after it is heard once that can. */
  #followWhenBegun(page: PagePlace): void {
    const feed = unbegun(this.#options.feed);
    if (feed) void this.#awaitAndFollow(feed, page);
    else this.#follow(page);
  }

  async #awaitAndFollow(feed: Feed, page: PagePlace): Promise<void> {
    const awaited = { feed, seq: page.position.seq, waiting: new AbortController() };
    this.#leave();
    this.#events.restart(page.position.seq);
    this.#awaited = awaited;
    const off = feed.on('status', () => this.#onStatus(feed));
    try {
      await begun(feed, awaited.waiting.signal);
      if (awaited !== this.#awaited) return;
      this.#awaited = undefined;
      if (reaches(feed, page.position)) {
        this.#follow(page);
        this.#onLive();
        this.changed();
      } else void this.reload();
    } catch (error) {
      if (awaited !== this.#awaited) return;
      if (!(error instanceof TidingsError)) throw error;
      this.#error = error;
      this.changed();
    } finally {
      off();
    }
  }

  #onStatus({ status }: Feed): void {
    // The next login may be another user's.
    if (status.state === 'ended' && status.reason !== 'closed') this.#options.onForget?.();
    this.changed();
  }

  #onLive(): void {
    this.#options.onLive?.();
    if (this.#stale) void this.reload();
  }

  #follow({ position }: PagePlace): void {
    this.#leave();
    this.#events.restart(position.seq);
    this.#freshFrom = 0;
    const { client, feed, topic, onEvent, onTally } = this.#options;
    const source = new LiveSource(client, feed, topic(), position, {
      event: (event) =>
        this.#hear(() => {
          this.#events.add(event);
          onEvent(event, true);
          this.changed();
        }),
      tally: (tally) => this.#hear(() => onTally?.(tally)),
      incomplete: () => void this.reload(),
      status: () => this.#onStatus(source.feed),
      reset: ({ reason, seq }) => this.#onReset(reason === 'epoch_changed', seq),
      ready: () => this.#onLive(),
      refused: (error) => {
        this.#error = error;
        this.changed();
      },
    });
    this.#source = source;
    for (const tracked of this.#tracked) tracked.release = source.feed.track(tracked.postId);
  }

  /** Listens no more. */
  #leave(): void {
    for (const tracked of this.#tracked) {
      tracked.release?.();
      tracked.release = undefined;
    }
    this.#source?.close();
  }

  #onReset(replaced: boolean, seq: number): void {
    // A page that is on its way may be of the time before.
    this.#cancel();
    this.#stale = true;
    this.#events.restart(seq);
    this.#freshFrom = 0;
    this.#options.onReset?.();
    this.changed();
    if (replaced) {
      // By number nothing known of it can be told from what is newer.
      this.#options.onForget?.();
      this.#next = undefined;
      this.#options.onReplaced(seq);
    }
    // That of a shared feed's topic comes amid its connection; otherwise the feed is about to be ready.
    if (this.#open?.feed.status.state === 'live') void this.reload();
  }
}
