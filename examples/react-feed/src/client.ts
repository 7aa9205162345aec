import { createClient, localStorageSession } from 'tidings-client';

/** The one client of the app. */
export const client = createClient({
  url: import.meta.env.VITE_TIDINGS_URL ?? 'http://127.0.0.1:3000',
  storage: localStorageSession(),
});
