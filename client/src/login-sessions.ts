import type { Caller } from './caller.ts';
import type { LoginSession } from './contract.ts';
import { nextCursor } from './page-place.ts';

export interface LoginSessionPage {
  /** The newest login first. */
  sessions: LoginSession[];
  /** The cursor of the next page; undefined on the last. */
  next: string | undefined;
}

export interface LoginSessionListOptions {
  /** 1 to 100; the server's default is 10. */
  limit?: number;
  /** `next` of the page before. */
  cursor?: string | undefined;
  signal?: AbortSignal;
}

/** The logins of the user that have not ended, on all devices. */
export class LoginSessions {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  readonly list = async ({
    limit,
    cursor,
    signal,
  }: LoginSessionListOptions = {}): Promise<LoginSessionPage> => {
    const { body, headers } = await this.#caller.call<LoginSession[]>({
      method: 'GET',
      path: '/sessions',
      query: { limit, cursor },
      repeatable: true,
      signal,
    });
    return { sessions: body, next: nextCursor(headers) };
  };

  /** Ends one of them, on every device of it; this one too, if it is it. @throws {TidingsError} `not_found` */
  readonly end = async (id: string): Promise<void> => {
    await this.#caller.call({ method: 'DELETE', path: `/sessions/${id}`, repeatable: false });
  };
}
