import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
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
  type Snapshots,
} from './index.ts';
import { queryOf } from './store/feed-query.ts';
import { keyOfFeed } from './store/live-source.ts';

/**
 * A store, loaded while the component is mounted, and its state.
 * @param make such as `() => createThreadStore(client, { postId })`
 * @param inputs as of `useMemo`: another store is made when one of them has changed
 */
export function useStore<State extends object, S extends LiveStore<State>>(
  make: () => S & LiveStore<State>,
  inputs: readonly unknown[],
): { store: S; state: State } {
  const store = useMemo(make, inputs);
  useEffect(() => {
    void store.load();
    return () => store.close();
  }, [store]);
  return { store, state: useSnapshot(store) };
}

/**
 * A list of posts that is kept up to date while the component is mounted. When the options say another list (`sort`,
 * `search`, `tag`, …), it is loaded over the same connection, and the old one is shown until it is there.
 */
export function useFeed(
  client: Client,
  options: FeedStoreOptions = {},
): { store: FeedStore; state: FeedState } {
  const newest = useRef(options);
  const held = () => newest.current.held?.() ?? false;
  const inputs = [client, options.limit, keyOfFeed(options.feed)];
  const store = useMemo(() => createFeedStore(client, { ...options, held }), inputs);
  useEffect(() => {
    newest.current = options;
  });
  const query = JSON.stringify(queryOf(options));
  useEffect(() => {
    void store.show(queryOf(newest.current));
  }, [store, query]);
  useEffect(() => () => store.close(), [store]);
  return { store, state: useSnapshot(store) };
}

/** The user's notifications and how many are unread, kept up to date while the component is mounted. */
export function useNotifications(
  client: Client,
  options: NotificationStoreOptions = {},
): { store: NotificationStore; state: NotificationsState } {
  const inputs = [client, options.limit, keyOfFeed(options.feed)];
  return useStore(() => createNotificationStore(client, options), inputs);
}

/** Whether somebody is logged in, in whichever tab that changes. Where a server renders, nobody is. */
export function useSession({ session }: Client): SessionState {
  return useSnapshot(session);
}

function useSnapshot<T>({ subscribe, getSnapshot, getServerSnapshot }: Snapshots<T>): T {
  return useSyncExternalStore(subscribe, getSnapshot, getServerSnapshot);
}
