import type { Caller } from './caller.ts';
import type { NotificationState, NotificationView } from './contract.ts';
import { type PagePlace, placeOf } from './page-place.ts';

export interface NotificationPage extends PagePlace, NotificationState {
  /** The newest first. */
  notifications: NotificationView[];
}

export interface NotificationListOptions {
  /** Only those that are unread. */
  unread?: boolean;
  /** 1 to 100; the server's default is 20. */
  limit?: number;
  /** `next` of the page before. */
  cursor?: string | undefined;
  signal?: AbortSignal;
}

/** What others did that concerns the user. */
export class Notifications {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** A page with how many are unread, as of one moment. */
  readonly list = async ({
    unread,
    limit,
    cursor,
    signal,
  }: NotificationListOptions = {}): Promise<NotificationPage> => {
    const { body, headers } = await this.#caller.call<
      NotificationState & { notifications: NotificationView[] }
    >({
      method: 'GET',
      path: '/notifications',
      query: { unread: unread === true ? 'true' : undefined, limit, cursor },
      repeatable: true,
      signal,
    });
    return { ...body, ...placeOf(headers) };
  };

  /**
   * Marks what the user has seen, on all devices.
   * @param upTo the highest `rev` of it: what was added or renewed later stays unread
   */
  readonly read = (upTo: number): Promise<NotificationState> =>
    this.#caller.body({
      method: 'PUT',
      path: '/notifications/read',
      body: { up_to: upTo },
      repeatable: true,
    });
}
