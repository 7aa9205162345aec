import type { Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import type { Metrics } from '../ops/metrics.ts';

/** What the requests for moderation use. */
export interface ModerationContext {
  db: Database;
  metrics: Pick<Metrics, 'moderationActions'>;
  revocations: {
    /** Ends all sessions of a user with the transaction, and tells their connections why. */
    revoke: (tx: Transaction, userId: number, only: { code: 'suspended' }) => Promise<unknown>;
  };
}
