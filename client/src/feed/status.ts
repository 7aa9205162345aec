import type { Problem, SessionCloseCode } from '../contract.ts';

/** Why a feed is not live. */
export type FeedTrouble =
  | SessionCloseCode
  /** A message was missing; the position is asked for again. */
  | 'gap'
  /** The server was not heard for some seconds. */
  | 'silence'
  /** The connection broke or could not be made. */
  | 'network'
  /** The server refused the handshake, which may help later: too many connections, say. `problem` says why. */
  | 'refused';

/** Why a feed will not come back by itself. */
export type FeedEnd =
  'closed' | 'logged-out' | 'revoked' | 'suspended' | 'expired' | 'unsupported' | 'refused';

/**
 * What a user interface shows. `connecting`: for the first time; `catching-up`: what was missed is on its way; `live`;
 * `offline`: the next attempt is at `retryAt` (milliseconds since 1970); `ended`: it will not come back by itself;
 * `suspended`: a moderator has suspended the account; `unsupported`: the service speaks a newer protocol than this client;
 * `refused`: the server does not accept the feed's options, and `problem` says which.
 */
export type FeedStatus =
  | { state: 'connecting' }
  | { state: 'catching-up'; reason?: FeedTrouble }
  | { state: 'live' }
  | { state: 'offline'; reason: FeedTrouble; retryAt: number; problem?: Problem }
  | { state: 'ended'; reason: FeedEnd; problem?: Problem };
