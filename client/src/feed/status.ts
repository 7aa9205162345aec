import type { SessionCloseCode } from '../contract.ts';

/** Why a feed is not live. */
export type FeedTrouble =
  | SessionCloseCode
  /** A message was missing; the position is asked for again. */
  | 'gap'
  /** The server was not heard for some seconds. */
  | 'silence'
  /** The connection broke or could not be made. */
  | 'network'
  /** The server refused the handshake: too many connections, say. */
  | 'refused';

/** Why a feed will not come back by itself. */
export type FeedEnd = 'closed' | 'logged-out' | 'revoked' | 'suspended' | 'expired' | 'unsupported';

/**
 * What a user interface shows. `connecting`: for the first time; `catching-up`: what was missed is on its way; `live`;
 * `offline`: the next attempt is at `retryAt` (milliseconds since 1970); `ended`: it will not come back by itself;
 * `suspended`: a moderator has suspended the account; `unsupported`: the service speaks a newer protocol than this client.
 */
export type FeedStatus =
  | { state: 'connecting' }
  | { state: 'catching-up'; reason?: FeedTrouble }
  | { state: 'live' }
  | { state: 'offline'; reason: FeedTrouble; retryAt: number }
  | { state: 'ended'; reason: FeedEnd };
