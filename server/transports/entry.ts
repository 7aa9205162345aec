import type { Identity } from '../auth/identity.ts';
import type { Context } from '../context.ts';
import { draining } from '../delivery/delivery.ts';
import { AppError, unauthorized } from '../errors.ts';
import type { SessionCloseCode } from '../events.ts';

/** Streams and waiting requests of one user on this node, beside the sockets. */
const MAX_PER_USER = 20;
/** What a client is told to wait for. Seconds. */
const CROWDED_PAUSE = 30;
const UNREADABLE_PAUSE = 2;

/** @throws {AppError} 429 if the user has as many connections as one may have */
export function requireRoom(
  { connections, maxSocketsPerUser }: Pick<Context, 'connections' | 'maxSocketsPerUser'>,
  user: Identity,
): void {
  if (connections.countOf(user.id) < MAX_PER_USER + maxSocketsPerUser) return;
  throw new AppError('too_many_requests', 'This user has too many open connections.', {
    headers: { 'Retry-After': String(CROWDED_PAUSE) },
  });
}

/** The answer to a request that was ended before it had one. */
export function endOf(code: SessionCloseCode): AppError {
  switch (code) {
    case 'expired':
      return unauthorized('The access token has expired.');
    case 'revoked':
      return unauthorized('The session of this access token has ended.');
    case 'draining':
      return draining();
    default:
      return new AppError('unavailable', 'The log cannot be read at the moment. Try again.', {
        headers: { 'Retry-After': String(UNREADABLE_PAUSE) },
      });
  }
}
