/** The tokens of a session, as they are kept. */
export interface StoredSession {
  accessToken: string;
  refreshToken: string;
  /** When the access token ends by this machine's clock, in milliseconds since 1970. */
  expiresAt: number;
  /** How long it lives in all. Milliseconds. */
  lifetime: number;
}

/** Why there is no session any more. `ended`: the server no longer accepts it; `logged-out`: its user has wanted that. */
export type SessionEnd = 'logged-out' | 'ended';

/** Where a session is kept. Anyone who shares it (the tabs of a browser) shares the session. */
export interface SessionStorage {
  read(): StoredSession | undefined;
  /** @param end why there is none, for others who share the storage */
  write(session: StoredSession | undefined, end?: SessionEnd): void;
  /** Why there is none, as it was written. Without this function others are told of every end as `ended`. */
  readEnd?(): SessionEnd | undefined;
  /**
   * Runs one at a time among all who share the storage, so that tabs do not renew one after the other what one of them has
   * renewed. It need not be airtight: two that use one refresh token at once are given the same pair.
   */
  exclusively<T>(run: () => Promise<T>): Promise<T>;
  /** Notifies when another tab has written, or may have unnoticed. @returns removes the listener */
  onForeignWrite(listener: () => void): () => void;
}

/** Kept as long as the process or the page lives, and shared with nobody. */
export function memoryStorage(session?: StoredSession): SessionStorage {
  let kept = session;
  let gone: SessionEnd | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return {
    read: () => kept,
    write: (given, end) => {
      kept = given;
      gone = end;
    },
    readEnd: () => gone,
    exclusively: (run) => {
      const result = last.then(run);
      last = result.catch(() => undefined);
      return result;
    },
    onForeignWrite: () => () => undefined,
  };
}

/** What somebody kept may be of an older version or not of ours. */
export function readStored(text: string | null): StoredSession | undefined {
  const value: Partial<StoredSession> | undefined = parsed(text);
  const whole =
    typeof value?.accessToken === 'string' &&
    typeof value.refreshToken === 'string' &&
    typeof value.expiresAt === 'number' &&
    typeof value.lifetime === 'number';
  return whole ? (value as StoredSession) : undefined;
}

/** What is kept in place of a session that is over. It says nothing of whose it was. */
export function endToStore(end: SessionEnd): string {
  return JSON.stringify({ end });
}

/** Why a session is over, if that is what somebody kept. */
export function readStoredEnd(text: string | null): SessionEnd | undefined {
  const value: { end?: unknown } = parsed(text) ?? {};
  const { end } = value;
  return end === 'logged-out' || end === 'ended' ? end : undefined;
}

function parsed(text: string | null): object | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
