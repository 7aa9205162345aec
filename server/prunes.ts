import { sessionPrunes } from './auth/prune.ts';
import type { Config } from './config.ts';
import type { Prune } from './database/pruner.ts';
import { pruneEvents } from './log/retention.ts';
import { mailPrunes } from './mail/prune.ts';
import { notificationPrunes } from './notifications/prune.ts';
import { idempotencyPrunes, removedPrune, threadPurge, wordPrune } from './posts/prune.ts';
import { accountPrunes } from './users/prune.ts';

/** What is kept for a time only: the log, and what each capability declares. */
export function prunes({ eventRetention }: Pick<Config, 'eventRetention'>): readonly Prune[] {
  return [
    pruneEvents(eventRetention),
    ...sessionPrunes,
    ...accountPrunes,
    ...idempotencyPrunes,
    ...notificationPrunes,
    ...mailPrunes,
    // Before the threads that end with them.
    removedPrune,
    threadPurge,
    wordPrune(),
  ];
}
