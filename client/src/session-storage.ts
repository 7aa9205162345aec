/** The tokens of a session, as they are kept. */
export interface StoredSession {
  accessToken: string;
  refreshToken: string;
  /** When the access token ends by this machine's clock, in milliseconds since 1970. */
  expiresAt: number;
  /** How long it lives in all. Milliseconds. */
  lifetime: number;
}

/** Where a session is kept. Anyone who shares it (the tabs of a browser) shares the session. */
export interface SessionStorage {
  read(): StoredSession | undefined;
  write(session: StoredSession | undefined): void;
  /**
   * Runs one at a time among all who share the storage, so that tabs do not renew one after the other what one of them has
   * renewed. It need not be airtight: two that use one refresh token at once are given the same pair.
   */
  exclusively<T>(run: () => Promise<T>): Promise<T>;
  /** Notifies when another tab has written. @returns removes the listener */
  onForeignWrite(listener: () => void): () => void;
}

/** Kept as long as the process or the page lives, and shared with nobody. */
export function memoryStorage(session?: StoredSession): SessionStorage {
  let kept = session;
  let last: Promise<unknown> = Promise.resolve();
  return {
    read: () => kept,
    write: (given) => {
      kept = given;
    },
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
  if (text === null) return undefined;
  try {
    const value = JSON.parse(text) as Partial<StoredSession> | null;
    const whole =
      typeof value?.accessToken === 'string' &&
      typeof value.refreshToken === 'string' &&
      typeof value.expiresAt === 'number' &&
      typeof value.lifetime === 'number';
    return whole ? (value as StoredSession) : undefined;
  } catch {
    return undefined;
  }
}
