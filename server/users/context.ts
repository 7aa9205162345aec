import type { Transaction } from 'sequelize';
import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';
import type { GuessLimit } from '../limits/guess-limit.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Tally } from '../protocol.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { AccountTasks } from './account-tasks.ts';
import type { ProfileReader } from './profile-reader.ts';

/** What the requests for accounts use. A command takes just what it needs of it. */
export interface UserContext {
  config: Pick<Config, 'signUp' | 'verifyEmail'>;
  db: Database;
  passwords: {
    /** @throws {AppError} 429 if too many wait for theirs */
    hash: (password: string, requester: Requester) => Promise<string>;
    matches: (password: string, hash: string | undefined, requester: Requester) => Promise<boolean>;
  };
  guesses: GuessLimit;
  revocations: {
    /** Ends all sessions of a user, but perhaps one, with the transaction. */
    revoke: (tx: Transaction, userId: number, only?: { exceptSessionId?: string }) => Promise<unknown>;
  };
  mails: Outbox;
  accountTasks: AccountTasks;
  profiles: ProfileReader;
  /** Tells the whole cluster of tallies that have changed and are committed. */
  reportTallies: (tallies: Tally[]) => void;
  /** Counts a request. @throws {AppError} 429 */
  countRequest: RateLimits['count'];
  /** Counts a mail to an address that is not proved. @throws {AppError} 429 */
  countMail: RateLimits['countMail'];
}
