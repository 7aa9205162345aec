import type { Client } from '../client.ts';
import type { LiveEvent, NewPost, PostAnswer, PostEdit, PostView, VoteView } from '../contract.ts';
import { delay, jittered } from '../delay.ts';
import { Emitter } from '../emitter.ts';
import { postEvent } from '../event-names.ts';
import type { FeedStatus } from '../feed/status.ts';
import type { PagePlace } from '../page-place.ts';
import { isOfPost, type PostEvent, tellsPost } from '../post-events.ts';
import type { CreateOptions, EditOptions, PostPage } from '../posts.ts';
import { TidingsError } from '../tidings-error.ts';
import { CastVotes } from './cast-votes.ts';
import { belongs, type FeedQuery, hasTag, queryOf, topicOf } from './feed-query.ts';
import {
  byAuthor,
  emptyView,
  type Entry,
  type FeedView,
  firstPage,
  MAX_PENDING,
  nextPage,
  reachedBy,
  remembering,
  revealed,
  shown,
  type ShownPost,
  voteSettled,
  voting,
  withAnswer,
  withEvent,
  without,
  withOwn,
  withTally,
  withVote,
} from './feed-view.ts';
import { Followees } from './followees.ts';
import { begun, LiveSource, reaches, type StoreFeed } from './live-source.ts';
import { RecentEvents } from './recent-events.ts';
import { relationNews } from './relation-news.ts';

export interface FeedStoreOptions extends FeedQuery {
  /** Posts in a page. */
  limit?: number;
  /** Asked when a new post comes: whether it has to wait for `reveal`. Beside `hold`, for who can tell only at that moment. */
  held?: () => boolean;
  /**
   * An open feed to share with other stores, so that they need one connection: it must have `topics`, if only `[]`. Or
   * options of a feed for this store alone. Tallies of tracked posts alone, unless you say otherwise.
   */
  feed?: StoreFeed;
}

/**
 * The state to render. A new object after each change; each post, and each list of posts, is the same object until it
 * changes.
 */
export interface FeedState {
  posts: readonly ShownPost[];
  /** The new posts that wait for `reveal`, newest first: `MAX_PENDING` at most, however many there are. */
  waiting: readonly ShownPost[];
  /** How many wait. */
  pending: number;
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

/** What has changed of the list since it was read, by an event or by the user's own doing. */
export interface FeedNews {
  /** The post came into the list, or among those that wait; its text changed; it went. */
  name: LiveEvent['name'];
  /** After the change; of a deletion, before it. */
  post: PostAnswer;
}

export interface FeedStoreListeners {
  news: (news: FeedNews) => void;
  /** The result of a vote that was cast or taken back here, for the user's other windows: `voted`. */
  vote: (vote: VoteView) => void;
}

/** A subscription to the tally of a post, and what ends it on the open feed. */
interface Tracked {
  postId: number;
  release: (() => void) | undefined;
}

/** Until a list that could not be read, or was too old, is read again, unless the server asks for more. Milliseconds. */
const RETRY = 3000;
/** So many new posts are put on top of a list that is left open; then it is read again rather than growing for ever. */
const MAX_GROWTH = 300;

/**
 * A live list: a page of posts and the events after it, the user's own changes and votes, in one state to render. Knows
 * of no framework: `subscribe` and `state` are what `useSyncExternalStore` and its like want.
 *
 * A page and the feed are two views of one numbering, and each may be ahead of the other. If the feed is ahead, the events
 * after the page's position are applied to the page. If the page is ahead, the events up to its position are in it already.
 */
export class FeedStore {
  readonly #client: Client;
  readonly #options: FeedStoreOptions;
  readonly #emitter = new Emitter<FeedStoreListeners>();
  readonly #changes = new Emitter<{ change: () => void }>();
  /** The shown form of each entry, so that what has not changed stays the same object. */
  readonly #shown = new WeakMap<Entry, ShownPost>();
  readonly #votes: CastVotes;
  readonly #followees: Followees;
  readonly #events = new RecentEvents();
  /** The posts whose tallies are wanted. They outlive a feed: the next one is asked for them again. */
  readonly #tracked = new Set<Tracked>();
  /** Posts that the user has removed here and whose event is still to come: a page may have been read before. */
  readonly #removed = new Set<number>();
  /** What is asked for, and what the view was read by. */
  #query: FeedQuery;
  #viewQuery: FeedQuery;
  #view: FeedView = emptyView;
  /** How many new posts have come on top since the list was read. */
  #growth = 0;
  #source: LiveSource | undefined;
  /** A page from before here lacks posts that a follow, or the end of a block, has brought. */
  #freshFrom = 0;
  #next: string | undefined;
  #held = false;
  /** The page that is on its way. One that has been asked for since takes its place. */
  #request: AbortController | undefined;
  #page: 'first' | 'next' = 'first';
  #error: TidingsError | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stale = false;
  /** Grows when the database or the user is another one: what was asked of the one before is no news. */
  #life = 0;
  #state: FeedState | undefined;
  #posts: readonly ShownPost[] = [];
  #waiting: readonly ShownPost[] = [];
  #telling = false;
  #closed = false;

  constructor(client: Client, options: FeedStoreOptions) {
    this.#client = client;
    this.#options = options;
    this.#followees = new Followees(client.users);
    this.#votes = new CastVotes(client.votes, {
      wanted: (postId, up) => this.#set(voting(this.#view, postId, up)),
      settled: (postId, answer) => {
        this.#set(voteSettled(this.#view, postId, answer));
        if (answer) this.#emitter.emit('vote', answer);
      },
    });
    this.#query = queryOf(options);
    this.#viewQuery = this.#query;
  }

  get state(): FeedState {
    this.#state ??= {
      posts: (this.#posts = this.#show(this.#view.order, this.#posts)),
      waiting: (this.#waiting = this.#show(this.#view.pending, this.#waiting)),
      pending: this.#view.pending.length,
      hasMore: this.#next !== undefined,
      loading: this.#request !== undefined,
      error: this.#error,
      page: this.#page,
      status: this.#closed
        ? { state: 'ended', reason: 'closed' }
        : (this.#source?.feed.status ?? { state: 'connecting' }),
      seq: this.#source?.seq ?? 0,
    };
    return this.#state;
  }

  /** Listens for a new `state`: called once for changes that happen together. @returns removes the listener */
  subscribe(listener: () => void): () => void {
    return this.#changes.on('change', listener);
  }

  /** Listens to single changes of the list. @returns removes the listener */
  on<K extends keyof FeedStoreListeners>(name: K, listener: FeedStoreListeners[K]): () => void {
    return this.#emitter.on(name, listener);
  }

  /**
   * Loads the first page and follows on from it; later, loads it again. A store that was closed, or whose session has
   * ended, is opened again. A failure is in `state.error` until the page has loaded; a temporary one is retried about
   * every three seconds.
   */
  async load(): Promise<void> {
    this.#closed = false;
    await this.#reload();
  }

  /** Shows another list, from its beginning, with the same feed. What is shown stays until it is there. */
  async show(query: FeedQuery): Promise<void> {
    this.#query = queryOf(query);
    await this.load();
  }

  /** Loads the next page below. */
  async loadMore(): Promise<void> {
    const cursor = this.#next;
    if (this.#closed || this.#request || cursor === undefined) return;
    if (this.#error && this.#page === 'first') return;
    await this.#load('next', cursor, (page) => {
      this.#view = nextPage(this.#view, page.posts, page.position.seq);
    });
  }

  /** While held, new posts wait instead of pushing the list down: for a reader who has scrolled. */
  hold(held: boolean): void {
    this.#held = held;
  }

  /**
   * Shows the new posts that wait. Where the order is not that of time, or they are too many, the list is read again.
   */
  async reveal(): Promise<void> {
    if (this.#byTime && this.#view.pending.length < MAX_PENDING) this.#set(revealed(this.#view));
    else if (!this.#closed) await this.#reload();
  }

  /** Wants the tally of a post that is on the screen. @returns ends that */
  track(postId: number): () => void {
    const tracked: Tracked = { postId, release: this.#open?.feed.track(postId) };
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
    return this.#votes.cast(postId, up);
  }

  /** What became of a vote of the user in another window: the feed has the number of votes, but not whose they are. */
  voted(vote: VoteView): void {
    this.#votes.remember(vote);
    this.#set(withVote(this.#view, vote));
  }

  /** Publishes a post, which is then at the top. @throws {TidingsError} */
  create(post: NewPost, options?: CreateOptions): Promise<PostAnswer> {
    return this.#own(this.#client.posts.create(post, options));
  }

  /** @throws {TidingsError} */
  edit(postId: number, edit: PostEdit, options?: EditOptions): Promise<PostAnswer> {
    return this.#own(this.#client.posts.update(postId, edit, options));
  }

  /** @throws {TidingsError} */
  async remove(postId: number, options?: EditOptions): Promise<void> {
    await this.#client.posts.remove(postId, options);
    this.#drop(postId);
  }

  /** Tries to connect now, for somebody who would not wait until `status.retryAt`. */
  reconnect(): void {
    this.#open?.feed.reconnect();
  }

  /** Ends the feed, and what is on its way is ignored. `load` opens it again. */
  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#votes.clear();
    this.#removed.clear();
    this.#leave();
    this.#changed();
  }

  get #byTime(): boolean {
    return (this.#viewQuery.sort ?? 'new') === 'new';
  }

  /** Whether a new post is shown at once. Not above others that wait. */
  get #atOnce(): boolean {
    const held = this.#held || (this.#options.held?.() ?? false);
    return this.#byTime && !held && this.#view.pending.length === 0;
  }

  /** What it listens to, unless that has ended: it does not come back, but another one can be opened. */
  get #open(): LiveSource | undefined {
    return this.#source?.open ? this.#source : undefined;
  }

  get #userId(): number | undefined {
    return this.#source?.feed.userId;
  }

  /** @param before the same list when it was shown last: it is given again if nothing of it has changed */
  #show(ids: readonly number[], before: readonly ShownPost[]): readonly ShownPost[] {
    const posts = ids.flatMap((id) => {
      const entry = this.#view.entries.get(id);
      if (!entry) return [];
      let post = this.#shown.get(entry);
      if (!post) this.#shown.set(entry, (post = shown(entry)));
      return [post];
    });
    return posts.length === before.length && posts.every((post, at) => post === before[at]) ? before : posts;
  }

  async #reload(): Promise<void> {
    this.#stale = false;
    const query = this.#query;
    await this.#load('first', undefined, (page) => {
      this.#view = firstPage(page.posts, page.position.seq);
      this.#viewQuery = query;
      this.#growth = 0;
      if (!this.#goesOn) this.#follow(page);
    });
  }

  /** Whether what it listens to has all that the list which is asked for needs. */
  get #goesOn(): boolean {
    return this.#open !== undefined && this.#open.topic === topicOf(this.#query);
  }

  /** What is on its way, or waited for, is not wanted any more. */
  #cancel(): void {
    clearTimeout(this.#retry);
    this.#request?.abort();
    this.#request = undefined;
  }

  async #load(
    which: 'first' | 'next',
    cursor: string | undefined,
    fold: (page: PostPage) => void,
  ): Promise<void> {
    this.#cancel();
    const request = (this.#request = new AbortController());
    // What failed is said until it has been done, not again with each try.
    if (which !== this.#page || which === 'next') this.#error = undefined;
    this.#page = which;
    this.#changed();
    try {
      const page = await this.#read(cursor, request.signal);
      if (request !== this.#request) return;
      this.#request = undefined;
      // With no feed between then and now, the database and the user may be others, and what was known is no news of them.
      const before = this.#open ? this.#view : emptyView;
      fold({ ...page, posts: page.posts.filter(({ id }) => !this.#removed.has(id)) });
      this.#next = page.next;
      this.#error = undefined;
      for (const event of this.#events.since(page.position.seq)) {
        // What was created since is above the next page: on an earlier one, or it waits.
        if (which === 'first' || event.name !== postEvent.added) this.#fold(event, false);
      }
      this.#view = remembering(
        this.#view,
        before,
        (postId) => this.#source?.feed.tally(postId),
        (postId) => this.#votes.known(postId),
      );
    } catch (error) {
      if (request !== this.#request) return;
      this.#request = undefined;
      if (!(error instanceof TidingsError)) throw error;
      this.#error = error;
      if (which === 'first') this.#readAgainAfter(error);
    } finally {
      this.#changed();
    }
  }

  /** A page that the feed continues from without a gap. @throws {TidingsError} */
  async #read(cursor: string | undefined, signal: AbortSignal): Promise<PostPage> {
    const { limit, feed } = this.#options;
    await begun(feed);
    for (;;) {
      const page = await this.#client.posts.list({
        ...this.#query,
        ...(limit === undefined ? {} : { limit }),
        cursor,
        signal,
      });
      if (this.#continues(page)) return page;
      await delay(jittered(RETRY), signal);
    }
  }

  /** Not if it is of a node that has fallen far behind, or the database has just been replaced, which the feed is about to say. */
  #continues({ position }: PagePlace): boolean {
    const { seq, epoch } = position;
    const source = this.#goesOn ? this.#open : undefined;
    if (!source) return reaches(this.#options.feed, position);
    return epoch === source.feed.position?.epoch && seq >= this.#freshFrom && this.#events.reachBackTo(seq);
  }

  #readAgainAfter(error: TidingsError): void {
    this.#stale = true;
    const hopeless = error.code === 'logged_out' || (error.status >= 400 && error.status < 500);
    if (hopeless && !error.temporary) return;
    const wait = Math.max(jittered(RETRY), (error.retryAfter ?? 0) * 1000);
    this.#retry = setTimeout(() => void this.#reload(), wait);
  }

  #follow({ position }: PostPage): void {
    this.#leave();
    this.#events.restart(position.seq);
    this.#freshFrom = 0;
    const source = new LiveSource(this.#client, this.#options.feed, topicOf(this.#query), position, {
      event: (event) => {
        this.#events.add(event);
        this.#fold(event, true);
        this.#changed();
      },
      tally: (tally) => this.#set(withTally(this.#view, tally)),
      incomplete: () => void this.#reload(),
      status: () => {
        const { status } = source.feed;
        // The next login may be another user's.
        if (status.state === 'ended' && status.reason !== 'closed') this.#forget();
        this.#changed();
      },
      reset: ({ reason, seq }) => this.#onReset(reason === 'epoch_changed', seq),
      ready: () => {
        if (this.#stale) void this.#reload();
      },
      refused: (error) => {
        this.#error = error;
        this.#changed();
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

  #onReset(anotherDatabase: boolean, seq: number): void {
    // A page that is on its way may be of the time before.
    this.#cancel();
    this.#stale = true;
    this.#events.restart(seq);
    this.#removed.clear();
    this.#freshFrom = 0;
    this.#changed();
    if (anotherDatabase) {
      // These may be no posts of it, and by number nothing known of them can be told from what is newer.
      this.#forget();
      this.#next = undefined;
      this.#set({ ...emptyView, asOf: seq });
    }
    // That of a shared feed's topic comes amid its connection; otherwise the feed is about to be ready.
    if (this.#open?.feed.status.state === 'live') void this.#reload();
  }

  #forget(): void {
    this.#life += 1;
    this.#votes.forget();
    this.#followees.clear();
    this.#removed.clear();
  }

  /** @param live whether it is news; otherwise it is applied to a page that was read before it */
  #fold(event: LiveEvent, live: boolean): void {
    if (!isOfPost(event)) {
      this.#foldRelation(event);
      return;
    }
    const { id } = event.data;
    if (event.name === postEvent.removed) {
      this.#removed.delete(id);
      const entry = this.#view.entries.get(id);
      const own = entry !== undefined && entry.post.owner_id === this.#userId;
      if (own && entry.asOf < event.seq && !this.#viewQuery.published) {
        void this.#lookAtOwn(id, event);
        return;
      }
    } else if (this.#removed.has(id)) return;
    const known = this.#view.entries.has(id);
    const arrival = {
      accepts: (post: PostView) => this.#accepts(post),
      stays: (post: PostView) => hasTag(this.#viewQuery.tag, post),
      joins: (post: PostView) => this.#joins(post),
      atOnce: this.#atOnce,
    };
    this.#turn(id, withEvent(this.#view, event, arrival), live);
    const arrived = known ? undefined : this.#view.entries.get(id);
    if (!arrived) return;
    // One that was published before may have the user's vote, which is in no event.
    if (arrived.post.votes > 0) void this.#askForVote(id);
    if (live && arrival.atOnce) this.#growth += 1;
    if (this.#growth > MAX_GROWTH && !this.#request) void this.#reload();
  }

  /** The next view, in which one post may be another. */
  #turn(postId: number, view: FeedView, news = true): void {
    const before = this.#view.entries.get(postId)?.post;
    const post = view.entries.get(postId)?.post;
    this.#set(view);
    if (!news) return;
    if (post && !before) this.#emitter.emit('news', { name: postEvent.added, post });
    else if (before && !post) this.#emitter.emit('news', { name: postEvent.removed, post: before });
    else if (before && post && before.version < post.version) {
      this.#emitter.emit('news', { name: postEvent.changed, post });
    }
  }

  /** To the others a post that is withdrawn is a deleted one; to its owner it is a draft. */
  async #lookAtOwn(id: number, event: PostEvent): Promise<void> {
    const life = this.#life;
    try {
      await this.#own(this.#client.posts.get(id));
    } catch {
      if (life !== this.#life) return;
      this.#turn(id, withEvent(this.#view, event, { accepts: () => false, atOnce: false }));
    }
  }

  async #askForVote(postId: number): Promise<void> {
    const life = this.#life;
    try {
      const post = await this.#client.posts.get(postId);
      if (life === this.#life) this.#set(withAnswer(this.#view, post));
    } catch {
      // The answer to a vote will tell.
    }
  }

  #foldRelation(event: LiveEvent): void {
    if (this.#userId === undefined) {
      // Missed before the feed was live for the first time: what it means is not known before that is ready.
      this.#stale = true;
      return;
    }
    const news = relationNews(event, this.#userId);
    if (!news) return;
    const { view, ownerId } = this.#viewQuery;
    const { userId, relation, seq } = news;
    // Who asks for one author is shown the author, muted or not; and follows change nothing but the home timeline.
    if (relation === 'follow' ? view !== 'home' : relation === 'mute' && ownerId !== undefined) return;
    if (relation === 'follow') this.#followees.set(userId, news.added);
    if (news.added === (relation === 'follow')) {
      if (seq <= this.#freshFrom || seq <= this.#view.asOf) return;
      // What they wrote before is in no event.
      this.#freshFrom = seq;
      void this.#reload();
      return;
    }
    for (const id of byAuthor(this.#view, userId, seq)) this.#turn(id, without(this.#view, id));
  }

  #accepts(post: PostView): boolean {
    if (!belongs(this.#viewQuery, post)) return false;
    return this.#viewQuery.view !== 'home' || this.#isOfHome(post.owner_id);
  }

  /** Whether the user follows whoever wrote a post. Where that is not known, it is looked up. */
  #isOfHome(ownerId: number): boolean {
    if (ownerId === this.#userId || this.#source?.alone) return true;
    const follows = this.#followees.follows(ownerId);
    if (follows === undefined) void this.#lookUp(ownerId);
    return follows === true;
  }

  async #lookUp(ownerId: number): Promise<void> {
    const life = this.#life;
    try {
      if (!(await this.#followees.lookUp(ownerId)) || life !== this.#life) return;
    } catch (error) {
      if (life !== this.#life || !(error instanceof TidingsError)) return;
      this.#readAgainAfter(error);
      return;
    }
    if (!this.#followees.follows(ownerId)) return;
    for (const event of this.#events.since(this.#view.asOf)) {
      if (!tellsPost(event) || event.data.owner_id === ownerId) this.#fold(event, true);
    }
  }

  /** Whether a post that an edit has brought here belongs among the pages that are loaded. */
  #joins(post: PostView): boolean {
    if (this.#viewQuery.tag === undefined || !this.#byTime) return false;
    return this.#next === undefined || reachedBy(this.#view, post);
  }

  /** Shows a post of the user as the server has answered with it. @throws {TidingsError} */
  async #own(asked: Promise<PostAnswer>): Promise<PostAnswer> {
    const life = this.#life;
    const post = await asked;
    if (life !== this.#life) return post;
    const { id } = post;
    this.#removed.delete(id);
    if (!post.published && this.#viewQuery.published) this.#drop(id);
    else if (this.#view.entries.has(id) || this.#accepts(post)) this.#turn(id, withOwn(this.#view, post));
    return post;
  }

  /** The user has removed or withdrawn a post. */
  #drop(postId: number): void {
    // If it is not in the list, its event has come already, or there is none.
    if (!this.#view.entries.has(postId)) return;
    this.#removed.add(postId);
    this.#turn(postId, without(this.#view, postId));
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
      this.#changes.emit('change');
    });
  }
}

/** A list to render that stays true by itself. Nothing is loaded before `load`. */
export function createFeedStore(client: Client, options: FeedStoreOptions = {}): FeedStore {
  return new FeedStore(client, options);
}
