import type { Request, Response } from 'express';
import type { Identity } from '../identity.ts';
import { type Delivery, draining } from '../delivery/delivery.ts';
import { type AppError, unauthorized, unavailable } from '../errors.ts';
import type { SessionCloseCode } from '../protocol.ts';
import { whenOver } from '../async/response-end.ts';
import { addressKey } from '../limits/address-key.ts';
import type { ConnectionLimits } from '../limits/connection-limits.ts';
import type { Follower } from '../log/follower.ts';
import type { Metrics } from '../ops/metrics.ts';

/** What a request that listens to the feed uses. */
export interface EntryContext {
  delivery: Delivery;
  feed: Pick<Follower, 'epoch' | 'seq' | 'current' | 'hasPassedSince'>;
  connectionLimits: Pick<ConnectionLimits, 'take'>;
  metrics: Metrics;
  liveSessions: {
    /** @throws {AppError} 401 if the session has ended */
    require: (
      identity: Identity,
      options: { fresh: boolean; senders: () => readonly string[] },
    ) => Promise<void>;
  };
}

/** `Retry-After`. Seconds. */
const UNREADABLE_PAUSE = 2;

/** Where a request comes from, as connections are counted. */
export function addressOf({ req }: Response): string {
  return addressKey((req as Request).ip ?? '');
}

/**
 * Takes a place for a request until its answer is over, however it ends.
 * @throws {AppError} 429 if the user or the address has its share of the places, 503 if there is none left
 */
export function takeConnectionSlot(
  { connectionLimits }: Pick<EntryContext, 'connectionLimits'>,
  user: Identity,
  res: Response,
): void {
  const slot = connectionLimits.take(addressOf(res), user.id);
  whenOver(res, () => slot.release());
}

/** The answer to a request that was ended before it had one. */
export function endOf(code: SessionCloseCode): AppError {
  switch (code) {
    case 'expired':
      return unauthorized('The access token has expired.');
    case 'revoked':
    case 'suspended':
      return unauthorized('The session of this access token has ended.');
    case 'draining':
      return draining();
    default:
      return unavailable('The log cannot be read at the moment. Try again.', UNREADABLE_PAUSE);
  }
}
