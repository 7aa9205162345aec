import type { Caller } from './caller.ts';
import type { NotificationState, NotificationView } from './contract.ts';
import { type PageOptions, type PagePlace, placeOf } from './page-place.ts';

export interface NotificationPage extends PagePlace, NotificationState {
  /** The newest first. */
  notifications: NotificationView[];
}

export interface NotificationListOptions extends PageOptions {
  /** Only those that are unread. */
  unread?: boolean;
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
    const { body, headers } = await this.#caller.get<
      NotificationState & { notifications: NotificationView[] }
    >('/notifications', { unread: unread === true ? 'true' : undefined, limit, cursor }, signal);
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
