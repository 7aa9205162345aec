import { type Prune, pruneBy } from '../database/pruner.ts';

/**
 * Mails of yesterday that were sent or whose time is up, and links and requests for them whose time is up. A change of an
 * address that can no longer be undone may not be proved either: it ends.
 */
export const mailPrunes: readonly Prune[] = [
  pruneBy(
    'mails',
    `delete from mails where id in (
       select id from mails
       where created_at < now() - interval '1 day' and (content is null or expires_at < now()) limit $1)`,
  ),
  pruneBy(
    'mailed tokens',
    `delete from mailed_tokens where hash in (select hash from mailed_tokens where expires_at < now() limit $1)`,
  ),
  pruneBy(
    'pending email addresses',
    `update users set pending_email = null where id in (
       select u.id from users u join email_undos e
         on e.user_id = u.id and e.email = u.email
       where u.pending_email is not null and e.expires_at < now() limit $1)`,
  ),
  pruneBy(
    'undo links',
    `delete from email_undos where hash in (select hash from email_undos where expires_at < now() limit $1)`,
  ),
  pruneBy(
    'password reset requests',
    `delete from reset_requests where id in (
       select id from reset_requests where created_at < now() - interval '1 hour' limit $1)`,
  ),
];
