import type { FeedReset, LiveEvent } from '../contract.ts';
import { TidingsError } from '../tidings-error.ts';

/** Events that wait for a reader at most. */
const MAX_WAITING = 10_000;

/** The events of a feed as an asynchronous iterator, for a consumer with its own pace. */
export class FeedReader implements AsyncIterableIterator<LiveEvent | FeedReset> {
  #waiting: (LiveEvent | FeedReset)[] = [];
  #failure: TidingsError | undefined;
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #onReturn: () => void;

  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(item: LiveEvent | FeedReset): void {
    if (this.#ended) return;
    this.#waiting.push(item);
    if (this.#waiting.length > MAX_WAITING) {
      // To drop some in silence would be a hole; to keep them all, memory without a bound.
      this.#waiting = [];
      this.fail(new TidingsError('overflow', `${MAX_WAITING} events are waiting for this iterator.`));
      this.#onReturn();
    }
    this.#wake?.();
  }

  /** No more will come, and anyone who reads on learns why after what waits. */
  fail(error: TidingsError): void {
    this.#failure = error;
    this.end();
  }

  /** No more will come. What waits is still handed out. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<LiveEvent | FeedReset, undefined>> {
    for (;;) {
      const value = this.#waiting.shift();
      if (value) return { done: false, value };
      if (this.#failure) throw this.#failure;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  return(): Promise<IteratorResult<LiveEvent | FeedReset, undefined>> {
    this.#waiting = [];
    this.end();
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
