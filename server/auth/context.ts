import type { Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import type { Config } from '../config.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import type { Database } from '../database/connection.ts';
import type { GuessLimit } from '../limits/guess-limit.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Identify } from './identify.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { Oidc } from './oidc-provider.ts';
import type { OwnPassword } from './own-password.ts';
import type { NewAccount } from './owner.ts';
import type { Passwords } from './passwords.ts';
import type { RefreshTokens } from './refresh-tokens.ts';
import type { ResetRequests } from './reset-requests.ts';
import type { Revocations } from './revocations.ts';
import type { Totp } from './totp.ts';
import type { AccessTokens } from './tokens.ts';

/** What the requests for login sessions use. A command takes just what it needs of it. */
export interface AuthContext {
  config: Pick<Config, 'oidc' | 'refreshTokenTtl' | 'serviceUrl' | 'signUp'>;
  log: Logger;
  metrics: Pick<Metrics, 'loginsRefused' | 'oidcLogins'>;
  db: Database;
  /** Whose token or API key it is. */
  identify: Identify;
  tokens: AccessTokens;
  refreshTokens: RefreshTokens;
  passwords: Passwords;
  ownPassword: OwnPassword;
  guesses: GuessLimit;
  revocations: Revocations;
  totp: Totp;
  /** The OpenID provider with which users can log in; undefined: none. */
  oidc: Oidc | undefined;
  /** How an account is made. */
  accounts: {
    /** Makes sure that somebody may get an account. @throws {AppError} 403 */
    admit: (db: DatabaseShare, admission: Config['signUp'], invitation: string | undefined) => Promise<void>;
    /** @throws {AppError} 403 for an invitation that is used up, 409 for a taken name or address */
    create: (tx: Transaction, account: NewAccount) => Promise<Pick<User, 'id'>>;
  };
  mails: Outbox;
  resetRequests: ResetRequests;
  liveSessions: LiveSessions;
  /** Counts a request. @throws {AppError} 429 */
  countRequest: RateLimits['count'];
  countRefresh: RateLimits['countRefresh'];
}
