import { delay, jittered } from './delay.ts';
import { endToStore, readStored, readStoredEnd, type SessionStorage } from './session-storage.ts';

/** The part of the Web Locks API that is used here; browsers offer it to secure origins only. */
interface Locks {
  request<T>(name: string, run: () => Promise<T>): Promise<T>;
}

/**
 * The browser APIs that are used here; named structurally, so that the package also compiles without the DOM's types.
 */
interface Browser {
  localStorage?: {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
    removeItem(key: string): void;
  };
  navigator?: { locks?: Locks };
  addEventListener?: (name: string, listener: Listener, capture: boolean) => void;
  removeEventListener?: (name: string, listener: Listener, capture: boolean) => void;
}

type Listener = (event: { key?: string | null }) => void;

/**
 * After these a page looks for itself: one that was frozen hears late of what others wrote, and one that was kept for "Back"
 * never. Some are of the document, and reach the window while they are captured.
 */
const WAKING = ['pageshow', 'resume', 'visibilitychange'];

/** For how long a lease is held at most: longer than a renewal may take. Milliseconds. */
const LEASE = 20_000;
/** After writing a lease, how long to wait to see whether another tab wrote its own at the same moment. Milliseconds. */
const SETTLE = 40;

/**
 * Keeps the session in the browser's localStorage, so that a reload keeps it and all tabs of the origin share it.
 * @param key one for each service that the origin talks to
 * @throws {Error} where there is no localStorage
 */
export function localStorageSession(key = 'tidings:session'): SessionStorage {
  const browser = globalThis as Browser;
  const { localStorage } = browser;
  if (!localStorage) throw new Error('There is no localStorage here.');
  const locks = browser.navigator?.locks;
  const addListener = browser.addEventListener?.bind(browser);
  const removeListener = browser.removeEventListener?.bind(browser);
  return {
    read: () => readStored(localStorage.getItem(key)),
    write: (session, end) => {
      if (session) localStorage.setItem(key, JSON.stringify(session));
      else if (end) localStorage.setItem(key, endToStore(end));
      else localStorage.removeItem(key);
    },
    readEnd: () => readStoredEnd(localStorage.getItem(key)),
    // What a tab has written may reach the next one a moment after the lock does. That one then says the token again that has
    // just been used, and is given the same successor.
    exclusively: <T>(run: () => Promise<T>) =>
      locks ? locks.request(key, run) : leased(localStorage, `${key}:lease`, run),
    onForeignWrite: (listener) => {
      // The event comes from other tabs alone; its key is null when everything was cleared.
      const heard: Listener = (event) => {
        if (event.key === key || event.key === null) listener();
      };
      const woken = () => listener();
      addListener?.('storage', heard, false);
      for (const name of WAKING) addListener?.(name, woken, true);
      return () => {
        removeListener?.('storage', heard, false);
        for (const name of WAKING) removeListener?.(name, woken, true);
      };
    },
  };
}

/**
 * Browsers offer locks to secure origins only, and somebody at home serves plain HTTP. A lease in the storage itself is
 * not airtight, but two tabs would have to write within the same few milliseconds and read each other's absence.
 */
async function leased<T>(
  storage: NonNullable<Browser['localStorage']>,
  key: string,
  run: () => Promise<T>,
): Promise<T> {
  const own = Math.random().toString(36).slice(2);
  const holder = (): string | undefined => {
    const [name, until] = (storage.getItem(key) ?? '').split(' ');
    return Number(until) > Date.now() ? name : undefined;
  };
  for (;;) {
    if (holder() === undefined) {
      storage.setItem(key, `${own} ${Date.now() + LEASE}`);
      await delay(SETTLE);
      if (holder() === own) break;
    }
    await delay(jittered(2 * SETTLE));
  }
  try {
    return await run();
  } finally {
    if (holder() === own) storage.removeItem(key);
  }
}
