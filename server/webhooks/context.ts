import type { Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import type { Database } from '../database/connection.ts';
import type { Identity } from '../identity.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Seal } from '../mail/seal.ts';
import type { Follower } from '../log/follower.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { WebhookSender } from './sender.ts';

/** What the requests for webhooks use. */
export interface WebhookContext {
  countRequest: RateLimits['count'];
  mails: Outbox;
  ownPassword: {
    /** Does something in one transaction with the user's row, locked, that needs the password. @throws {AppError} 401, 403, 429 */
    change: <T>(
      viewer: Identity,
      password: string | undefined,
      requester: Requester,
      work: (tx: Transaction, user: User) => Promise<T>,
    ) => Promise<T>;
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
