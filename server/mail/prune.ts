import { type Prune, pruneBy } from '../database/pruner.ts';

/** Mails of yesterday that were sent or whose time is up, and links and requests for them whose time is up. */
export const mailPrunes: readonly Prune[] = [
  pruneBy(
    `delete from mails where id in (
       select id from mails
       where created_at < now() - interval '1 day' and (content is null or expires_at < now()) limit $1)`,
  ),
  pruneBy(
    `delete from mailed_tokens where hash in (select hash from mailed_tokens where expires_at < now() limit $1)`,
  ),
  pruneBy(
    `delete from reset_requests where id in (
       select id from reset_requests where created_at < now() - interval '1 hour' limit $1)`,
  ),
];
