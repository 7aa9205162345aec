import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';

/**
 * Forgets the second factor of a user's logins.
 * @param since one that was turned on before stays
 * @returns whether they asked for a code
 */
export async function forgetSecondFactor(tx: Transaction, userId: number, since?: Date): Promise<boolean> {
  const ended = await select<{ was_on: boolean }>(
    tx,
    `delete from totp_secrets where user_id = $1 and (confirmed_at is null or confirmed_at >= coalesce($2, confirmed_at))
     returning confirmed_at is not null as was_on`,
    userId,
    since ?? null,
  );
  await select(
    tx,
    'delete from recovery_codes where user_id = $1 and not exists (select from totp_secrets where user_id = $1)',
    userId,
  );
  return ended.some(({ was_on }) => was_on);
}

/** Deletes a user's webhooks. */
export async function forgetWebhooks(tx: Transaction, userId: number): Promise<void> {
  await select(tx, 'delete from webhooks where user_id = $1', userId);
}

/** Sends nothing to a user's webhooks until the user resumes them: anyone who knew the password can have made them. */
export async function pauseWebhooks(tx: Transaction, userId: number): Promise<void> {
  await select(
    tx,
    `update webhooks set paused = 'password', version = version + 1
     where user_id = $1 and paused is distinct from 'password'`,
    userId,
  );
}

/** Forgets who a user is at the OpenID provider, and links of that which have begun. */
export async function forgetIdentities(tx: Transaction, userId: number): Promise<void> {
  await select(tx, 'delete from oidc_logins where user_id = $1', userId);
  await select(tx, 'delete from identities where user_id = $1', userId);
}
