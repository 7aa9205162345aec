import { type Prune, pruneBy } from '../database/pruner.ts';

/** What was noted so that nobody is notified too often. */
export const notificationPrunes: readonly Prune[] = [
  pruneBy(
    `delete from vote_notices where post_id in (
       select post_id from vote_notices where not pending and told_at < now() - interval '1 minute' limit $1)`,
  ),
  pruneBy(
    `delete from follow_notices where (user_id, actor_id) in (
       select user_id, actor_id from follow_notices where told_at < now() - interval '1 day' limit $1)`,
  ),
];
