import { type Prune, pruneBy } from '../database/pruner.ts';

/** Invitations that have expired, and usernames that need not be kept any more. */
export const accountPrunes: readonly Prune[] = [
  pruneBy(
    'invitations',
    `delete from invitations where id in (select id from invitations where expires_at < now() - interval '1 day' limit $1)`,
  ),
  pruneBy(
    'kept usernames',
    `delete from kept_usernames where name_hash in (select name_hash from kept_usernames where kept_until <= now() limit $1)`,
  ),
];
