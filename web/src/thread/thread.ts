import { batch, signal } from '@preact/signals';
import {
  type Client,
  createThreadStore,
  type EditOptions,
  type Feed,
  type PostAnswer,
  type PostEdit,
  type ShownPost,
  type ShownReply,
  type ThreadNode,
  type ThreadStore,
  TidingsError,
} from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import { onVoteElsewhere, tellOtherWindows } from '../feed/own-votes.ts';
import type { PostStore } from '../feed/post-store.ts';
import { atEnd } from './at-end.ts';

export interface ThreadOptions {
  client: Client;
  feed: Feed;
  me: { id: number };
  /** The post, or any reply of its thread. */
  postId: number;
  /** Whether also replies that come under all others have to wait: while the reader is about to press what is below them. */
  held: () => boolean;
  /** So many replies of others have come in by themselves. */
  onCame: (count: number) => void;
}

/** A reply in its place. */
export interface Row {
  reply: ShownReply;
  /** 1 of an answer to the thread's first post. */
  depth: number;
}

export type ThreadState = 'loading' | 'shown' | 'missing' | { trouble: string };

/** Replies in a request, and so many are shown at most. */
const PAGE = 100;
const MOST = 1000;
/** Before a post that could not be read is read again. Milliseconds. */
const RETRY = 3000;

/** A post with its thread: the client's store as signals, for the address of any of its posts. */
export class Thread implements PostStore {
  readonly state = signal<ThreadState>('loading');
  readonly root = signal<ShownPost | undefined>(undefined);
  /** In the order in which a tree is read. */
  readonly rows = signal<readonly Row[]>([]);
  /** How many new replies of others wait until the reader wants them. */
  readonly pending = signal(0);
  readonly #options: ThreadOptions;
  #store: ThreadStore | undefined;
  #ends: (() => void)[] = [];
  #closed = false;
  #opening = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** What the rows that are shown were made of. */
  #replies: readonly ThreadNode[] = [];

  constructor(options: ThreadOptions) {
    this.#options = options;
    void this.#open();
  }

  /** Reads now what could not be read. */
  async again(): Promise<void> {
    if (this.#store) await this.#store.load();
    else await this.#open();
  }

  /** Shows the replies that wait. */
  async reveal(): Promise<void> {
    await this.#opened.reveal();
  }

  /** Those that had to wait for the reader to go away from what is below the replies need not wait any more. */
  look(): void {
    if (this.#store && !this.#closed && this.state.peek() === 'shown') this.#bring(this.#store);
  }

  /** Answers a post of the thread; the reply is shown at once. @throws {TidingsError} */
  reply(to: number, content: string, idempotencyKey: string): Promise<PostAnswer> {
    return this.#opened.reply(to, content, { idempotencyKey });
  }

  track(postId: number): () => void {
    return this.#options.feed.track(postId);
  }

  vote(postId: number, up: boolean): Promise<void> {
    return this.#opened.vote(postId, up);
  }

  async edit(postId: number, edit: PostEdit, options?: EditOptions): Promise<PostAnswer> {
    const answer = await this.#opened.edit(postId, edit, options);
    // It is among the drafts.
    if (!answer.published) this.#leave('missing');
    return answer;
  }

  remove(postId: number, options?: EditOptions): Promise<void> {
    return this.#opened.remove(postId, options);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const end of this.#ends.splice(0)) end();
    this.#store?.close();
  }

  get #opened(): ThreadStore {
    if (!this.#store) throw new Error('The thread is not shown yet.');
    return this.#store;
  }

  async #open(): Promise<void> {
    const { client, feed, me, postId } = this.#options;
    clearTimeout(this.#retry);
    if (this.#opening) return;
    this.#opening = true;
    try {
      const post = await client.posts.get(postId);
      if (this.#closed) return;
      const store = createThreadStore(client, { postId: post.root_id ?? post.id, limit: PAGE, feed });
      this.#store = store;
      this.#ends = [
        store.subscribe(() => this.#take(store)),
        store.on('vote', (vote) => tellOtherWindows(me.id, vote)),
        onVoteElsewhere(me.id, (vote) => store.voted(vote)),
      ];
      await store.load();
    } catch (error) {
      const gone = error instanceof TidingsError && (error.code === 'not_found' || error.code === 'invalid');
      this.#leave(gone ? 'missing' : { trouble: sentenceOf(error) });
      if (this.#closed || !(error instanceof TidingsError) || !error.temporary) return;
      const wait = Math.max(RETRY * (0.5 + Math.random()), (error.retryAfter ?? 0) * 1000);
      this.#retry = setTimeout(() => void this.#open(), wait);
    } finally {
      this.#opening = false;
    }
  }

  #take(store: ThreadStore): void {
    const { post, pending, hasMore, loading, error, gone } = store.state;
    const rows = this.#rowsOf(store);
    const readsOn = hasMore && !error && rows.length < MOST;
    if (readsOn && !loading) void store.loadMore();
    // It tells of that by itself.
    if (this.#bring(store)) return;
    if (gone) this.#leave('missing');
    else if (post)
      batch(() => {
        this.root.value = post;
        this.rows.value = rows;
        this.#replies = store.state.replies;
        this.pending.value = pending;
        if (!readsOn) this.state.value = 'shown';
      });
    else if (error) this.state.value = { trouble: sentenceOf(error) };
  }

  /** Shows those of the replies that wait that come under all others: nothing is moved by them. @returns whether there are any */
  #bring(store: ThreadStore): boolean {
    const { post, waiting, hasMore, loading } = store.state;
    // What is still to be read comes under all others too.
    if (!post || hasMore || loading || waiting.length === 0 || this.#options.held()) return false;
    const ids = atEnd(post.id, this.#rowsOf(store), waiting);
    const came = ids.length > 0 && store.revealSome(ids);
    if (came) this.#options.onCame(ids.length);
    return came;
  }

  /** The same ones until a reply is another. */
  #rowsOf({ state: { replies } }: ThreadStore): readonly Row[] {
    return replies === this.#replies ? this.rows.peek() : rowsOf(replies);
  }

  /** Nothing of it is shown any more. */
  #leave(state: ThreadState): void {
    if (this.#closed) return;
    this.state.value = state;
    if (state === 'missing') this.close();
  }
}

function rowsOf(nodes: readonly ThreadNode[], depth = 1): Row[] {
  return nodes.flatMap(({ reply, replies }) => [{ reply, depth }, ...rowsOf(replies, depth + 1)]);
}
