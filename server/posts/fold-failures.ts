import type { Logger } from '../logger.ts';
import { NotFolded } from './folding.ts';

/** How often a failure is a warning at most; those between are for debugging. Milliseconds. */
const INTERVAL = 60_000;

/**
 * What logs that posts could not be folded: searches are refused until they are, so somebody should know which and why. Of
 * several at once it is not known which it was, nor of none, as while the database is away; the next try tells.
 */
export function foldFailures(log: Logger): (error: unknown) => void {
  let warnedAt = -Infinity;
  return (error) => {
    const message = 'posts could not be folded for searches, which wait for them; retrying';
    const now = performance.now();
    if (!(error instanceof NotFolded) || now - warnedAt < INTERVAL) {
      log.debug({ err: error }, message);
      return;
    }
    warnedAt = now;
    log.warn({ postId: error.postId, err: error }, message);
  };
}
