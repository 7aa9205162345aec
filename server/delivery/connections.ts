import { type EndOfSessions, ends, type Identity } from '../identity.ts';

export type EndCode = 'revoked' | 'suspended' | 'expired' | 'draining';

/** Whether a connection ends because its session has: nothing may reach it any more. */
export function isEndOfSession(code: string): boolean {
  return code === 'revoked' || code === 'suspended' || code === 'expired';
}

/** A long-lived connection (a socket, a stream) that must not outlive its session. */
export interface Connection {
  /** Whose it is; replaced when its token is renewed. */
  identity: Identity;
  /** It is the service's own, for a user: no session of it can be looked up. */
  readonly withoutSession?: boolean;
  /** Ends the connection: nothing may be delivered on it after this has returned. */
  end: (code: EndCode, detail: string) => void;
  /** Its token ends soon. */
  expiring?: (expiresAt: number) => void;
  /** When to announce the expiry, in milliseconds since 1970; `Infinity` after it has been announced. */
  noticeAt?: number;
}

/**
 * How often token expiry is checked. One sweep for all: a timer per connection would cost memory, and one beyond 24.8
 * days fires at once.
 */
const SWEEP = 250;
/** How long a connection outlives its token: a renewal may be on its way. With the sweep, a second at most. Milliseconds. */
const GRACE = 750;
/** How long before its end a token is called expiring. Milliseconds. */
const NOTICE = 60_000;
/**
 * Not before this share of the remaining lifetime has passed: otherwise a short-lived token would be renewed
 * continuously.
 */
const NOTICE_SHARE = 0.5;

/** All long-lived connections of this node, by user, so that a token's end is a connection's end. */
export class Connections {
  readonly #byUser = new Map<number, Set<Connection>>();
  #size = 0;
  #timer: NodeJS.Timeout | undefined;

  get size(): number {
    return this.#size;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  countOf(userId: number): number {
    return this.#byUser.get(userId)?.size ?? 0;
  }

  /**
   * Must be called before the session is checked in the database: a revocation that commits after the check then finds
   * the connection here, and one that commits before is seen by the check.
   */
  add(connection: Connection): void {
    const { expiresAt } = connection.identity;
    const now = Date.now();
    connection.noticeAt = expiresAt - Math.min(NOTICE, (expiresAt - now) * NOTICE_SHARE);
    const ofUser = this.#byUser.get(connection.identity.id);
    if (ofUser) ofUser.add(connection);
    else this.#byUser.set(connection.identity.id, new Set([connection]));
    this.#size += 1;
  }

  remove(connection: Connection): void {
    const ofUser = this.#byUser.get(connection.identity.id);
    if (!ofUser?.delete(connection)) return;
    this.#size -= 1;
    if (ofUser.size === 0) this.#byUser.delete(connection.identity.id);
  }

  /**
   * Ends the connections of sessions that have ended. Idempotent: a revocation may arrive twice, over Redis and from
   * the database.
   */
  endSessions(end: EndOfSessions): void {
    for (const connection of [...(this.#byUser.get(end.userId) ?? [])]) {
      if (!ends(end, end.userId, connection.identity.sessionId)) continue;
      this.remove(connection);
      if (end.code === 'suspended') connection.end('suspended', 'The account is suspended.');
      else connection.end('revoked', 'The session has ended.');
    }
  }

  all(): Connection[] {
    return [...this.#byUser.values()].flatMap((ofUser) => [...ofUser]);
  }

  #sweep(): void {
    const now = Date.now();
    for (const ofUser of this.#byUser.values()) {
      for (const connection of ofUser) {
        const left = connection.identity.expiresAt - now;
        if (left <= -GRACE) {
          this.remove(connection);
          connection.end('expired', 'The access token has expired.');
        } else if (now >= (connection.noticeAt ?? 0)) {
          connection.noticeAt = Infinity;
          connection.expiring?.(connection.identity.expiresAt);
        }
      }
    }
  }
}
