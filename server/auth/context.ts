import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';
import type { GuessLimit } from '../limits/guess-limit.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { OwnPassword } from './own-password.ts';
import type { Passwords } from './passwords.ts';
import type { RefreshTokens } from './refresh-tokens.ts';
import type { ResetRequests } from './reset-requests.ts';
import type { Revocations } from './revocations.ts';
import type { Totp } from './totp.ts';
import type { AccessTokens } from './tokens.ts';

/** What the requests for login sessions use. A command takes just what it needs of it. */
export interface AuthContext {
  config: Pick<Config, 'refreshTokenTtl' | 'serviceUrl'>;
  log: Logger;
  metrics: Pick<Metrics, 'loginsRefused'>;
  db: Database;
  tokens: AccessTokens;
  refreshTokens: RefreshTokens;
  passwords: Passwords;
  ownPassword: OwnPassword;
  guesses: GuessLimit;
  revocations: Revocations;
  totp: Totp;
  mails: Outbox;
  resetRequests: ResetRequests;
  liveSessions: LiveSessions;
  /** Counts a request. @throws {AppError} 429 */
  countRequest: RateLimits['count'];
}
