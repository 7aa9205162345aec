import {
  type Client,
  createFeedStore,
  createNotificationStore,
  type FeedState,
  type FeedStore,
  type FeedStoreOptions,
  type LiveStore,
  type NotificationsState,
  type NotificationStore,
  type NotificationStoreOptions,
  type SessionState,
} from './index.ts';

/** Svelte's contract of stores: `$posts` in a component, and what `svelte/store` takes. */
export interface Readable<T> {
  subscribe: (run: (value: T) => void) => () => void;
}

/** The state of a store as `$posts`, and in `posts.store` what can be done with it. */
export interface ReadableStore<State extends object, S extends LiveStore<State>> extends Readable<State> {
  readonly store: S;
}

/** A store, such as `createThreadStore(client, { postId })`, that is loaded while somebody is subscribed to its state. */
export function readableStore<State extends object, S extends LiveStore<State>>(
  store: S & LiveStore<State>,
): ReadableStore<State, S> {
  let subscribers = 0;
  let loaded = false;
  return {
    store,
    subscribe: (run) => {
      const stop = store.subscribe(() => run(store.getSnapshot()));
      run(store.getSnapshot());
      subscribers += 1;
      // Where a server renders a component, nobody is subscribed any more by then: nothing is loaded there.
      queueMicrotask(() => {
        if (loaded || subscribers === 0) return;
        loaded = true;
        void store.load();
      });
      let subscribed = true;
      return () => {
        if (!subscribed) return;
        subscribed = false;
        stop();
        subscribers -= 1;
        if (subscribers > 0 || !loaded) return;
        loaded = false;
        store.close();
      };
    },
  };
}

/** A list of posts that is kept up to date while somebody is subscribed. `store.show` loads another one. */
export function readableFeed(
  client: Client,
  options: FeedStoreOptions = {},
): ReadableStore<FeedState, FeedStore> {
  return readableStore(createFeedStore(client, options));
}

/** The user's notifications and how many are unread, kept up to date while somebody is subscribed. */
export function readableNotifications(
  client: Client,
  options: NotificationStoreOptions = {},
): ReadableStore<NotificationsState, NotificationStore> {
  return readableStore(createNotificationStore(client, options));
}

/** Whether somebody is logged in, in whichever tab that changes. */
export function readableSession({ session }: Client): Readable<SessionState> {
  return {
    subscribe: (run) => {
      const stop = session.subscribe(() => run(session.getSnapshot()));
      run(session.getSnapshot());
      return stop;
    },
  };
}
