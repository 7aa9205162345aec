import { batch, computed, signal } from '@preact/signals';
import {
  type Client,
  type Feed,
  type FeedPosition,
  type FeedStatus,
  type LiveEvent,
  type OwnUser,
  type PostAnswer,
  type PostView,
  TidingsError,
} from 'tidings-client';
import { contains, wordsOf } from '../../../server/text/fold.ts';
import { Entry } from './entry.ts';
import { Happenings } from './happenings.ts';
import { onVoteElsewhere, VotesElsewhere } from './own-votes.ts';
import type { Query } from './query.ts';

export interface TimelineOptions {
  client: Client;
  me: OwnUser;
  query: Query;
  /** Whether what is new may be put above what the reader is looking at: not while they have scrolled down. */
  mayMove: () => boolean;
  /** A post came, changed or went through the feed. */
  onNews: (news: News) => void;
}

export interface News {
  name: LiveEvent['name'];
  /** After the change; of a deletion, before it. */
  post: PostView;
}

/** How a part of the list is being read. */
export type Reading = { state: 'idle' } | { state: 'reading' } | { state: 'failed'; error: TidingsError };

const PAGE = 20;
/** More arrivals than this are not held back one by one: the list is read anew. */
export const MANY_ARRIVALS = 100;
/** A page that is left open at the top for days is read anew rather than growing for ever. */
const LONG = 300;
/** How long an entry takes to close. Milliseconds; the style sheet knows it too. */
const CLOSING = 260;
/** Until a list that could not be read is tried again. Milliseconds. */
const RETRY = 3000;

const idle: Reading = { state: 'idle' };

/**
 * The posts on the page: pages of the list, read by cursor, and on top of them what the live feed tells.
 *
 * An answer and the feed are two views of one numbering, and each may be ahead of the other. If the feed is ahead, the events
 * after the answer's position are applied to it again (`Happenings`). If the answer is ahead, the events up to its position
 * are in it already: a `post:created` is passed over, an update or deletion that the entry has already seen changes nothing.
 */
export class Timeline {
  readonly query;
  readonly entries = signal<readonly Entry[]>([]);
  /** New posts that wait until the reader wants them. */
  readonly arrivals = signal<readonly Entry[]>([]);
  readonly reading = signal<Reading>({ state: 'reading' });
  readonly readingMore = signal<Reading>(idle);
  readonly hasMore = computed(() => this.#next.value !== undefined);
  readonly status = signal<FeedStatus>({ state: 'connecting' });
  /** The newest event that has been shown. */
  readonly seq = signal(0);
  readonly #options: TimelineOptions;
  readonly #happenings = new Happenings();
  readonly #votesElsewhere = new VotesElsewhere();
  readonly #next = signal<string | undefined>(undefined);
  /** The position of the list's first page. */
  #base = 0;
  #feed: Feed | undefined;
  #request: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Posts that the reader has removed here and whose event is still to come. */
  readonly #removed = new Set<number>();
  readonly #stopHearing: () => void;
  /** New posts that a later event took the text out of, with their seq: that event brings it. */
  readonly #awaited = new Map<number, number>();
  #closed = false;

  constructor(options: TimelineOptions) {
    this.#options = options;
    this.#stopHearing = onVoteElsewhere(options.me.id, (vote) => {
      this.#votesElsewhere.add(vote);
      this.#find(vote.post_id)?.keepVote(vote);
    });
    this.query = signal(options.query);
    void this.load();
  }

  /** Shows another part of the feed, from its beginning. */
  show(query: Query): void {
    this.query.value = query;
    void this.load();
  }

  /** Reads the list from its beginning. What is on the page stays until the answer is there. */
  async load(): Promise<void> {
    const { client } = this.#options;
    const query = this.query.peek();
    clearTimeout(this.#retry);
    this.#request?.abort();
    const request = (this.#request = new AbortController());
    // What failed is said until it has been done, not again with each try.
    if (this.reading.peek().state !== 'failed') this.reading.value = { state: 'reading' };
    try {
      const page = await client.posts.list({ limit: PAGE, ...query, signal: request.signal });
      if (this.#closed || request !== this.#request) return;
      batch(() => {
        this.#base = page.position.seq;
        this.#awaited.clear();
        this.#next.value = page.next;
        this.arrivals.value = [];
        this.entries.value = this.#take(page.posts, page.position.seq, []);
        this.reading.value = idle;
        this.readingMore.value = idle;
        this.#follow(page.position);
        for (const event of this.#happenings.since(page.position.seq)) this.#apply(event);
      });
    } catch (error) {
      if (this.#closed || request !== this.#request) return;
      this.reading.value = { state: 'failed', error: asTidingsError(error) };
      this.#retry = setTimeout(() => void this.load(), RETRY);
    }
  }

  /** Reads the next page, once at a time. */
  async loadMore(): Promise<void> {
    const cursor = this.#next.peek();
    const request = this.#request;
    if (cursor === undefined || !request || this.reading.peek() !== idle) return;
    if (this.readingMore.peek().state === 'reading') return;
    this.readingMore.value = { state: 'reading' };
    try {
      const page = await this.#options.client.posts.list({
        limit: PAGE,
        ...this.query.peek(),
        cursor,
        signal: request.signal,
      });
      if (this.#closed || request !== this.#request) return;
      batch(() => {
        this.#next.value = page.next;
        this.entries.value = this.#take(page.posts, page.position.seq, this.entries.peek());
        this.readingMore.value = idle;
        for (const event of this.#happenings.since(page.position.seq)) {
          // What was created since is above, on an earlier page or behind the pill.
          if (event.name !== 'post:created') this.#apply(event);
        }
      });
    } catch (error) {
      if (this.#closed || request !== this.#request) return;
      this.readingMore.value = { state: 'failed', error: asTidingsError(error) };
    }
  }

  /** Puts the arrivals on top; where the order is another one, or they are too many, reads the newest posts. */
  showArrivals(): void {
    if (this.arrivals.peek().length === 0) return;
    const query = this.query.peek();
    if (query.sort !== 'new' || this.arrivals.peek().length >= MANY_ARRIVALS) {
      this.show({ ...query, sort: 'new' });
      return;
    }
    batch(() => {
      this.entries.value = [...this.arrivals.peek(), ...this.entries.peek()];
      this.arrivals.value = [];
    });
  }

  /** Wants the tally of an entry that is on the screen. @returns ends that */
  track(entry: Entry): () => void {
    return this.#feed?.track(entry.id, (tally) => entry.keepTally(tally)) ?? (() => undefined);
  }

  /** The reader has published a post: it goes on top without waiting for its event. */
  put(post: PostAnswer): void {
    this.#removed.delete(post.id);
    if (this.query.peek().sort !== 'new') return;
    // Its event may have been quicker than its answer, and it may have been put with those that wait.
    this.showArrivals();
    const known = this.#find(post.id);
    if (known) known.learn(post);
    else if (this.#matches(post)) {
      this.entries.value = [this.#enter(post, { seq: 0, live: true }), ...this.entries.peek()];
    }
  }

  /** The reader has changed a post. */
  change(post: PostAnswer): void {
    this.#find(post.id)?.learn(post);
  }

  /** The reader has deleted or withdrawn a post. */
  remove(id: number): void {
    if (!this.#find(id)) return;
    this.#removed.add(id);
    this.#close(id);
  }

  /** Does not wait for the next attempt to connect. */
  reconnect(): void {
    this.#feed?.reconnect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#request?.abort();
    this.#stopHearing();
    this.#feed?.close();
  }

  #follow(position: FeedPosition): void {
    if (this.#feed) return;
    const feed = (this.#feed = this.#options.client.feed({
      after: position.seq,
      epoch: position.epoch,
      tallies: 'tracked',
    }));
    this.seq.value = position.seq;
    this.status.value = feed.status;
    feed.on('status', (status) => (this.status.value = status));
    feed.on('event', (event) => {
      this.#happenings.add(event);
      const news = batch(() => {
        this.seq.value = event.seq;
        return this.#apply(event);
      });
      if (news) this.#options.onNews(news);
    });
    feed.on('reset', ({ seq, reason }) => {
      this.#happenings.clear();
      this.#removed.clear();
      batch(() => {
        this.seq.value = seq;
        if (reason === 'epoch_changed') this.#forget();
        void this.load();
      });
    });
  }

  /** Another database: an entry would take what is there now for older than what it knows, by its lower numbers. */
  #forget(): void {
    this.#next.value = undefined;
    this.entries.value = [];
    this.arrivals.value = [];
    this.#votesElsewhere.clear();
  }

  /** @returns what of it the reader has not been shown before */
  #apply(event: LiveEvent): News | undefined {
    const { name, seq, data } = event;
    const isNew = name === 'post:created' ? seq : this.#awaited.get(data.id);
    this.#awaited.delete(data.id);
    if (name === 'post:deleted') return this.#onDeleted(data.id, seq);
    // What became of it is told by an event to come.
    if (data.redacted) {
      if (isNew !== undefined && isNew > this.#base && !this.#find(data.id))
        this.#awaited.set(data.id, isNew);
      return undefined;
    }
    return isNew === undefined ? this.#onUpdated(data, seq) : this.#onCreated(data, seq);
  }

  #onCreated(post: PostView, seq: number): News | undefined {
    const known = this.#find(post.id);
    known?.learn(post, seq);
    if (known || seq <= this.#base || this.#removed.has(post.id) || !this.#matches(post)) return undefined;
    const entry = this.#enter(post, { seq, live: true });
    // A post that was there before may have the reader's vote, which no event tells.
    if (post.votes > 0) void this.#askForVote(entry);
    const waiting = this.arrivals.peek();
    if (this.query.peek().sort === 'new' && waiting.length === 0 && this.#options.mayMove()) {
      this.entries.value = [entry, ...this.entries.peek()];
      if (this.entries.peek().length > LONG) void this.load();
    } else if (waiting.length < MANY_ARRIVALS) {
      this.arrivals.value = [entry, ...waiting];
    }
    return { name: 'post:created', post };
  }

  #onUpdated(post: PostView, seq: number): News | undefined {
    const known = this.#find(post.id);
    if (!known || known.seq >= seq) return undefined;
    const before = known.post.peek();
    known.learn(post, seq);
    return before.version < post.version ? { name: 'post:updated', post } : undefined;
  }

  #onDeleted(id: number, seq: number): News | undefined {
    this.#removed.delete(id);
    const known = this.#find(id);
    if (!known || known.seq >= seq) return undefined;
    this.#close(id);
    return { name: 'post:deleted', post: known.post.peek() };
  }

  /** An entry closes before it goes, so that the list moves together rather than jumps. */
  #close(id: number): void {
    this.arrivals.value = this.arrivals.peek().filter((entry) => entry.id !== id);
    const entry = this.entries.peek().find((one) => one.id === id);
    if (!entry || entry.leaving.peek()) return;
    entry.leaving.value = true;
    setTimeout(() => {
      this.entries.value = this.entries.peek().filter((one) => one !== entry);
    }, CLOSING);
  }

  /** Adds a page to a list. An entry that is on the page already stays the same one, with whatever is under way on it. */
  #take(posts: readonly PostAnswer[], seq: number, list: readonly Entry[]): readonly Entry[] {
    const known = new Map(
      [...this.entries.peek(), ...this.arrivals.peek()].map((entry) => [entry.id, entry]),
    );
    const present = new Set(list.map((entry) => entry.id));
    const taken = [...list];
    for (const post of posts) {
      // The reader's own drafts are in the answer too; they have a place of their own.
      if (!post.published || present.has(post.id) || this.#removed.has(post.id)) continue;
      const entry = known.get(post.id);
      if (entry && !entry.leaving.peek()) {
        entry.learn(post, seq);
        taken.push(entry);
      } else taken.push(this.#enter(post, { seq, live: false }));
    }
    return taken;
  }

  #enter(post: PostView | PostAnswer, how: { seq: number; live: boolean }): Entry {
    const entry = new Entry(post, how);
    const vote = this.#votesElsewhere.on(post.id);
    if (vote) entry.keepVote(vote);
    return entry;
  }

  #find(id: number): Entry | undefined {
    const isIt = (entry: Entry) => entry.id === id && !entry.leaving.peek();
    return this.entries.peek().find(isIt) ?? this.arrivals.peek().find(isIt);
  }

  #matches(post: PostView): boolean {
    return contains(wordsOf(this.query.peek().search), post.title, post.content);
  }

  async #askForVote(entry: Entry): Promise<void> {
    try {
      entry.learn(await this.#options.client.posts.get(entry.id));
    } catch {
      // The answer to a vote will tell.
    }
  }
}

function asTidingsError(error: unknown): TidingsError {
  return error instanceof TidingsError
    ? error
    : new TidingsError('unexpected', 'The list cannot be shown.', { cause: error });
}
