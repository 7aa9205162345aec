import { OwnPassword } from '../auth/own-password.ts';
import { Passwords } from '../auth/passwords.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';
import type { ReadSource } from '../database/replicas.ts';
import { Exports } from '../export/exports.ts';
import type { Logger } from '../logger.ts';
import { OpenCases } from '../moderation/open-cases.ts';
import { VoteNotices } from '../notifications/vote-notices.ts';
import type { Metrics } from '../ops/metrics.ts';
import { createEditQueue } from '../posts/edit-queue.ts';
import { FeedReader } from '../posts/feed-reader.ts';
import { foldFailures } from '../posts/fold-failures.ts';
import { PostWriter } from '../posts/post-writer.ts';
import { UnfoldedPosts } from '../posts/unfolded-posts.ts';
import { UnparsedPosts } from '../posts/unparsed-posts.ts';
import type { Tally } from '../protocol.ts';
import type { Follower } from '../log/follower.ts';
import { ChangeNumbers } from '../relations/change-numbers.ts';
import type { TimeLimits } from '../time-limits.ts';
import { AccountTasks } from '../users/account-tasks.ts';
import { ProfileReader } from '../users/profile-reader.ts';
import { UnkeyedAccounts } from '../users/unkeyed-accounts.ts';
import { VoteWriter } from '../votes/vote-writer.ts';
import type { CounterParts } from './counters.ts';
import type { LimitParts } from './limits.ts';

export type CapabilityParts = Awaited<ReturnType<typeof createCapabilities>>;

export interface CapabilityDependencies {
  db: Database;
  reads: ReadSource;
  mayWrite: () => boolean;
  feed: Follower;
  timeLimits: Readonly<TimeLimits>;
  guesses: LimitParts['guesses'];
  countRefused: LimitParts['countRefused'];
  reportTallies: CounterParts['reportTallies'];
  log: Logger;
  metrics: Metrics;
}

/** What the capabilities keep running: what requests wait in, and what is done when nobody asks. */
export async function createCapabilities(
  config: Readonly<Config>,
  {
    db,
    reads,
    mayWrite,
    feed,
    timeLimits,
    guesses,
    countRefused,
    reportTallies,
    log,
    metrics,
  }: CapabilityDependencies,
) {
  const refusedBy = (queue: string) => () => metrics.queueRefused.inc({ queue });
  const unfoldedPosts = new UnfoldedPosts(db, foldFailures(log), mayWrite);
  const unparsedPosts = new UnparsedPosts(
    db,
    (error) => log.debug({ err: error }, 'tags and mentions of posts could not be found; retrying'),
    mayWrite,
  );
  const voteNotices = new VoteNotices({
    db,
    mayWrite,
    onFailed: (error) => log.debug({ err: error }, 'notifications of votes could not be written; retrying'),
    onSettled: (posts) => metrics.voteNoticesSettled.inc(posts),
  });
  const tellVotes = (changed: Tally[]) => {
    reportTallies(changed);
    voteNotices.wake();
  };
  const passwords = await Passwords.create(config.bcryptCost, () => {
    countRefused('passwords');
    metrics.queueRefused.inc({ queue: 'passwords' });
  });
  return {
    passwords,
    ownPassword: new OwnPassword({ db, guesses, passwords }),
    feedReader: new FeedReader(
      reads,
      (milliseconds, what) => (what === 'tags' ? unparsedPosts : unfoldedPosts).catchUp(milliseconds),
      config.rateLimits ? () => countRefused('search') : undefined,
      (queue) => metrics.queueRefused.inc({ queue }),
    ),
    postWriter: new PostWriter(db, refusedBy('posts')),
    /** The fair queue of changes and deletions of posts. */
    edits: createEditQueue(config.databasePool, refusedBy('edits')),
    voteWriter: new VoteWriter(db.share('votes'), tellVotes, refusedBy('votes')),
    voteNotices,
    openCases: new OpenCases(db, (error) =>
      log.debug({ err: error }, 'open cases could not be counted; retrying'),
    ),
    accountTasks: new AccountTasks({ db, mayWrite, log, reportTallies }),
    profiles: new ProfileReader(db.share('profiles'), refusedBy('profiles')),
    unkeyedAccounts: new UnkeyedAccounts(
      db,
      (error) =>
        log.debug({ err: error }, 'the normalized e-mail keys of accounts could not be written; retrying'),
      mayWrite,
    ),
    unfoldedPosts,
    unparsedPosts,
    changeNumbers: new ChangeNumbers({ feed, timeLimit: timeLimits.number, settled: timeLimits.block }),
    exports: new Exports({ unread: timeLimits.unread, whole: timeLimits.export }),
  };
}
