import type { WorkerSlot } from '../cluster/sticky-sessions.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';
import { GuessLimit } from '../limits/guess-limit.ts';
import { ConnectionLimits } from '../limits/connection-limits.ts';
import { PrimaryStore } from '../limits/primary-store.ts';
import { type ReachedLimit, RateLimits } from '../limits/rate-limits.ts';
import { SharedCounts } from '../limits/shared-counts.ts';
import { VoteLimit } from '../limits/vote-limit.ts';
import type { Logger } from '../logger.ts';
import type { OutboxOptions } from '../mail/outbox.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { RedisParts } from '../redis.ts';
import { emailKey } from '../text/email.ts';
import { NewAccounts } from '../votes/new-accounts.ts';

export interface LimitParts {
  connectionLimits: ConnectionLimits;
  guesses: GuessLimit;
  /** Undefined: votes are not limited by address. */
  voteLimit: VoteLimit | undefined;
  countRequest: RateLimits['count'];
  countRefresh: RateLimits['countRefresh'];
  countMail: RateLimits['countMail'];
  /** Counts a mail to an address that is not proved, without a request. */
  mayMail: OutboxOptions['count'];
  countRefused: (limit: ReachedLimit | 'guess' | 'code' | 'passwords' | 'search' | 'votes') => void;
}

export interface LimitDependencies {
  db: Database;
  secrets: readonly string[];
  redis: RedisParts | undefined;
  slot: WorkerSlot | undefined;
  log: Logger;
  metrics: Metrics;
}

/** What bounds what one user or one address may have. Counted by all workers and nodes together, where there are several. */
export function createLimits(
  config: Readonly<Config>,
  { db, secrets, redis, slot, log, metrics }: LimitDependencies,
): LimitParts {
  const [secret = ''] = secrets;
  const countRefused: LimitParts['countRefused'] = (limit) => metrics.rateLimited.inc({ limit });
  const counts = new SharedCounts([
    ...(slot ? [new PrimaryStore()] : []),
    ...(redis?.limits ? [redis.limits] : []),
  ]);
  const limits = new RateLimits(counts, secret, countRefused);
  const newAccounts = new NewAccounts(db.share('service'));
  return {
    connectionLimits: new ConnectionLimits({
      total: config.maxConnections,
      addressShare: config.addressShare,
      limited: config.rateLimits,
      onRefused: (reason) => metrics.connectionsRefused.inc({ reason }),
      log,
    }),
    guesses: new GuessLimit(
      config.rateLimits ? config.loginFailures : undefined,
      counts,
      secrets,
      countRefused,
    ),
    voteLimit: config.rateLimits
      ? new VoteLimit({
          counts,
          votes: config.votesPerAddress,
          secret,
          isNew: (userId) => newAccounts.has(userId),
          onRefused: ({ postId }) => {
            countRefused('votes');
            log.info({ post_id: postId }, 'an address has reached the hourly limit of votes for a post');
          },
        })
      : undefined,
    countRequest: async (...request) => {
      if (config.rateLimits) await limits.count(...request);
    },
    countRefresh: async (...request) => {
      if (config.rateLimits) await limits.countRefresh(...request);
    },
    countMail: async (email, ...request) => {
      if (config.rateLimits) await limits.countMail(emailKey(email), ...request);
    },
    mayMail: async (kind, email) =>
      !config.rateLimits || limits.mayMail(kind === 'email_verification' ? undefined : kind, emailKey(email)),
    countRefused,
  };
}
