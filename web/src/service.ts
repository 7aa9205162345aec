import { createClient, localStorageSession } from 'tidings-client';

/**
 * The service that this page belongs to. The session is in localStorage, which survives a reload and is shared by all tabs;
 * why there and not elsewhere is told in the README.
 */
export const service = createClient({ storage: localStorageSession() });
