import type { SessionStorage, StoredSession } from 'tidings-client';

/** What the locks that tell of a write are called: this, when it was, and what was written. */
const WRITTEN = 'tidings:written ';
/** How long a write is told of: longer than it can take to reach the other tabs. Milliseconds. */
const TOLD = 20_000;
/** How long a write that was told of is waited for. Milliseconds. */
const PATIENCE = 5000;
const POLL = 10;

/**
 * A session that all tabs share, without the one gap that localStorage leaves. A lock lets one tab renew at a time, but what it
 * has written reaches the other tabs a moment later than the lock does: the next one then reads the token that is spent,
 * spends it again, and the service ends the session as stolen. (Seen with five tabs on a busy machine within seconds; a laptop
 * that wakes up has all its tabs renew at once.) Locks, unlike the storage, are seen in one order by all tabs. So who writes
 * holds a lock for a while whose name says what was written, and who has the turn waits until it reads just that.
 */
export function sharedByTabs(storage: SessionStorage): SessionStorage {
  // Over plain HTTP a browser has no locks, and this cannot be had.
  if (!isSecureContext) return storage;
  let told = Promise.resolve();
  return {
    ...storage,
    write: (session) => {
      storage.write(session);
      told = tellOfWrite(session);
    },
    exclusively: (run) =>
      storage.exclusively(async () => {
        await newestWriteIn(storage);
        try {
          return await run();
        } finally {
          await told;
        }
      }),
  };
}

/** Resolves when every tab can know of it. */
function tellOfWrite(session: StoredSession | undefined): Promise<void> {
  return new Promise((resolve) => {
    navigator.locks
      .request(`${WRITTEN}${Date.now()} ${markOf(session)}`, () => {
        resolve();
        return pause(TOLD);
      })
      // A page that is being left gets no lock, and needs none.
      .catch(() => resolve());
  });
}

async function newestWriteIn(storage: SessionStorage): Promise<void> {
  const { held = [] } = await navigator.locks.query();
  let newest = { at: 0, mark: '' };
  for (const { name } of held) {
    if (!name?.startsWith(WRITTEN)) continue;
    const [at, mark = ''] = name.slice(WRITTEN.length).split(' ');
    if (Number(at) >= newest.at) newest = { at: Number(at), mark };
  }
  const deadline = Date.now() + PATIENCE;
  while (newest.mark !== '' && markOf(storage.read()) !== newest.mark && Date.now() < deadline)
    await pause(POLL);
}

/** Enough of a session to tell it from the one before. */
function markOf(session: StoredSession | undefined): string {
  return session?.refreshToken.slice(-16) ?? 'none';
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
