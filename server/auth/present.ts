import type { Identity, Scope } from '../identity.ts';

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

/** Whether a session `s` in SQL has neither been ended nor expired. */
export const isLive = 's.revoked_at is null and s.expires_at > now()';

/** The columns of a login session that are shown, and what tells it from an API key. */
export const isLogin = 'not exists (select from api_keys k where k.session_id = sessions.id)';
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

/** Who a user is at the OpenID provider, as the user sees it. */
export interface LinkedIdentity {
  id: number;
  /** The address that names the provider. */
  issuer: string;
  /** The address that the provider told at the last login; null if it told none. */
  email: string | null;
  /** When it was linked. RFC 3339, UTC. */
  created_at: string;
  /** The last login with it; null if there was none. RFC 3339, UTC. */
  last_login_at: string | null;
}

/** The columns of an identity that are shown. */
export const identityColumns = 'id, issuer, email, created_at, last_login_at';

/** A row with these columns. */
export interface IdentityRow {
  id: number;
  issuer: string;
  email: string | null;
  created_at: Date;
  last_login_at: Date | null;
}

export function presentIdentity({
  id,
  issuer,
  email,
  created_at,
  last_login_at,
}: IdentityRow): LinkedIdentity {
  return {
    id,
    issuer,
    email,
    created_at: created_at.toISOString(),
    last_login_at: last_login_at?.toISOString() ?? null,
  };
}

/** A login that has begun. */
export interface BegunLogin {
  /** Where the browser goes. */
  authorization_url: string;
  /** Names the login. It comes back in the answer of the provider. */
  state: string;
  /** Stays in the browser that began: only with it the login can be finished. */
  secret: string;
  /** Seconds until the login can no longer be finished. */
  expires_in: number;
}

/** What a browser comes back with. */
export interface Returned {
  /** The query with which the provider sent it back. */
  response: string;
  secret: string;
}

/** What a login may need beside the answer of the provider; it is asked for one after the other. */
export interface Supplement {
  /** Of an account whose logins ask for a code. */
  otp?: string;
  /** Of an account that has the same address, where it is not certain that it is the same person's. */
  password?: string;
  /** Of a new account. */
  username?: string;
  /** Of a new account, where an invitation is needed. */
  invitation?: string;
}

/** One of a user's API keys, as the user sees it. */
export interface ApiKey {
  id: string;
  name: string;
  scopes: Scope[];
  /** RFC 3339, UTC. */
  created_at: string;
  expires_at: string;
  /** When it was used last, in steps of five minutes; null if it never was. */
  last_used_at: string | null;
}

/** The columns of an API key that are shown, of `keyTables`. */
export const keyColumns = 's.id, k.name, k.scopes, s.created_at, s.expires_at, s.last_seen_at';
export const keyTables = 'api_keys k join sessions s on s.id = k.session_id';

/** A row with these columns. */
export interface KeyRow {
  id: string;
  name: string;
  scopes: Scope[];
  created_at: Date;
  expires_at: Date;
  last_seen_at: Date | null;
}

export function presentKey({ id, name, scopes, created_at, expires_at, last_seen_at }: KeyRow): ApiKey {
  return {
    id,
    name,
    scopes,
    created_at: created_at.toISOString(),
    expires_at: expires_at.toISOString(),
    last_used_at: last_seen_at?.toISOString() ?? null,
  };
}
