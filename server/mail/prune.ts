import { type Prune, pruneBy } from '../database/pruner.ts';

/** Mails that were sent, and those whose time is up. */
export const mailPrunes: readonly Prune[] = [
  pruneBy(
    `delete from mails where id in (
       select id from mails where expires_at < now() or (content is null and created_at < now() - interval '1 day')
       limit $1)`,
  ),
];
