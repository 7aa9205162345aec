import type { Client } from '../client.ts';
import type { LiveEvent, NewPost, PostAnswer, PostEdit, PostView, Sort } from '../contract.ts';
import { Emitter } from '../emitter.ts';
import { contains, wordsOf } from '../fold.ts';
import type { Feed, FeedOptions } from '../feed/feed.ts';
import type { FeedStatus } from '../feed/status.ts';
import type { EditOptions, PostPage } from '../posts.ts';
import { TidingsError } from '../tidings-error.ts';
import {
  emptyView,
  type Entry,
  type FeedView,
  firstPage,
  nextPage,
  remembering,
  revealed,
  shown,
  type ShownPost,
  voteSettled,
  voting,
  withEvent,
  without,
  withOwn,
  withTally,
} from './feed-view.ts';

export interface FeedStoreOptions {
  /** Posts in a page. */
  limit?: number;
  sort?: Sort;
  search?: string;
  ownerId?: number;
  /** Passed on to the feed. Tallies of tracked posts alone, unless you say otherwise. */
  feed?: Omit<FeedOptions, 'after' | 'epoch' | 'mode'>;
}

/** What is to be seen. A new object after each change; each post is the same object until it changes. */
export interface FeedState {
  posts: readonly ShownPost[];
  /** New posts that wait for `reveal`. */
  pending: number;
  /** Whether `loadMore` would find more. */
  hasMore: boolean;
  /** Whether a page is on its way. */
  loading: boolean;
  status: FeedStatus;
  /** Why the last page did not come. */
  error: TidingsError | undefined;
}

/** A wish for the tally of a post, and what ends it on the feed that is open. */
interface Tracked {
  postId: number;
  release: (() => void) | undefined;
}

/**
 * A list that stays true: a page of posts and the events after it, the user's own doings and votes in one state to
 * render. Knows of no framework: `subscribe` and `state` are what `useSyncExternalStore` and its like want.
 */
export class FeedStore {
  readonly #client: Client;
  readonly #options: FeedStoreOptions;
  readonly #emitter = new Emitter<{ change: () => void }>();
  /** The shown form of each entry, so that what has not changed stays the same object. */
  readonly #shown = new WeakMap<Entry, ShownPost>();
  readonly #votes = new Map<number, { wanted: boolean; done: Promise<void> }>();
  /** The posts whose tallies are wanted. They outlive a feed: the next one is asked for them again. */
  readonly #tracked = new Set<Tracked>();
  #view: FeedView = emptyView;
  #feed: Feed | undefined;
  #next: string | undefined;
  #userId: number | undefined;
  #held = false;
  #loading = 0;
  #error: TidingsError | undefined;
  /** Grows with each reload: pages of a list that is gone are thrown away. */
  #generation = 0;
  /** Events that have come while a page was on its way: it may be older than they are. */
  #recent: LiveEvent[] = [];
  #stale = false;
  #state: FeedState | undefined;
  #telling = false;
  #closed = false;

  constructor(client: Client, options: FeedStoreOptions) {
    this.#client = client;
    this.#options = options;
  }

  get state(): FeedState {
    this.#state ??= {
      posts: this.#view.order.flatMap((id) => this.#show(id)),
      pending: this.#view.pending.length,
      hasMore: this.#next !== undefined,
      loading: this.#loading > 0,
      status: this.#closed
        ? { state: 'ended', reason: 'closed' }
        : (this.#feed?.status ?? { state: 'connecting' }),
      error: this.#error,
    };
    return this.#state;
  }

  /** Hears that `state` is another one: once for all that changes together. @returns takes the listener away again */
  subscribe(listener: () => void): () => void {
    return this.#emitter.on('change', listener);
  }

  /**
   * Loads the first page and follows on from it; later, loads it anew. A store that was closed, or whose session has ended,
   * is opened again. A failure is told in `state.error`.
   */
  async load(): Promise<void> {
    this.#closed = false;
    await this.#reload();
  }

  /** Loads the next page below. */
  async loadMore(): Promise<void> {
    if (this.#closed || this.#next === undefined || this.#loading > 0) return;
    await this.#page(this.#next, (page) => {
      this.#view = nextPage(this.#view, page.posts, page.position.seq);
    });
  }

  /** While held, new posts wait instead of pushing the list down: for a reader who has scrolled. */
  hold(held: boolean): void {
    this.#held = held;
  }

  /** Shows the new posts that wait. Where the order is not that of time, only a new page knows their place. */
  async reveal(): Promise<void> {
    if (this.#byTime) this.#set(revealed(this.#view));
    else if (!this.#closed) await this.#reload();
  }

  /** Wants the tally of a post that is on the screen. @returns ends that */
  track(postId: number): () => void {
    const tracked: Tracked = { postId, release: this.#feed?.track(postId) };
    this.#tracked.add(tracked);
    return () => {
      if (this.#tracked.delete(tracked)) tracked.release?.();
    };
  }

  /**
   * Votes, or takes the vote back. It shows at once; if the server refuses, it is taken back. Of quick clicks the last
   * one counts.
   * @throws {TidingsError}
   */
  vote(postId: number, up: boolean): Promise<void> {
    this.#set(voting(this.#view, postId, up));
    const running = this.#votes.get(postId);
    if (running) {
      running.wanted = up;
      return running.done;
    }
    const vote = { wanted: up, done: Promise.resolve() };
    this.#votes.set(postId, vote);
    vote.done = this.#castUntilSettled(postId, vote).finally(() => this.#votes.delete(postId));
    return vote.done;
  }

  /** Publishes a post, which is then at the top. @throws {TidingsError} */
  async create(post: NewPost): Promise<PostAnswer> {
    return this.#own(await this.#client.posts.create(post));
  }

  /** @throws {TidingsError} */
  async edit(postId: number, edit: PostEdit, options?: EditOptions): Promise<PostAnswer> {
    return this.#own(await this.#client.posts.update(postId, edit, options));
  }

  /** @throws {TidingsError} */
  async remove(postId: number): Promise<void> {
    await this.#client.posts.remove(postId);
    this.#set(without(this.#view, postId));
  }

  /** Ends the feed, and what is on its way is ignored. `load` opens it again. */
  close(): void {
    this.#closed = true;
    this.#generation += 1;
    this.#feed?.close();
    this.#changed();
  }

  get #byTime(): boolean {
    return (this.#options.sort ?? 'new') === 'new';
  }

  #show(id: number): ShownPost[] {
    const entry = this.#view.entries.get(id);
    if (!entry) return [];
    let post = this.#shown.get(entry);
    if (!post) this.#shown.set(entry, (post = shown(entry)));
    return [post];
  }

  /** The feed, unless it has ended: it does not come back, but another one can be opened. */
  get #open(): Feed | undefined {
    return this.#feed?.status.state === 'ended' ? undefined : this.#feed;
  }

  async #reload(): Promise<void> {
    this.#generation += 1;
    this.#stale = false;
    await this.#page(undefined, (page) => {
      this.#view = firstPage(page.posts, page.position.seq);
      if (!this.#open) this.#follow(page);
    });
  }

  async #page(cursor: string | undefined, fold: (page: PostPage) => void): Promise<void> {
    const { limit, sort, search, ownerId } = this.#options;
    const generation = this.#generation;
    this.#loading += 1;
    this.#error = undefined;
    this.#changed();
    try {
      const page = await this.#client.posts.list({
        cursor,
        ...(limit === undefined ? {} : { limit }),
        ...(sort === undefined ? {} : { sort }),
        ...(search === undefined ? {} : { search }),
        ...(ownerId === undefined ? {} : { ownerId }),
      });
      if (generation !== this.#generation) return;
      // With no feed between then and now, the database and the user may be others, and what was known is no news of them.
      const before = this.#open ? this.#view : emptyView;
      fold(page);
      this.#next = page.next;
      for (const event of this.#recent) {
        if (event.seq > page.position.seq) this.#fold(event);
      }
      this.#view = remembering(this.#view, before, (postId) => this.#feed?.tally(postId));
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error;
      if (generation !== this.#generation) return;
      this.#error = error;
      this.#stale ||= cursor === undefined;
    } finally {
      this.#loading -= 1;
      if (this.#loading === 0) this.#recent = [];
      this.#changed();
    }
  }

  #follow({ position }: PostPage): void {
    const feed = this.#client.feed({
      tallies: 'tracked',
      ...this.#options.feed,
      after: position.seq,
      epoch: position.epoch,
    });
    this.#feed = feed;
    // Of a feed that was open before none is on its way any more.
    this.#recent = [];
    for (const tracked of this.#tracked) tracked.release = feed.track(tracked.postId);
    feed.on('event', (event) => {
      if (this.#loading > 0) this.#recent.push(event);
      this.#fold(event);
    });
    feed.on('tally', (tally) => this.#set(withTally(this.#view, tally)));
    feed.on('incomplete', () => void this.#reload());
    feed.on('status', () => this.#changed());
    feed.on('reset', ({ reason, seq }) => {
      // A page that is on its way may be of the time before.
      this.#generation += 1;
      this.#stale = true;
      this.#recent = [];
      if (reason !== 'epoch_changed') return;
      // Another database: these may be no posts of it, and by number nothing known of them can be told from what is newer.
      this.#next = undefined;
      this.#set({ ...emptyView, asOf: seq });
    });
    feed.on('ready', ({ user_id }) => {
      this.#userId = user_id;
      if (this.#stale) void this.#reload();
    });
  }

  #fold(event: LiveEvent): void {
    if (event.name === 'post:deleted') {
      const { id } = event.data;
      const entry = this.#view.entries.get(id);
      if (entry && entry.asOf < event.seq && entry.post.owner_id === this.#userId) {
        void this.#lookAtOwn(id, event);
        return;
      }
    }
    this.#set(withEvent(this.#view, event, { accepts: (post) => this.#accepts(post), atOnce: this.#atOnce }));
  }

  get #atOnce(): boolean {
    return this.#byTime && !this.#held;
  }

  /** To the others a post that is withdrawn is a deleted one; to its owner it is a draft. */
  async #lookAtOwn(id: number, event: LiveEvent): Promise<void> {
    try {
      this.#own(await this.#client.posts.get(id));
    } catch {
      this.#set(withEvent(this.#view, event, { accepts: () => false, atOnce: false }));
    }
  }

  #accepts(post: PostView): boolean {
    const { ownerId, search = '' } = this.#options;
    if (ownerId !== undefined && post.owner_id !== ownerId) return false;
    return contains(wordsOf(search), post.title, post.content);
  }

  #own(post: PostAnswer): PostAnswer {
    if (this.#view.entries.has(post.id) || this.#accepts(post)) this.#set(withOwn(this.#view, post));
    return post;
  }

  async #castUntilSettled(postId: number, vote: { wanted: boolean }): Promise<void> {
    for (;;) {
      const up = vote.wanted;
      try {
        const { votes } = this.#client;
        const answer = await (up ? votes.cast(postId) : votes.takeBack(postId));
        this.#set(voteSettled(this.#view, postId, answer));
      } catch (error) {
        this.#set(voteSettled(this.#view, postId, undefined));
        throw error;
      }
      if (up === vote.wanted) return;
      this.#set(voting(this.#view, postId, vote.wanted));
    }
  }

  #set(view: FeedView): void {
    if (view === this.#view) return;
    this.#view = view;
    this.#changed();
  }

  #changed(): void {
    this.#state = undefined;
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      this.#emitter.emit('change');
    });
  }
}

/** A list to render that stays true by itself. Nothing is loaded before `load`. */
export function createFeedStore(client: Client, options: FeedStoreOptions = {}): FeedStore {
  return new FeedStore(client, options);
}
