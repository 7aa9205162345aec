import { createClient, localStorageSession, memoryStorage } from 'tidings-client';
import { browserStorage } from './chrome/stored.ts';

/**
 * The service that this page belongs to. The session is in localStorage, which survives a reload and is shared by all tabs;
 * why there and not elsewhere is told in the README. Where the browser refuses storage it lasts as long as the page.
 */
export const service = createClient({
  storage: browserStorage() ? localStorageSession() : memoryStorage(),
});
