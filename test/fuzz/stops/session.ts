import type { TestUser } from '../../support/world.ts';

/** A login session, and when it was ended. Times are milliseconds since 1970. */
export interface Session {
  user: TestUser;
  /** When the request that ends it was sent, and when that was answered. */
  endingAt: number | undefined;
  endedAt: number | undefined;
}

/** An access token of a session. */
export interface Pass {
  session: Session;
  token: string;
  expiresAt: number;
}

/** The end of what a pass admits to: it may be noticed from the first time on, and has to be from the second. */
export interface End {
  from: number;
  by: number;
}

const NEVER: End = { from: Infinity, by: Infinity };

export function endOf({ session, expiresAt }: Pass): End & { revoked: End; expired: End } {
  const { endingAt, endedAt = Infinity } = session;
  const revoked = endingAt === undefined ? NEVER : { from: endingAt, by: endedAt };
  const expired = { from: expiresAt, by: expiresAt };
  return {
    revoked,
    expired,
    from: Math.min(revoked.from, expired.from),
    by: Math.min(revoked.by, expired.by),
  };
}
