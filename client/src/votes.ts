import { bindMethods } from './bind-methods.ts';
import type { Caller } from './caller.ts';
import type { VoteView } from './contract.ts';

/** The user's own votes. Saying one twice is no error. */
export class Votes {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
    bindMethods(this);
  }

  /** Has a vote on a post. @throws {TidingsError} `not_found` */
  cast(postId: number, options: { signal?: AbortSignal } = {}): Promise<VoteView> {
    return this.#say('PUT', postId, options.signal);
  }

  /** Has none. @throws {TidingsError} `not_found` */
  takeBack(postId: number, options: { signal?: AbortSignal } = {}): Promise<VoteView> {
    return this.#say('DELETE', postId, options.signal);
  }

  #say(method: 'PUT' | 'DELETE', postId: number, signal: AbortSignal | undefined): Promise<VoteView> {
    return this.#caller.body({ method, path: `/posts/${postId}/vote`, repeatable: true, signal });
  }
}
