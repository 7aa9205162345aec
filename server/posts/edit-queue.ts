import { unavailable } from '../errors.ts';
import { FairQueue } from '../queues/fair-queue.ts';

/**
 * Of the connections for requests, the share that edits may have at once. Reads and the batches of new posts and votes need
 * the others.
 */
const SHARE = 0.4;
/** Edits that wait at most, of everyone and of one user or address. */
const MAX_WAITING = 1000;
const MAX_WAITING_OF_ONE = 600;

/**
 * The fair queue of changes and deletions of posts. Each is a transaction with its own connection, and those of one
 * post wait for each other in the database: without a fair queue the edits of one user would take every connection, and
 * all other requests would be refused.
 * @param pool connections for requests
 * @param onRefused called for each that is refused (503) since too many wait
 */
export function createEditQueue(pool: number, onRefused: () => void): FairQueue {
  return new FairQueue({
    atOnce: Math.max(1, Math.floor(pool * SHARE)),
    reserved: pool > 2 ? 1 : 0,
    most: MAX_WAITING,
    mostOf: MAX_WAITING_OF_ONE,
    refusal: () => {
      onRefused();
      return unavailable('Too many edits are waiting. Try again.', 1);
    },
  });
}
