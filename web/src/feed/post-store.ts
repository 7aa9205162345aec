import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { FeedStore } from 'tidings-client';

/** What can be done with a post that is shown: by the store of the list that it is in. */
export type PostStore = Pick<FeedStore, 'track' | 'vote' | 'edit' | 'remove'>;

const PostStoreContext = createContext<PostStore | undefined>(undefined);
export const PostStoreProvider = PostStoreContext.Provider;

export function usePostStore(): PostStore {
  const store = useContext(PostStoreContext);
  if (!store) throw new Error('There is no list of posts here.');
  return store;
}
