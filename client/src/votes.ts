import type { Caller } from './caller.ts';
import type { VoteView } from './contract.ts';

/** The user's own votes. Saying one twice is no error. */
export class Votes {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Has a vote on a post. @throws {TidingsError} `not_found` */
  readonly cast = (postId: number, options: { signal?: AbortSignal } = {}): Promise<VoteView> =>
    this.#say('PUT', postId, options.signal);

  /** Has none. @throws {TidingsError} `not_found` */
  readonly takeBack = (postId: number, options: { signal?: AbortSignal } = {}): Promise<VoteView> =>
    this.#say('DELETE', postId, options.signal);

  #say(method: 'PUT' | 'DELETE', postId: number, signal: AbortSignal | undefined): Promise<VoteView> {
    return this.#caller.body({ method, path: `/posts/${postId}/vote`, repeatable: true, signal });
  }
}
