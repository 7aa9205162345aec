import type { Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';

/** What the requests for moderation use. */
export interface ModerationContext {
  db: Database;
  revocations: {
    /** Ends all sessions of a user with the transaction, and tells their connections why. */
    revoke: (tx: Transaction, userId: number, only: { code: 'suspended' }) => Promise<unknown>;
  };
}
