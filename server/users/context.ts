import type { LOCK, Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';
import type { Identity } from '../identity.ts';
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
  };
  ownPassword: {
    /** Does something that needs the user's password. @throws {AppError} 403, 429 */
    prove: <T>(
      viewer: Identity,
      password: string | undefined,
      requester: Requester,
      work: (proof: string) => Promise<T>,
      field?: string,
    ) => Promise<T>;
    /** The user's row, locked, with the password that was proved. @throws {AppError} 401 */
    lock: (tx: Transaction, viewer: Identity, proof: string | undefined, lock: LOCK) => Promise<User>;
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
