import { createProfileStore, type ProfileState, type ProfileStore } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { useStore } from '../chrome/use-store.ts';
import { service } from '../service.ts';

/** How a user is found: by id where it is known, for they may have another name by now. */
export interface Sought {
  username: string;
  id?: number | undefined;
}

/** A user, live, while a component is there that is keyed by them. */
export function useProfile({ username, id }: Sought): { store: ProfileStore; state: ProfileState } {
  const { feed } = useVisit();
  return useStore(
    () => createProfileStore(service, id === undefined ? { username, feed } : { id, feed }),
    [username, id, feed],
  );
}
