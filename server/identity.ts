/** What an API key may be allowed to do. */
export const scopes = ['read', 'write', 'moderate'] as const;
export type Scope = (typeof scopes)[number];

/** The authenticated user, from a valid access token and its live login session, or from an API key. */
export interface Identity {
  id: number;
  sessionId: string;
  /** When the access token or the key ends, in milliseconds since 1970. */
  expiresAt: number;
  /** What an API key may do. Without it: a login session, which may do everything. */
  scopes?: readonly Scope[];
}

/** Who looks at something that others have written. */
export type Viewer = Pick<Identity, 'id'>;

/** A viewer without an account. Ids begin at 1: no row is theirs. */
export const VISITOR: Viewer = { id: 0 };

/** Which sessions have ended: one, or all of a user's but perhaps one. */
export interface EndOfSessions {
  userId: number;
  /** Null: all of them. */
  sessionId: string | null;
  exceptSessionId: string | null;
  /** Why, if their user did not want it: `suspended`. */
  code?: string | null;
}

/** Whether a session is among those that have ended. */
export function ends(end: EndOfSessions, userId: number, sessionId: string): boolean {
  return (
    end.userId === userId &&
    (end.sessionId === null || end.sessionId === sessionId) &&
    end.exceptSessionId !== sessionId
  );
}
