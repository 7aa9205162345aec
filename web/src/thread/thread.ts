import { batch, signal } from '@preact/signals';
import {
  type EditOptions,
  type Feed,
  type PostAnswer,
  type PostEdit,
  type ShownPost,
  type Subscription,
  type Tally,
  type ReplyAnswer,
  TidingsError,
} from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import type { PostStore } from '../feed/post-store.ts';
import { service } from '../service.ts';
import { inTreeOrder } from './tree.ts';

/** Replies in a request, and so many requests at most. */
const PAGE = 100;
const MOST_PAGES = 10;

export type ThreadState = 'loading' | 'shown' | 'missing' | { trouble: string };

/**
 * A post with its thread. Changes of what is shown come in by themselves; new replies of others only wait, so that
 * nothing moves under somebody who reads or writes. What is added or taken away is read from the server again.
 */
export class Thread implements PostStore {
  readonly state = signal<ThreadState>('loading');
  readonly root = signal<ShownPost | undefined>(undefined);
  /** In the order of the tree. */
  readonly replies = signal<readonly ReplyAnswer[]>([]);
  /** New replies of others that wait until the reader wants them. */
  readonly waiting = signal<ReadonlySet<number>>(new Set());
  readonly #postId: number;
  readonly #feed: Feed;
  readonly #userId: number;
  #subscription: Subscription | undefined;
  /** Readings that were begun: only the newest one is shown. */
  #readings = 0;
  #willRead = false;
  #closed = false;

  /** @param postId the post, or any reply of its thread */
  constructor(postId: number, feed: Feed, userId: number) {
    this.#postId = postId;
    this.#feed = feed;
    this.#userId = userId;
    void this.load();
  }

  /** Reads the thread, or reads it again: what is shown stays until then. */
  async load(): Promise<void> {
    const own = (this.#readings += 1);
    try {
      const asked = await service.posts.get(this.#postId);
      const rootId = asked.root_id ?? asked.id;
      const replies: ReplyAnswer[] = [];
      let cursor: string | undefined;
      for (let pages = 0; pages < MOST_PAGES; pages += 1) {
        const page = await service.posts.replies(rootId, { limit: PAGE, cursor });
        // What comes while the rest is read is told of.
        if (pages === 0) this.#follow(rootId, page.position.seq, page.position.epoch);
        replies.push(...page.replies);
        cursor = page.next;
        if (cursor === undefined) break;
      }
      const root = rootId === asked.id ? asked : await service.posts.get(rootId);
      if (this.#closed || own !== this.#readings) return;
      const waiting = this.waiting.peek();
      batch(() => {
        this.root.value = { ...root, voting: false, live: false };
        this.replies.value = inTreeOrder(
          rootId,
          replies.filter(({ id }) => !waiting.has(id)),
        );
        this.state.value = 'shown';
      });
    } catch (error) {
      if (this.#closed || own !== this.#readings) return;
      const gone = error instanceof TidingsError && (error.code === 'not_found' || error.code === 'invalid');
      this.state.value = gone ? 'missing' : { trouble: sentenceOf(error) };
    }
  }

  /** Shows the replies that wait. */
  async reveal(): Promise<void> {
    this.waiting.value = new Set();
    await this.load();
  }

  /** Answers a post of the thread; the reply is shown at once. @throws {TidingsError} */
  async reply(to: number, content: string, idempotencyKey: string): Promise<PostAnswer> {
    const answer = await service.posts.reply(to, { content }, { idempotencyKey });
    await this.load();
    return answer;
  }

  track(postId: number): () => void {
    return this.#feed.track(postId, (tally) => this.#count(tally));
  }

  async vote(postId: number, up: boolean): Promise<void> {
    const before = this.#post(postId);
    if (!before) return;
    this.#change(postId, { voted: up, votes: Math.max(0, before.votes + Number(up) - Number(before.voted)) });
    try {
      const { votes, rev, voted } = await (up ? service.votes.cast(postId) : service.votes.takeBack(postId));
      this.#change(postId, { votes, rev, voted });
    } catch (error) {
      this.#change(postId, { voted: before.voted, votes: before.votes });
      throw error;
    }
  }

  async edit(postId: number, edit: PostEdit, options?: EditOptions): Promise<PostAnswer> {
    const answer = await service.posts.update(postId, edit, options);
    if (answer.published) this.#change(postId, answer);
    else this.state.value = 'missing';
    return answer;
  }

  async remove(postId: number, options?: EditOptions): Promise<void> {
    await service.posts.remove(postId, options);
    if (postId === this.root.peek()?.id) this.state.value = 'missing';
    else await this.load();
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
  }

  #follow(rootId: number, from: number, epoch: string): void {
    if (this.#subscription || this.#closed) return;
    const subscription = this.#feed.subscribe(`thread:${rootId}`, { from, epoch });
    this.#subscription = subscription;
    subscription.on('reset', () => this.#readAgain());
    subscription.on('event', ({ name, data }) => {
      if (name !== 'post:created' && name !== 'post:updated' && name !== 'post:deleted') return;
      if (data.id !== rootId && (data.root_id ?? null) !== rootId) return;
      if (name === 'post:deleted') this.#lose(data.id, rootId);
      else if (this.#post(data.id)) this.#renew(data.id, data);
      else if (data.id === rootId) this.#readAgain();
      else if (data.owner_id === this.#userId) this.#readAgain();
      else this.waiting.value = new Set([...this.waiting.peek(), data.id]);
    });
  }

  #lose(postId: number, rootId: number): void {
    if (postId === rootId) {
      this.state.value = 'missing';
      return;
    }
    this.waiting.value = new Set([...this.waiting.peek()].filter((id) => id !== postId));
    this.#readAgain();
  }

  /** Once for all that happens together. */
  #readAgain(): void {
    if (this.#willRead) return;
    this.#willRead = true;
    queueMicrotask(() => {
      this.#willRead = false;
      void this.load();
    });
  }

  #post(postId: number): PostAnswer | ReplyAnswer | undefined {
    const root = this.root.peek();
    return root?.id === postId ? root : this.replies.peek().find(({ id }) => id === postId);
  }

  #renew(postId: number, data: Partial<PostAnswer> & { version: number }): void {
    if ((this.#post(postId)?.version ?? 0) < data.version) this.#change(postId, data);
  }

  /** The tally with the highest `rev` counts. */
  #count({ post_id, votes, replies, rev }: Tally): void {
    if ((this.#post(post_id)?.rev ?? 0) < rev) {
      this.#change(post_id, { votes, rev, ...(replies === undefined ? {} : { replies }) });
    }
  }

  #change(postId: number, change: Partial<PostAnswer>): void {
    const root = this.root.peek();
    if (root?.id === postId) {
      this.root.value = { ...root, ...change };
      return;
    }
    this.replies.value = this.replies
      .peek()
      .map((reply) => (reply.id === postId && !reply.deleted ? { ...reply, ...change } : reply));
  }
}
