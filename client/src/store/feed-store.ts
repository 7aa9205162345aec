import type { Client } from '../client.ts';
import type { LiveEvent, NewPost, PostAnswer, PostView } from '../contract.ts';
import { postEvent } from '../event-names.ts';
import { isOfPost, type PostEvent } from '../post-events.ts';
import type { CreateOptions, EditOptions, PostPage } from '../posts.ts';
import { belongs, type FeedQuery, queryOf, topicOf } from './feed-query.ts';
import {
  byAuthor,
  emptyView,
  type FeedView,
  firstPage,
  MAX_PENDING,
  nextPage,
  reachedBy,
  revealed,
  shown,
  type ShownPost,
  withAnswer,
  withEvent,
  without,
  withOwn,
} from './feed-view.ts';
import { MAX_GROWTH, type PagesState } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';
import { type FeedStoreListeners, PostsStore } from './posts-store.ts';
import { relationNews } from './relation-news.ts';

export interface FeedStoreOptions extends FeedQuery {
  /** Posts in a page. */
  limit?: number;
  /**
   * Asked when a new post comes while none waits: whether it has to wait for `reveal`. Beside `hold`, for who can tell only
   * at that moment.
   */
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
export interface FeedState extends PagesState {
  posts: readonly ShownPost[];
  /** The new posts that wait for `reveal`, newest first: `MAX_PENDING` at most, however many there are. */
  waiting: readonly ShownPost[];
  /** How many wait. */
  pending: number;
}

/**
 * A live list: a page of posts and the events after it, the user's own changes and votes, in one state to render. Knows
 * of no framework: `subscribe` and `getSnapshot` are what `useSyncExternalStore` and its like want.
 */
export class FeedStore extends PostsStore<FeedState, PostPage> {
  readonly #options: FeedStoreOptions;
  /** What is asked for, and what the view was read by. */
  #query: FeedQuery;
  #viewQuery: FeedQuery;
  #held = false;
  #posts: readonly ShownPost[] = [];
  #waiting: readonly ShownPost[] = [];

  constructor(client: Client, options: FeedStoreOptions) {
    const { limit } = options;
    super({
      client,
      feed: options.feed,
      topic: () => topicOf(this.#query),
      read: (cursor, signal) =>
        client.posts.list({ ...this.#query, ...(limit === undefined ? {} : { limit }), cursor, signal }),
      onPage: (page, which, continues) => this.#take(page, which, continues),
      onEvent: (event, live) => this.#fold(event, live),
    });
    this.#options = options;
    this.#query = queryOf(options);
    this.#viewQuery = this.#query;
    this.made();
  }

  protected stateOf(pages: PagesState): FeedState {
    return {
      posts: (this.#posts = this.#show(this.view.order, this.#posts)),
      waiting: (this.#waiting = this.#show(this.view.pending, this.#waiting)),
      pending: this.view.pending.length,
      ...pages,
    };
  }

  /** Listens to single changes of the list. @returns removes the listener */
  readonly on = <K extends keyof FeedStoreListeners>(
    name: K,
    listener: FeedStoreListeners[K],
  ): (() => void) => this.emitter.on(name, listener);

  /** Shows another list, from its beginning, with the same feed. What is shown stays until it is there. */
  readonly show = async (query: FeedQuery): Promise<void> => {
    this.#query = queryOf(query);
    await this.load();
  };

  /** While held, new posts wait instead of pushing the list down: for a reader who has scrolled. */
  readonly hold = (held: boolean): void => {
    this.#held = held;
  };

  /**
   * Shows the new posts that wait. Where the order is not that of time, or they are too many, the list is read again.
   */
  readonly reveal = async (): Promise<void> => {
    if (this.#byTime && this.view.pending.length < MAX_PENDING) this.set(revealed(this.view));
    else await this.pages.reload();
  };

  /** Wants the tally of a post that is on the screen. @returns ends that */
  readonly track = (postId: number): (() => void) => this.pages.track(postId);

  /** Publishes a post, which is then at the top. @throws {TidingsError} */
  readonly create = (post: NewPost, options?: CreateOptions): Promise<PostAnswer> =>
    this.own(this.client.posts.create(post, options));

  /** @throws {TidingsError} */
  readonly remove = async (postId: number, options?: EditOptions): Promise<void> => {
    await this.client.posts.remove(postId, options);
    this.#drop(postId);
  };

  get #byTime(): boolean {
    return (this.#viewQuery.sort ?? 'new') === 'new';
  }

  /** Whether a new post is shown at once. Not above others that wait. */
  get #atOnce(): boolean {
    // Asked last: who is asked may have to look at the page for it.
    return (
      this.#byTime && this.view.pending.length === 0 && !this.#held && !(this.#options.held?.() ?? false)
    );
  }

  /** @param before the same list when it was shown last: it is given again if nothing of it has changed */
  #show(ids: readonly number[], before: readonly ShownPost[]): readonly ShownPost[] {
    const posts = ids.flatMap((id) => {
      const entry = this.view.entries.get(id);
      return entry ? [shown(entry)] : [];
    });
    return posts.length === before.length && posts.every((post, at) => post === before[at]) ? before : posts;
  }

  /** A page, without what the user has removed since. @returns called after the events since then */
  #take({ posts: listed, position }: PostPage, which: 'first' | 'next', continues: boolean): () => void {
    const before = continues ? this.view : emptyView;
    const posts = listed.filter(({ id }) => !this.removed.has(id));
    if (which === 'next') this.view = nextPage(this.view, posts, position.seq);
    else {
      this.view = firstPage(posts, position.seq);
      this.#viewQuery = this.#query;
      this.growth = 0;
    }
    return () => this.complete(before);
  }

  /** @param live whether it is news; otherwise it is applied to a page that was read before it */
  #fold(event: LiveEvent, live: boolean): void {
    if (!isOfPost(event)) {
      this.#foldRelation(event);
      return;
    }
    const { id } = event.data;
    if (event.name === postEvent.removed) {
      this.removed.delete(id);
      const entry = this.view.entries.get(id);
      const own = entry !== undefined && entry.post.owner_id === this.pages.userId;
      if (own && entry.asOf < event.seq && !this.#viewQuery.published) {
        void this.#lookAtOwn(id, event);
        return;
      }
    } else if (this.removed.has(id)) return;
    const known = this.view.entries.has(id);
    const arrival = {
      accepts: (post: PostView) => this.#accepts(post),
      stays: (post: PostView) => belongs(this.#viewQuery, post),
      joins: (post: PostView) => this.#joins(post),
      atOnce: !known && this.#atOnce,
    };
    this.#turn(id, withEvent(this.view, event, arrival), live);
    const arrived = known ? undefined : this.view.entries.get(id);
    if (!arrived) return;
    // One that was published before may have the user's vote, which is in no event.
    if (arrived.post.votes > 0) void this.#askForVote(id);
    if (live && arrival.atOnce) this.growth += 1;
    if (this.growth > MAX_GROWTH && !this.pages.loading) void this.pages.reload();
  }

  /** The next view, in which one post may be another. */
  #turn(postId: number, view: FeedView, news = true): void {
    const before = this.view.entries.get(postId)?.post;
    const post = view.entries.get(postId)?.post;
    this.set(view);
    if (!news) return;
    if (post && !before) this.emitter.emit('news', { name: postEvent.added, post });
    else if (before && !post) this.emitter.emit('news', { name: postEvent.removed, post: before });
    else if (before && post && before.version < post.version) {
      this.emitter.emit('news', { name: postEvent.changed, post });
    }
  }

  /** To the others a post that is withdrawn is a deleted one; to its owner it is a draft. */
  async #lookAtOwn(id: number, event: PostEvent): Promise<void> {
    const life = this.life;
    try {
      await this.own(this.client.posts.get(id));
    } catch {
      if (life !== this.life) return;
      this.#turn(id, withEvent(this.view, event, { accepts: () => false, atOnce: false }));
    }
  }

  async #askForVote(postId: number): Promise<void> {
    const life = this.life;
    try {
      const post = await this.client.posts.get(postId);
      if (life === this.life) this.set(withAnswer(this.view, post));
    } catch {
      // The answer to a vote will tell.
    }
  }

  #foldRelation(event: LiveEvent): void {
    if (this.pages.userId === undefined) {
      // Missed before the feed was live for the first time: what it means is not known before that is ready.
      this.pages.refreshWhenLive();
      return;
    }
    const news = relationNews(event, this.pages.userId);
    if (!news) return;
    const { view, ownerId } = this.#viewQuery;
    const { userId, relation, seq } = news;
    // Who asks for one author is shown the author, muted or not; and follows change nothing but the home timeline.
    if (relation === 'follow' ? view !== 'home' : relation === 'mute' && ownerId !== undefined) return;
    if (news.added === (relation === 'follow')) {
      // What they wrote before is in no event.
      if (seq > this.view.asOf) this.pages.refresh(seq);
      return;
    }
    for (const id of byAuthor(this.view, userId, seq)) this.#turn(id, without(this.view, id));
  }

  #accepts(post: PostView): boolean {
    return belongs(this.#viewQuery, post) && this.#isShown(post.owner_id);
  }

  /**
   * Whether the list has posts of an author: not of one whom the user mutes or, on the home timeline, does not follow.
   * Where that is not known, it is looked up.
   */
  #isShown(ownerId: number): boolean {
    if (!this.authors || ownerId === this.pages.userId) return true;
    const { view, ownerId: wanted } = this.#viewQuery;
    const follows = view === 'home' ? this.authors.follows(ownerId) : true;
    // Who asks for one author is shown the author, muted or not.
    const mutes = wanted === undefined ? this.authors.mutes(ownerId) : false;
    if (follows === false || mutes === true) return false;
    if (follows && mutes === false) return true;
    this.authors.lookUp(ownerId);
    return false;
  }

  /** Whether a post that an edit has brought here belongs among the pages that are loaded. */
  #joins(post: PostView): boolean {
    const { tag, search } = this.#viewQuery;
    if ((tag === undefined && search === undefined) || !this.#byTime) return false;
    return !this.pages.hasMore || reachedBy(this.view, post);
  }

  /** Shows a post of the user as the server has answered with it, if it is of the list. @throws {TidingsError} */
  protected async own(asked: Promise<PostAnswer>): Promise<PostAnswer> {
    const life = this.life;
    const post = await asked;
    if (life !== this.life) return post;
    const { id } = post;
    this.removed.delete(id);
    const known = this.view.entries.get(id)?.post;
    // An event may have told of a newer state.
    const isNewest = known === undefined || known.version <= post.version;
    if (!post.published && this.#viewQuery.published) this.#drop(id);
    else if (isNewest && !belongs(this.#viewQuery, post)) this.#turn(id, without(this.view, id));
    else if (known || this.#accepts(post)) this.#turn(id, withOwn(this.view, post));
    return post;
  }

  /** The user has removed or withdrawn a post. */
  #drop(postId: number): void {
    // If it is not in the list, its event has come already, or there is none.
    if (!this.view.entries.has(postId)) return;
    this.removed.add(postId);
    this.#turn(postId, without(this.view, postId));
  }
}

/** A list to render that stays true by itself. Nothing is loaded before `load`. */
export function createFeedStore(client: Client, options: FeedStoreOptions = {}): FeedStore {
  return new FeedStore(client, options);
}
