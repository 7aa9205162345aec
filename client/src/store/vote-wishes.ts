import type { Client } from '../client.ts';
import type { VoteView } from '../contract.ts';
import { Emitter } from '../emitter.ts';
import { Backoff } from '../feed/backoff.ts';
import { TidingsError } from '../tidings-error.ts';

/** A vote that could not be sent. It is sent again by itself. */
export interface DelayedVote {
  post_id: number;
  /** Whether it is a vote, or one that is taken back. */
  up: boolean;
  error: TidingsError;
}

/** A vote, or one that is taken back, that has no answer yet. */
export interface VoteWish {
  post_id: number;
  /** What the user wants by now. */
  up: boolean;
  /** What is on its way to the server, which the user may have wanted before; undefined if nothing is. */
  sending: boolean | undefined;
}

export interface VoteWishListeners {
  /** The user wants this, and the server has not answered yet. */
  wanted: (wish: VoteWish) => void;
  /** The server cannot be reached. */
  delayed: (vote: DelayedVote) => void;
  /** The server's answer, or undefined if there is none and all is as it was. */
  settled: (postId: number, answer: VoteView | undefined) => void;
}

interface Wish {
  up: boolean;
  sending?: boolean | undefined;
  /** Why it could not be sent, while it waits to be sent again. */
  delayed?: TidingsError;
  done: Promise<void>;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** Votes that wait to be sent again at most; what comes on top fails. */
export const MAX_DELAYED = 100;
/** Between two attempts while the server cannot be reached. Milliseconds. */
const RETRY = { base: 2000, cap: 30_000 };

const wishes = new WeakMap<Client, VoteWishes>();

/** One for a client: a post may be in several stores, and a vote goes on when the store has been closed. */
export function voteWishes(client: Client): VoteWishes {
  let known = wishes.get(client);
  if (!known) wishes.set(client, (known = new VoteWishes(client)));
  return known;
}

/**
 * The user's votes that have no answer yet. Of quick clicks the last one counts. What could not be sent for an outage is
 * sent again, one after the other, until there is an answer, or the user or the database is another one.
 */
export class VoteWishes {
  readonly #client: Client;
  readonly #emitter = new Emitter<VoteWishListeners>();
  readonly #wishes = new Map<number, Wish>();
  readonly #backoff = new Backoff(RETRY);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending = false;
  /** Ends to listen to the session. */
  #unlisten: (() => void) | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  on<K extends keyof VoteWishListeners>(name: K, listener: VoteWishListeners[K]): () => void {
    return this.#emitter.on(name, listener);
  }

  /** What the user wants of each post, and whether that waits to be sent again. */
  *[Symbol.iterator](): Generator<VoteWish & { delayed: boolean }> {
    for (const [postId, { up, sending, delayed }] of this.#wishes)
      yield { post_id: postId, up, sending, delayed: delayed !== undefined };
  }

  /** @throws {TidingsError} the server refuses it; `aborted`: the user or the database is another one */
  cast(postId: number, up: boolean): Promise<void> {
    const known = this.#wishes.get(postId);
    this.#emitter.emit('wanted', { post_id: postId, up, sending: known?.sending });
    if (known) {
      known.up = up;
      if (known.delayed) {
        this.#emitter.emit('delayed', { post_id: postId, up, error: known.delayed });
        this.retry();
      }
      return known.done;
    }
    const wish = newWish(up);
    this.#wishes.set(postId, wish);
    this.#unlisten ??= this.#client.session.onChange(({ loggedIn, reason }) => {
      // The next votes are another user's.
      if (!loggedIn || reason === 'logged-in') this.forget();
    });
    void this.#first(postId, wish);
    return wish.done;
  }

  /** Sends now what waits: the server can be reached again. */
  retry(): void {
    this.#backoff.reset();
    void this.#sendDelayed();
  }

  /** The user or the database is another one: nothing is sent again, and answers that are still to come are no news. */
  forget(): void {
    const forgotten = [...this.#wishes];
    for (const [postId] of forgotten) this.#settle(postId, undefined);
    for (const [, { delayed, reject }] of forgotten) {
      if (delayed) reject(new TidingsError('aborted', 'The vote was given up.', { cause: delayed }));
    }
  }

  async #first(postId: number, wish: Wish): Promise<void> {
    const error = await this.#send(postId, wish);
    if (!error) {
      this.retry();
      return;
    }
    // A limit is not an outage: it would be met again and again.
    if (error.code === 'too_many_requests' || this.#delayed.length >= MAX_DELAYED) {
      this.#settle(postId, undefined);
      wish.reject(error);
      return;
    }
    wish.delayed = error;
    this.#emitter.emit('delayed', { post_id: postId, up: wish.up, error });
    this.#schedule(error);
  }

  async #sendDelayed(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      for (let [next] = this.#delayed; next; [next] = this.#delayed) {
        const error = await this.#send(...next);
        if (!error) continue;
        this.#schedule(error);
        return;
      }
      this.#backoff.reset();
    } finally {
      this.#sending = false;
    }
  }

  /** Until it is as the user wants it. @returns why it has to be sent again; undefined: it is settled */
  async #send(postId: number, wish: Wish): Promise<TidingsError | undefined> {
    const { votes } = this.#client;
    const isWanted = () => this.#wishes.get(postId) === wish;
    try {
      for (;;) {
        const { up } = wish;
        wish.sending = up;
        const answer = await (up ? votes.cast(postId) : votes.takeBack(postId));
        wish.sending = undefined;
        // It was counted in another database, or as somebody else.
        if (!isWanted()) break;
        if (up === wish.up) {
          this.#settle(postId, answer);
          break;
        }
        this.#emitter.emit('settled', postId, answer);
        this.#emitter.emit('wanted', { post_id: postId, up: wish.up, sending: undefined });
      }
      wish.resolve();
    } catch (error) {
      wish.sending = undefined;
      if (isWanted()) {
        if (error instanceof TidingsError && error.temporary) return error;
        this.#settle(postId, undefined);
      }
      wish.reject(error);
    }
    return undefined;
  }

  get #delayed(): [postId: number, wish: Wish][] {
    return [...this.#wishes].filter(([, { delayed }]) => delayed);
  }

  #settle(postId: number, answer: VoteView | undefined): void {
    this.#wishes.delete(postId);
    this.#emitter.emit('settled', postId, answer);
    if (this.#wishes.size > 0) return;
    clearTimeout(this.#timer);
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  #schedule({ retryAfter = 0 }: TidingsError): void {
    clearTimeout(this.#timer);
    const wait = this.#backoff.next(retryAfter * 1000);
    this.#timer = setTimeout(() => void this.#sendDelayed(), wait);
    // Node does not stay for it. In browsers it is a number.
    (this.#timer as { unref?: () => void }).unref?.();
  }
}

function newWish(up: boolean): Wish {
  const wish = { up } as Wish;
  wish.done = new Promise((resolve, reject) => Object.assign(wish, { resolve, reject }));
  return wish;
}
