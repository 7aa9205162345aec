import { delay } from './delay.ts';
import type { SessionStorage, StoredSession } from './session-storage.ts';

/** What of the Web Locks API is used here; browsers offer it to secure origins only. */
export interface Locks {
  request<T>(name: string, run: () => Promise<T>): Promise<T>;
  query(): Promise<{ held?: { name?: string }[] }>;
}

/** For how long a write is told of: longer than it can take to reach the other tabs. Milliseconds. */
const TOLD = 20_000;
/** How long a write that was told of is waited for. Milliseconds. */
const PATIENCE = 5000;
const POLL = 10;

/**
 * Turns of the tabs that share a session, without the one gap that localStorage leaves. A lock lets one tab renew at a time,
 * but what it has written reaches the other tabs a moment later than the lock does: the next one then reads the token that
 * is spent, spends it again, and the service ends the session as stolen. (Seen with five tabs on a busy machine within
 * seconds; a laptop that wakes up has all its tabs renew at once.) Locks, unlike the storage, are seen in one order by all
 * tabs. So who writes holds a lock for a while whose name says what was written, and who has the turn waits until it reads
 * just that.
 * @param key the lock's name; the same in all tabs that share the storage
 */
export function inTurns(
  storage: Pick<SessionStorage, 'read' | 'write'>,
  locks: Locks,
  key: string,
): Pick<SessionStorage, 'write' | 'exclusively'> {
  let told = Promise.resolve();
  return {
    write: (session) => {
      storage.write(session);
      told = tellOfWrite(locks, `${writtenPrefix(key)}${Date.now()} ${markOf(session)}`);
    },
    exclusively: (run) =>
      locks.request(key, async () => {
        await newestWrite(storage, locks, writtenPrefix(key));
        try {
          return await run();
        } finally {
          await told;
        }
      }),
  };
}

/** What the locks that tell of a write are called: this, when it was, and what was written. */
function writtenPrefix(key: string): string {
  return `${key}:written `;
}

/** Resolves when every tab can know of it. */
function tellOfWrite(locks: Locks, name: string): Promise<void> {
  return new Promise((resolve) => {
    locks
      .request(name, () => {
        resolve();
        return whileTold();
      })
      // A page that is being left gets no lock, and needs none.
      .catch(() => resolve());
  });
}

function whileTold(): Promise<void> {
  return new Promise((resolve) => {
    const timer: unknown = setTimeout(resolve, TOLD);
    // Where there is no page but a process, it need not stay for this.
    (timer as { unref?: () => void }).unref?.();
  });
}

/** Until the newest write that is told of can be read here. */
async function newestWrite(
  storage: Pick<SessionStorage, 'read'>,
  locks: Locks,
  prefix: string,
): Promise<void> {
  const { held = [] } = await locks.query();
  let newest = { at: 0, mark: '' };
  for (const { name } of held) {
    if (!name?.startsWith(prefix)) continue;
    const [at, mark = ''] = name.slice(prefix.length).split(' ');
    if (Number(at) >= newest.at) newest = { at: Number(at), mark };
  }
  const deadline = Date.now() + PATIENCE;
  while (newest.mark !== '' && markOf(storage.read()) !== newest.mark && Date.now() < deadline) {
    await delay(POLL);
  }
}

/** Enough of a session to tell it from the one before. */
function markOf(session: StoredSession | undefined): string {
  return session?.refreshToken.slice(-16) ?? 'none';
}
