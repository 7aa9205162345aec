import {
  markRaw,
  type MaybeRefOrGetter,
  onMounted,
  onUnmounted,
  type ShallowRef,
  shallowRef,
  toValue,
  watch,
} from 'vue';
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

/**
 * A store, loaded while the component is mounted, and its state. Called in `setup`; a component that may show another
 * store gets a `key`.
 * @param make such as `() => createThreadStore(client, { postId: props.id })`
 */
export function useStore<State extends object, S extends LiveStore<State>>(
  make: () => S & LiveStore<State>,
): { store: S; state: Readonly<ShallowRef<State>> } {
  const store = markRaw(make());
  const state = useSnapshot<State>(store);
  onMounted(() => void store.load());
  onUnmounted(() => store.close());
  return { store, state };
}

/**
 * A list of posts that is kept up to date while the component is mounted. When the options say another list (`sort`,
 * `search`, `tag`, …), it is loaded over the same connection, and the old one is shown until it is there.
 * @param options those of the list may change: `() => ({ tag: props.tag })`
 */
export function useFeed(
  client: Client,
  options: MaybeRefOrGetter<FeedStoreOptions> = {},
): { store: FeedStore; state: Readonly<ShallowRef<FeedState>> } {
  const held = () => toValue(options).held?.() ?? false;
  const store = markRaw(createFeedStore(client, { ...toValue(options), held }));
  const state = useSnapshot(store);
  const query = () => queryOf(toValue(options));
  onMounted(() => {
    watch(
      () => JSON.stringify(query()),
      () => void store.show(query()),
      { immediate: true },
    );
  });
  onUnmounted(() => store.close());
  return { store, state };
}

/** The user's notifications and how many are unread, kept up to date while the component is mounted. */
export function useNotifications(
  client: Client,
  options: NotificationStoreOptions = {},
): { store: NotificationStore; state: Readonly<ShallowRef<NotificationsState>> } {
  return useStore(() => createNotificationStore(client, options));
}

/** Whether somebody is logged in, in whichever tab that changes. Where a server renders, nobody is. */
export function useSession({ session }: Client): Readonly<ShallowRef<SessionState>> {
  return useSnapshot(session);
}

/** What a server has rendered is rendered in the browser first, and what is known there after that. */
function useSnapshot<T>({
  subscribe,
  getSnapshot,
  getServerSnapshot,
}: Snapshots<T>): Readonly<ShallowRef<T>> {
  const snapshot = shallowRef(getServerSnapshot());
  let stop: (() => void) | undefined;
  onMounted(() => {
    const take = () => {
      snapshot.value = getSnapshot();
    };
    stop = subscribe(take);
    take();
  });
  onUnmounted(() => stop?.());
  return snapshot;
}
