import type { Sequelize, Transaction } from 'sequelize';
import type { Requester } from '../queues/fair-queue.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';

/**
 * Parts of the service that use the connections for requests, for many requests together or for its own sake. Each bounds by
 * itself how many it uses at once.
 */
export type DatabasePart =
  | 'edits'
  | 'pages'
  | 'posts'
  | 'profiles'
  | 'searches'
  | 'service'
  | 'sessions'
  | 'tallies'
  | 'votes'
  | 'webhooks';

/** The user of a connection: the sender of a request, or a part of the service. */
export type ConnectionUser = Requester | DatabasePart;

/** Maximum number of requests waiting for a connection. */
const MAX_WAITING = 3000;
/** How long a request, or a part of the service, waits for one at most. Milliseconds. */
const TIME_LIMIT = 3000;

/**
 * The fair queue for database connections. All requests together take turns with each part of the service, among them
 * the addresses, and at each address its users. So a sender of many requests waits for its own, and neither requests
 * nor a part of the service keeps the others from the database.
 * @param connections how many there are
 * @param refusal the error of a request for which too many others wait, or that has waited for too long
 */
export function connectionQueue(connections: number, refusal: () => Error): FairSemaphore<ConnectionUser> {
  return new FairSemaphore({
    atOnce: connections,
    pathOf: (user) => (typeof user === 'string' ? [user] : ['requests', ...addressAndUser(user)]),
    signalOf: (user) => (typeof user === 'string' ? undefined : user.signal),
    limits: {
      most: MAX_WAITING,
      sendersOf: (user) => (typeof user === 'string' ? [] : user.senders),
      timeLimit: TIME_LIMIT,
      refusal,
    },
  });
}

/** For an unauthenticated request, the address is used as the user as well. */
function addressAndUser({ senders: [address = '', user = address] }: Requester): [string, string] {
  return [address, user];
}

/** The connections for requests, as one of their users has them: each statement and each transaction waits for its turn. */
export interface DatabaseShare {
  /** As Sequelize's. With a transaction among the options it has the connection of that. */
  query: Sequelize['query'];
  /** One statement of a model, outside a transaction. */
  run<T>(statement: () => Promise<T>): Promise<T>;
  /**
   * Runs `work` in one transaction and commits it; on any error rolls back and rethrows. Repeats it, at most three times, when
   * PostgreSQL reports a deadlock or a serialization failure, so `work` must have no effect outside.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}
