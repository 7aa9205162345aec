import { batch, computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import {
  type Client,
  createFeedStore,
  type Feed,
  type FeedNews,
  type FeedQuery,
  type FeedStore,
  type ShownPost,
  type Sort,
} from 'tidings-client';
import { isPlaceWanted } from '../places/scroll.ts';
import { type Chunk, chunksOf, drawChunkOf } from './chunks.ts';
import { onVoteElsewhere, tellOtherWindows } from './own-votes.ts';

/** Which posts are shown. */
export type Query = Omit<FeedQuery, 'published'> & { sort: Sort };

export interface TimelineOptions {
  client: Client;
  feed: Feed;
  me: { id: number };
  query: Query;
  /** Whether new posts have to wait: while the reader has scrolled down, they would push away what is being read. */
  held: () => boolean;
  /** Whether something is written in a post that has gone: it stays for that. */
  keeps: (postId: number) => boolean;
  /** A post came, changed or went. */
  onNews: (news: FeedNews) => void;
}

/** A post on the page. It has signals of its own, so that a vote redraws a post and not the list. */
export interface Entry {
  readonly id: number;
  readonly post: Signal<ShownPost>;
  /** Whether it came while the reader was looking. */
  readonly live: boolean;
  /** It is on its way out: shown for the moment that its closing takes. */
  readonly leaving: Signal<boolean>;
  /** It has gone, and is only shown for what its writer writes in it. */
  readonly gone: Signal<boolean>;
  /** 1 is the first of the list. */
  readonly place: Signal<number>;
}

const PAGE = 20;
/** How long an entry takes to close. Milliseconds; the style sheet knows it too. */
const CLOSING = 260;

/** The posts on the page: the client's store as signals. What is added here is that a post closes before it goes. */
export class Timeline {
  readonly store: FeedStore;
  readonly query;
  readonly entries;
  /** The same, in parts that are drawn while they are near the screen. */
  readonly chunks;
  readonly #entries = signal<readonly Entry[]>([]);
  readonly #chunks = signal<readonly Chunk[]>([]);
  /** The newest post that the reader has seen before they were away: the line is above it. */
  readonly seenFrom = signal<number | undefined>(undefined);
  /** The posts of the list, also while nobody looks and they are not drawn. */
  readonly posts;
  /** New posts that wait until the reader wants them. */
  readonly arrivals;
  /** Whether the list is being read from its beginning, and why it could not be. */
  readonly reading;
  readonly trouble;
  /** The same of the next page. */
  readonly readingMore;
  readonly troubleWithMore;
  readonly hasMore;
  readonly status;
  /** The newest event that has been shown. */
  readonly seq;
  readonly #state;
  readonly #keeps;
  /** Posts that have gone, rather than not being on a page that was read. */
  readonly #gone = new Set<number>();
  readonly #ends: (() => void)[];
  /** The store still has the posts of another place. */
  #turning = false;
  /** What was drawn last. */
  #drawn: readonly ShownPost[] = [];

  constructor({ client, feed, me, query, held, keeps, onNews }: TimelineOptions) {
    const store = createFeedStore(client, { limit: PAGE, published: true, held, feed, ...query });
    const state = signal(store.state);
    this.entries = this.#entries as ReadonlySignal<readonly Entry[]>;
    this.chunks = this.#chunks as ReadonlySignal<readonly Chunk[]>;
    const first = computed(() => state.value.page === 'first');
    this.store = store;
    this.query = signal(query);
    this.posts = computed(() => state.value.posts);
    this.arrivals = computed(() => state.value.waiting);
    this.trouble = computed(() => (first.value ? state.value.error : undefined));
    this.reading = computed(() => first.value && state.value.loading && !state.value.error);
    this.troubleWithMore = computed(() => (first.value ? undefined : state.value.error));
    this.readingMore = computed(() => !first.value && state.value.loading);
    this.hasMore = computed(() => state.value.hasMore);
    this.status = computed(() => state.value.status);
    this.seq = computed(() => state.value.seq);
    this.#state = state;
    this.#keeps = keeps;
    const takeWhenSeen = () => this.#take();
    document.addEventListener('visibilitychange', takeWhenSeen);
    this.#ends = [
      store.subscribe(() => this.#take()),
      () => document.removeEventListener('visibilitychange', takeWhenSeen),
      store.on('vote', (vote) => tellOtherWindows(me.id, vote)),
      onVoteElsewhere(me.id, (vote) => store.voted(vote)),
      store.on('news', (news) => {
        if (news.name === 'post:deleted') this.#gone.add(news.post.id);
        onNews(news);
      }),
    ];
    void store.load();
    state.value = store.state;
  }

  /** Shows another list, from its beginning. What is shown stays until then, but for the posts of another place. */
  show(query: Query): void {
    const before = this.query.peek();
    if (isSame(before, query)) return;
    this.query.value = query;
    this.seenFrom.value = undefined;
    if (!isSame(placeOf(before), placeOf(query))) {
      this.#turning = true;
      this.#put([]);
    }
    void this.store.show({ ...query, published: true });
  }

  /** Draws a post of the list that is far from the screen. @returns whether it was not drawn */
  draw(postId: number): boolean {
    return drawChunkOf(postId, this.chunks.peek());
  }

  close(): void {
    for (const end of this.#ends) end();
    this.store.close();
  }

  #take(): void {
    const { state } = this.store;
    if (this.#turning && (state.loading || state.error)) {
      this.#state.value = state;
      return;
    }
    const before = this.entries.peek();
    // Nobody looks: it is drawn when somebody does.
    if (document.hidden && before.length > 0) {
      this.#state.value = state;
      return;
    }
    const known = new Map(before.map((entry) => [entry.id, entry]));
    batch(() => {
      if (this.#turning || state.posts !== this.#drawn) {
        this.#drawn = state.posts;
        const entries = state.posts.map((post) => {
          const entry = known.get(post.id);
          if (!entry || entry.leaving.peek()) return entryOf(post);
          entry.post.value = post;
          entry.gone.value = false;
          return entry;
        });
        if (this.#gone.size > 0) {
          // One that has come back meanwhile is there.
          for (const { id } of state.posts) this.#gone.delete(id);
          for (const entry of before)
            if (this.#gone.has(entry.id)) {
              if (this.#keeps(entry.id)) entry.gone.value = true;
              else this.leave(entry);
            }
        }
        const next = withClosing(entries, before);
        if (next.length !== before.length || next.some((entry, at) => entry !== before[at])) {
          this.#put(next);
        }
      }
      this.#state.value = state;
    });
    this.#turning = false;
    this.#gone.clear();
  }

  #put(entries: readonly Entry[]): void {
    batch(() => {
      this.#entries.value = entries;
      this.#chunks.value = chunksOf(entries, this.chunks.peek(), { whole: isPlaceWanted() });
      entries.forEach((entry, at) => (entry.place.value = at + 1));
    });
  }

  /** An entry closes before it goes, so that the list moves together rather than jumps. */
  leave(entry: Entry): void {
    if (entry.leaving.peek()) return;
    entry.leaving.value = true;
    setTimeout(() => {
      if (this.#keeps(entry.id)) {
        // Its writer has wanted back meanwhile what they had discarded.
        entry.gone.value = true;
        entry.leaving.value = false;
      } else this.#put(this.entries.peek().filter((one) => one !== entry));
    }, CLOSING);
  }
}

function entryOf(post: ShownPost): Entry {
  return {
    id: post.id,
    post: signal(post),
    live: post.live,
    leaving: signal(false),
    gone: signal(false),
    place: signal(0),
  };
}

/** The entries, and those of before that are closing or have gone, each under what it was under. */
function withClosing(entries: readonly Entry[], before: readonly Entry[]): readonly Entry[] {
  const next = [...entries];
  before.forEach((entry, at) => {
    if (!(entry.leaving.peek() || entry.gone.peek()) || entries.some(({ id }) => id === entry.id)) return;
    const above = before.slice(0, at).findLast((one) => next.includes(one));
    const below = before.slice(at + 1).find((one) => next.includes(one));
    const place = above ? next.indexOf(above) + 1 : below ? next.indexOf(below) : 0;
    next.splice(place, 0, entry);
  });
  return next;
}

/** Of a query what is another place in another list. */
function placeOf({ view, ownerId, tag }: Query): object {
  return { view, ownerId, tag };
}

function isSame(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
