import type { Caller } from './caller.ts';
import type { LoginSession } from './contract.ts';
import { nextCursor, type PageOptions } from './page-place.ts';

export interface LoginSessionPage {
  /** The newest login first. */
  sessions: LoginSession[];
  /** The cursor of the next page; undefined on the last. */
  next: string | undefined;
}

export type LoginSessionListOptions = PageOptions;

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
    const { body, headers } = await this.#caller.get<LoginSession[]>('/sessions', { limit, cursor }, signal);
    return { sessions: body, next: nextCursor(headers) };
  };

  /** Ends one of them, on every device of it; this one too, if it is it. @throws {TidingsError} `not_found` */
  readonly end = async (id: string): Promise<void> => {
    await this.#caller.call({ method: 'DELETE', path: `/sessions/${id}`, repeatable: false });
  };
}
