import type { LOCK, Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import type { Database } from '../database/connection.ts';
import type { Identity } from '../identity.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Seal } from '../mail/seal.ts';
import type { Follower } from '../log/follower.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { WebhookSender } from './sender.ts';

/** What the requests for webhooks use. */
export interface WebhookContext {
  mails: Outbox;
  ownPassword: {
    /** Does something that needs the user's password. @throws {AppError} 403, 429 */
    prove: <T>(
      viewer: Identity,
      password: string | undefined,
      requester: Requester,
      work: (proof: string) => Promise<T>,
    ) => Promise<T>;
    /** The user's row, locked. @throws {AppError} 401 if the session has just ended */
    lock: (tx: Transaction, viewer: Identity, proof: string | undefined, lock: LOCK) => Promise<User>;
  };
  db: Database;
  feed: Pick<Follower, 'epoch' | 'seq'>;
  webhooks: {
    /** Whether they may go to addresses that are not of the public internet, and without TLS. */
    allowPrivate: boolean;
    seal: Seal;
    sender: WebhookSender;
    /** A webhook of this node is committed or has been changed. */
    changed: (id: string) => void;
  };
}
