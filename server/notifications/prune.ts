import { type Prune, pruneBy } from '../database/pruner.ts';

/**
 * What was noted so that nobody is notified too often. Rows that somebody has locked are left for the next time: votes lock
 * some in an order of their own, and nobody waits for them here.
 */
export const notificationPrunes: readonly Prune[] = [
  pruneBy(
    'vote notices',
    `delete from vote_notices where ctid = any(array(
       select ctid from vote_notices where not pending and told_at < now() - interval '1 minute'
       limit $1 for update skip locked))`,
  ),
  pruneBy(
    'follow notices',
    `delete from follow_notices where ctid = any(array(
       select ctid from follow_notices where told_at < now() - interval '1 day'
       limit $1 for update skip locked))`,
  ),
];
