import { type Prune, pruneBy } from '../database/pruner.ts';

/**
 * Logins with the provider that have begun, at most: of more, the oldest are dropped, which hardly anybody comes back to.
 * About 500 bytes each.
 */
const MAX_BEGUN = 20_000;

/** Sessions that have ended, with their tokens, revocations that every node has read, and logins with the provider that nobody finished. */
export const sessionPrunes: readonly Prune[] = [
  // Before their sessions, which may have thousands each: one statement would take them all along.
  pruneBy(
    'refresh tokens',
    `delete from refresh_tokens where hash = any(array(
       select t.hash from sessions s join refresh_tokens t on t.session_id = s.id
       where s.expires_at < now() - interval '1 day' limit $1))`,
  ),
  pruneBy(
    'sessions',
    `delete from sessions where id in (select id from sessions where expires_at < now() - interval '1 day' limit $1)`,
  ),
  // API keys that ended with all sessions of their users may have a year to go. They are found by what ended them, before
  // that is pruned.
  pruneBy(
    'API keys of ended sessions',
    `delete from sessions where id in (
       select distinct s.id from revocations r
       join sessions s on s.user_id = r.user_id
       join api_keys k on k.session_id = s.id
       where r.session_id is null and r.created_at < now() - interval '1 day' and s.revoked_at < now() - interval '1 day'
       limit $1)`,
  ),
  pruneBy(
    'OpenID logins',
    `delete from oidc_logins where state_hash in (select state_hash from oidc_logins where expires_at < now() limit $1)`,
  ),
  pruneBy(
    'OpenID logins beyond their limit',
    `delete from oidc_logins where state_hash in (
       select state_hash from oidc_logins order by expires_at desc offset ${MAX_BEGUN} limit $1)`,
  ),
  pruneBy(
    'revocations',
    `delete from revocations where id in (select id from revocations where created_at < now() - interval '2 days' limit $1)`,
  ),
];
