import type { Client } from '../client.ts';
import type { LiveEvent, NotificationState, NotificationView } from '../contract.ts';
import { notificationEvent } from '../event-names.ts';
import type { NotificationPage } from '../notifications.ts';
import { MAX_GROWTH, type PagesState } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';
import { PagedStore } from './paged-store.ts';

export interface NotificationStoreOptions {
  /** Notifications in a page. */
  limit?: number;
  /** As that of `createFeedStore`. Without one, a feed of its own, which has nothing but what concerns the user. */
  feed?: StoreFeed;
}

/** The state to render. A new object after each change; the list is the same object until it changes. */
export interface NotificationsState extends NotificationState, PagesState {
  /** The newest first. */
  notifications: readonly NotificationView[];
}

/** What events change of the state. */
type Told = Pick<NotificationsState, 'notifications' | 'unread' | 'rev'>;

const NOTHING: Told = { notifications: [], unread: 0, rev: 0 };

/** The user's notifications and how many are unread: pages of them and the events after them, on each device. */
export class NotificationStore extends PagedStore<NotificationsState, NotificationPage> {
  readonly #client: Client;
  #told = NOTHING;
  /** How many notifications have come since the list was read. */
  #growth = 0;

  constructor(client: Client, { limit, feed }: NotificationStoreOptions) {
    super({
      client,
      feed,
      topic: () => null,
      read: (cursor, signal) =>
        client.notifications.list({ ...(limit === undefined ? {} : { limit }), cursor, signal }),
      onPage: (page, which, continues) => this.#take(page, which, continues),
      onEvent: (event) => this.#fold(event),
      onReplaced: () => this.#set(NOTHING),
    });
    this.#client = client;
    this.made();
  }

  protected stateOf(pages: PagesState): NotificationsState {
    return { ...this.#told, ...pages };
  }

  /** Marks as read what the list shows now, on all devices. What comes meanwhile stays unread. @throws {TidingsError} */
  readonly read = async (): Promise<void> => {
    const shown = this.#told.notifications.filter(({ read }) => !read).map(({ rev }) => rev);
    if (shown.length === 0) return;
    const upTo = Math.max(...shown);
    const state = await this.#client.notifications.read(upTo);
    this.#set(withState({ ...this.#told, notifications: withRead(this.#told.notifications, upTo) }, state));
  };

  #take(page: NotificationPage, which: 'first' | 'next', continues: boolean): () => void {
    const before = which === 'first' ? [] : this.#told.notifications;
    if (which === 'first') this.#growth = 0;
    const known = new Set(before.map(({ id }) => id));
    const notifications = [...before, ...page.notifications.filter(({ id }) => !known.has(id))];
    this.#set(withState({ ...(continues ? this.#told : NOTHING), notifications }, page));
    return () => undefined;
  }

  #fold(event: LiveEvent): void {
    const { notifications } = this.#told;
    switch (event.name) {
      case notificationEvent.added: {
        const { redacted, ...notification } = event.data;
        const others = notifications.filter(({ id }) => id !== notification.id);
        const last = notifications.at(-1);
        // Below what has been loaded: it comes with its page.
        const isBelow = this.pages.hasMore && last && newestFirst(last, notification) < 0;
        if (redacted) break;
        this.#list(isBelow ? others : [...others, notification].sort(newestFirst));
        if (!isBelow && others.length === notifications.length) this.#growth += 1;
        if (this.#growth > MAX_GROWTH && !this.pages.loading) void this.pages.reload();
        break;
      }
      case notificationEvent.removed: {
        const { id } = event.data;
        this.#list(notifications.filter((one) => one.id !== id));
        break;
      }
      case notificationEvent.read:
        this.#list(withRead(notifications, event.data.up_to));
        break;
      case notificationEvent.state:
        this.#set(withState(this.#told, event.data));
    }
  }

  #list(notifications: readonly NotificationView[]): void {
    this.#set({ ...this.#told, notifications });
  }

  #set(told: Told): void {
    this.#told = told;
    this.pages.changed();
  }
}

/** The user's notifications to render, which stay true by themselves. Nothing is loaded before `load`. */
export function createNotificationStore(
  client: Client,
  options: NotificationStoreOptions = {},
): NotificationStore {
  return new NotificationStore(client, options);
}

const newestFirst = (one: NotificationView, other: NotificationView) =>
  other.rev - one.rev || other.id - one.id;

function withRead(list: readonly NotificationView[], upTo: number): readonly NotificationView[] {
  return list.map((one) => (one.read || one.rev > upTo ? one : { ...one, read: true }));
}

/** Of two counts, the one with the higher `rev` is newer. */
function withState(told: Told, { unread, rev }: NotificationState): Told {
  return rev > told.rev ? { ...told, unread, rev } : told;
}
