import type { FeedReset, LiveEvent } from '../contract.ts';
import { TidingsError } from '../tidings-error.ts';

/** Events that wait for a reader at most. */
const MAX_WAITING = 10_000;

type Result = IteratorResult<LiveEvent | FeedReset, undefined>;

/**
 * The events of a feed as an asynchronous iterator, for a consumer with its own pace. Calls of `next` are served in order,
 * as those of an asynchronous generator are.
 */
export class FeedReader implements AsyncIterableIterator<LiveEvent | FeedReset> {
  #waiting: (LiveEvent | FeedReset)[] = [];
  #failure: TidingsError | undefined;
  #ended = false;
  /** Calls of `next` that wait: then no event does. */
  readonly #asked: { resolve: (result: Result) => void; reject: (error: TidingsError) => void }[] = [];
  readonly #onReturn: () => void;

  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(item: LiveEvent | FeedReset): void {
    if (this.#ended) return;
    const asked = this.#asked.shift();
    if (asked) {
      asked.resolve({ done: false, value: item });
      return;
    }
    this.#waiting.push(item);
    if (this.#waiting.length > MAX_WAITING) {
      // To drop some in silence would be a hole; to keep them all, memory without a bound.
      this.#waiting = [];
      this.fail(new TidingsError('overflow', `${MAX_WAITING} events are waiting for this iterator.`));
      this.#onReturn();
    }
  }

  /** No more will come, and anyone who reads on learns why after what waits. */
  fail(error: TidingsError): void {
    this.#failure = error;
    this.end();
  }

  /** No more will come. What waits is still handed out. */
  end(): void {
    this.#ended = true;
    for (const { resolve, reject } of this.#asked.splice(0)) this.#finish(resolve, reject);
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      const value = this.#waiting.shift();
      if (value) resolve({ done: false, value });
      else if (this.#ended) this.#finish(resolve, reject);
      else this.#asked.push({ resolve, reject });
    });
  }

  return(): Promise<Result> {
    this.#waiting = [];
    this.end();
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(resolve: (result: Result) => void, reject: (error: TidingsError) => void): void {
    if (this.#failure) reject(this.#failure);
    else resolve({ done: true, value: undefined });
  }
}
