import type { Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import type { Metrics } from '../ops/metrics.ts';

/** What the requests for moderation use. */
export interface ModerationContext {
  db: Database;
  metrics: Pick<Metrics, 'moderationActions'>;
  /** After how many milliseconds the removal of all posts of a user begins no other transaction. */
  timeLimits: { removal: number };
  revocations: {
    /** Ends all sessions of a user with the transaction, and tells their connections why. */
    revoke: (tx: Transaction, userId: number, only: { code: 'suspended' }) => Promise<unknown>;
  };
}
