import type { Client } from '../client.ts';
import type { LiveEvent, PostAnswer, PostView, ReplyAnswer, ThreadSort } from '../contract.ts';
import { postEvent } from '../event-names.ts';
import { isOfPost, type PostEvent, tellsPost } from '../post-events.ts';
import type { CreateOptions, EditOptions, ReplyPage } from '../posts.ts';
import {
  byAuthor,
  emptyView,
  firstPage,
  MAX_PENDING,
  nextPage,
  revealed,
  shown,
  type ShownPost,
  withEntry,
  withEvent,
  without,
  withOwn,
} from './feed-view.ts';
import { MAX_GROWTH, type PagesState } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';
import { type FeedStoreListeners, PostsStore } from './posts-store.ts';
import { relationNews } from './relation-news.ts';
import { ReplyCounts } from './reply-counts.ts';
import { type ShownReply, type ThreadNode, ThreadTree } from './thread-tree.ts';

export interface ThreadStoreOptions {
  /** The first post of the thread: `root_id` of a reply. */
  postId: number;
  /** `old` unless you say otherwise. */
  sort?: ThreadSort;
  /** Replies in a page. */
  limit?: number;
  /** As that of `createFeedStore`. */
  feed?: StoreFeed;
}

/** The state to render. A new object after each change; what has not changed stays the same object. */
export interface ThreadState extends PagesState {
  /** The first post. */
  post: ShownPost | undefined;
  /** The replies to it, each with those below. */
  replies: readonly ThreadNode[];
  /** New replies of others that wait for `reveal`, newest first: `MAX_PENDING` at most. */
  waiting: readonly ShownReply[];
  /** How many wait. */
  pending: number;
  /** Whether the thread has been deleted or withdrawn, or there is none. One that is published again comes back. */
  gone: boolean;
}

export type ThreadStoreListeners = Pick<FeedStoreListeners, 'vote' | 'voteDelayed'>;

interface ThreadPage extends ReplyPage {
  post: PostAnswer | undefined;
}

/** Posts of the thread whose tallies are followed: so many of the first ones. */
const TRACKED = 500;

/**
 * A live thread: a post, pages of its replies, and the events after them. New replies of others wait until the reader
 * wants them, so that nothing moves under somebody who reads or writes. Knows of no framework, like `FeedStore`.
 */
export class ThreadStore extends PostsStore<ThreadState, ThreadPage> {
  readonly #id: number;
  readonly #sort: ThreadSort;
  readonly #tree = new ThreadTree();
  readonly #counts: ReplyCounts;
  /** Of the replies in the view those that were deleted. */
  readonly #deleted = new Set<number>();
  readonly #tracked = new Map<number, () => void>();
  #gone = false;

  constructor(client: Client, { postId, sort = 'old', limit, feed }: ThreadStoreOptions) {
    super({
      client,
      feed,
      topic: () => `thread:${postId}`,
      read: (cursor, signal) =>
        this.#read({ sort, ...(limit === undefined ? {} : { limit }), cursor, signal }),
      onPage: (page, which, continues) => this.#take(page, which, continues),
      onEvent: (event) => this.#fold(event),
    });
    this.#id = postId;
    this.#sort = sort;
    this.#counts = new ReplyCounts(postId);
    this.made();
  }

  protected stateOf(pages: PagesState): ThreadState {
    const gone = this.#gone || (pages.page === 'first' && pages.error?.code === 'not_found');
    const view = gone ? emptyView : this.view;
    const root = view.entries.get(this.#id);
    const waiting = this.#tree.flat(
      view,
      view.pending.filter((id) => !this.#deleted.has(id)),
    );
    return {
      post: root && shown(root),
      replies: this.#tree.of(view, this.#sort, (id) =>
        this.#deleted.has(id) ? this.#counts.living(id) : undefined,
      ),
      waiting,
      pending: waiting.length,
      ...pages,
      gone,
    };
  }

  /** @returns removes the listener */
  readonly on = <K extends keyof ThreadStoreListeners>(
    name: K,
    listener: FeedStoreListeners[K],
  ): (() => void) => this.emitter.on(name, listener);

  /** Puts the replies that wait in their places. If they are too many, the thread is read again. */
  readonly reveal = async (): Promise<void> => {
    const { pending } = this.view;
    this.growth += pending.length;
    if (pending.length >= MAX_PENDING || this.growth > MAX_GROWTH) await this.pages.reload();
    else this.set(revealed(this.view));
    this.#track();
  };

  /**
   * Puts some of the replies that wait in their places, and reads nothing. If those that wait are too many to be kept, or
   * the thread would grow too long, nothing is done: the whole is for `reveal` to read again.
   * @returns whether it was done
   */
  readonly revealSome = (replyIds: readonly number[]): boolean => {
    const { pending } = this.view;
    const wanted = pending.filter((id) => replyIds.includes(id));
    const growth = this.growth + wanted.length;
    if (wanted.length === 0 || pending.length >= MAX_PENDING || growth > MAX_GROWTH) return false;
    this.growth = growth;
    this.set(revealed(this.view, wanted));
    this.#track();
    return true;
  };

  /** Answers the post or one of the replies. It is shown as soon as the server has it. @throws {TidingsError} */
  readonly reply = (postId: number, content: string, options?: CreateOptions): Promise<PostAnswer> =>
    this.own(this.client.posts.reply(postId, { content }, options));

  /** @throws {TidingsError} */
  readonly remove = async (postId: number, options?: EditOptions): Promise<void> => {
    const life = this.life;
    await this.client.posts.remove(postId, options);
    if (life !== this.life || !this.view.entries.has(postId)) return;
    if (postId === this.#id) this.#end();
    else if (!this.#deleted.has(postId)) {
      this.removed.add(postId);
      this.#hide(postId);
    }
  };

  /**
   * A page, and then the post: a post that is newer than the page is no fault, since its version says so.
   * @throws {TidingsError}
   */
  async #read(options: Parameters<Client['posts']['replies']>[1] & object): Promise<ThreadPage> {
    const { posts } = this.client;
    const page = await posts.replies(this.#id, options);
    if (options.cursor !== undefined) return { ...page, post: undefined };
    const post = await posts.get(this.#id, options.signal ? { signal: options.signal } : {});
    if (post.root_id) {
      throw new TypeError(
        `Post ${this.#id} is a reply: open the thread of post ${post.root_id}, its root_id.`,
      );
    }
    return { ...page, post };
  }

  #take(
    { replies, post, position, isAhead }: ThreadPage,
    which: 'first' | 'next',
    continues: boolean,
  ): () => void {
    const before = continues ? this.view : emptyView;
    const { seq } = position;
    const read = replies.map(asPost);
    if (which === 'first') {
      this.#counts.clear();
      this.#deleted.clear();
      this.growth = 0;
      this.#gone = false;
      const view = firstPage([...(post ? [post] : []), ...read], seq);
      this.view = { ...view, order: read.map(({ id }) => id) };
    } else this.view = nextPage(this.view, read, seq);
    const added = replies.filter(({ id }) => this.#counts.parentOf(id) === undefined);
    this.#counts.addPage(
      added.map(({ id, parent_id: parent, replies: living }) => ({
        id,
        parent: parent ?? this.#id,
        living: living ?? 0,
      })),
      seq,
      isAhead,
    );
    for (const reply of added) {
      if (reply.deleted) this.#deleted.add(reply.id);
      else if (this.removed.has(reply.id)) this.#hide(reply.id);
    }
    return () => {
      this.complete(before);
      this.#track();
    };
  }

  #fold(event: LiveEvent): void {
    if (!isOfPost(event)) this.#foldRelation(event);
    else if (tellsPost(event)) this.#foldPost(event);
    else if (event.data.id === this.#id) this.#foldEnd(event);
    else if (event.data.root_id === this.#id) this.#foldDeletion(event);
    this.#track();
  }

  #foldPost(event: PostEvent & { data: PostView }): void {
    const { seq, data } = event;
    const { id, parent_id: parent } = data;
    // Its replies come with it, and no event tells of them.
    if (id === this.#id && this.#gone) this.pages.refresh(seq);
    if (data.root_id !== this.#id && id !== this.#id) return;
    if (this.removed.has(id)) return;
    const isNew = event.name === postEvent.added && seq > this.view.asOf;
    if (this.#deleted.has(id)) {
      // A moderator has restored it.
      const entry = this.view.entries.get(id);
      if (isNew && entry && entry.asOf < seq) this.pages.refresh(seq);
      return;
    }
    const known = this.view.entries.has(id);
    const own = data.owner_id === this.pages.userId;
    let isShown = true;
    const accepts = () => (isShown = own || id === this.#id || this.#isShown(data.owner_id));
    const view = withEvent(this.view, event, { accepts, atOnce: own });
    // The counts are the same for everyone, also with replies that are not shown; below one that is restored may be living ones.
    if (parent && (known || view !== this.view || !isShown))
      this.#counts.know(id, parent, data.replies ?? 0, seq);
    const isPlaced = !parent || !isNew || this.#counts.count(id, parent, 1, seq);
    // With one that is restored deleted ones above it may have come back, of which no event tells.
    if (!isPlaced && data.version > 1) this.pages.refresh(seq);
    this.set(view);
    if (own && !known && view.entries.has(id)) this.#grow();
  }

  /** Whether replies of somebody are shown: not if the user mutes them. Where that is not known, it is looked up. */
  #isShown(ownerId: number): boolean {
    const mutes = this.authors ? this.authors.mutes(ownerId) : false;
    if (this.authors && mutes === undefined) this.authors.lookUp(ownerId);
    return mutes === false;
  }

  /** To the others a post that is withdrawn is a deleted one; to its owner it is a draft. */
  #foldEnd({ seq }: PostEvent): void {
    const entry = this.view.entries.get(this.#id);
    if (!entry || entry.asOf >= seq) return;
    if (entry.post.owner_id === this.pages.userId) this.pages.refresh(seq);
    else this.#end();
  }

  /** The thread is over. */
  #end(): void {
    this.#gone = true;
    this.#counts.clear();
    this.#deleted.clear();
    this.set({ ...emptyView, asOf: this.view.asOf });
    this.pages.changed();
  }

  #foldDeletion(event: PostEvent): void {
    const { seq } = event;
    const { id } = event.data;
    const entry = this.view.entries.get(id);
    if (!this.removed.delete(id) && (this.#deleted.has(id) || seq <= (entry ?? this.view).asOf)) return;
    // Of one that is not known: nor is it waited for any more.
    if (!entry) this.set(withEvent(this.view, event, { accepts: () => false, atOnce: false }));
    this.#delete(id, seq);
  }

  /** A reply goes, or stays as a deleted one if there are others below it; then those above it may go. */
  #delete(id: number, seq: number): void {
    const parent = this.#counts.parentOf(id);
    this.#counts.count(id, undefined, -1, seq);
    // What is below replies that are not loaded is not known.
    const unsure = this.#isUnsureOf(id);
    const wasShown = this.view.entries.has(id);
    const stays = this.#hide(id);
    if (!stays) {
      this.#counts.forget(id);
      this.#prune(parent);
    }
    // As a deleted one a reply is shown also to those who mute its author.
    if (unsure || (stays && !wasShown)) this.pages.refresh(seq);
  }

  /** Whether it is not known for certain if a deleted reply, or a deleted one above it, is shown, and with which count. */
  #isUnsureOf(id: number): boolean {
    let above = this.#counts.parentOf(id);
    // It may be below any of them.
    if (above === undefined) return [...this.#deleted].some((one) => this.#counts.unsureOf(one));
    let unsure = this.#counts.unsureOf(id);
    while (above !== undefined && !unsure) {
      unsure = this.#deleted.has(above) && this.#counts.unsureOf(above);
      above = this.#counts.parentOf(above);
    }
    return unsure;
  }

  #foldRelation(event: LiveEvent): void {
    const news = relationNews(event, this.pages.userId);
    if (this.pages.userId === undefined) this.pages.refreshWhenLive();
    if (!news || news.relation === 'follow') return;
    if (!news.added) {
      if (news.seq > this.view.asOf) this.pages.refresh(news.seq);
      return;
    }
    for (const id of byAuthor(this.view, news.userId, news.seq)) {
      // The counts are the same for everyone.
      if (id !== this.#id) this.set(without(this.view, id));
    }
  }

  /** @returns whether a deleted reply stays, since there are others below it */
  #hide(id: number): boolean {
    const stays = this.#counts.living(id) > 0;
    const entry = this.view.entries.get(id);
    if (stays) this.#deleted.add(id);
    if (entry) this.set(stays ? withEntry(this.view, { ...entry }) : without(this.view, id));
    return stays;
  }

  /** Takes out a deleted reply without others below it, and each above it of which the same has become true. */
  #prune(from: number | undefined): void {
    let id = from;
    while (id !== undefined && this.#deleted.has(id) && this.#counts.living(id) === 0) {
      const parent = this.#counts.parentOf(id);
      this.#deleted.delete(id);
      this.#counts.forget(id);
      this.set(without(this.view, id));
      id = parent;
    }
  }

  /** Shows a post of the user as the server has answered with it. @throws {TidingsError} */
  protected async own(asked: Promise<PostAnswer>): Promise<PostAnswer> {
    const life = this.life;
    const post = await asked;
    if (life !== this.life || this.#gone) return post;
    const known = this.view.entries.has(post.id);
    if (post.parent_id) this.#counts.know(post.id, post.parent_id, 0, this.view.asOf);
    this.set(withOwn(this.view, post));
    if (!known) this.#grow();
    this.#track();
    return post;
  }

  #grow(): void {
    this.growth += 1;
    if (this.growth > MAX_GROWTH && !this.pages.loading) void this.pages.reload();
  }

  /** Follows the tallies of the post and of the first replies. */
  #track(): void {
    const { order } = this.view;
    const wanted = new Set([this.#id, ...order.slice(0, TRACKED).filter((id) => !this.#deleted.has(id))]);
    for (const [id, release] of this.#tracked) {
      if (wanted.has(id)) continue;
      this.#tracked.delete(id);
      release();
    }
    for (const id of wanted) if (!this.#tracked.has(id)) this.#tracked.set(id, this.pages.track(id));
  }
}

/** A thread to render that stays true by itself. Nothing is loaded before `load`. */
export function createThreadStore(client: Client, options: ThreadStoreOptions): ThreadStore {
  return new ThreadStore(client, options);
}

/** As others are kept. That it was deleted, and so has no owner, is known apart from it. */
function asPost({ depth: _depth, deleted: _deleted, ...reply }: ReplyAnswer): PostAnswer {
  return { ...reply, owner_id: reply.owner_id ?? 0, owner: reply.owner ?? { id: 0, username: '' } };
}
