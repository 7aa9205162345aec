import type { Identity } from '../identity.ts';

/** One of a user's logins, as the user sees it. */
export interface LoginSession {
  id: string;
  /** RFC 3339, UTC. */
  created_at: string;
  /** When it was used last, in steps of five minutes. RFC 3339, UTC. */
  last_seen_at: string;
  /** What the client called itself at the login; null if it said nothing. */
  client: string | null;
  /** Whether the request that asks belongs to it. */
  current: boolean;
}

/** The columns of a session that are shown. */
export const sessionColumns = 'id, created_at, greatest(created_at, last_seen_at) as last_seen_at, client';

/** A row with these columns. */
export interface SessionRow {
  id: string;
  created_at: Date;
  last_seen_at: Date;
  client: string | null;
}

export function presentSession(
  { id, created_at, last_seen_at, client }: SessionRow,
  user: Identity,
): LoginSession {
  return {
    id,
    created_at: created_at.toISOString(),
    last_seen_at: last_seen_at.toISOString(),
    client,
    current: id === user.sessionId,
  };
}
