import { QueryTypes, type Transaction } from 'sequelize';
import { AppError } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { RESET_LIFETIME, resetLink } from '../mail/messages.ts';
import { createToken } from '../mail/tokens.ts';
import { usernameKey } from '../text/username-key.ts';

/** A link with which somebody chooses a new password. */
export interface ResetLink {
  userId: number;
  username: string;
  link: string;
}

/**
 * Makes a link for somebody who gets no mail. It takes the place of the one that was sent.
 * @param name in any case
 * @param serviceUrl where it leads
 * @throws {AppError} 404
 */
export async function createResetLink(tx: Transaction, name: string, serviceUrl: string): Promise<ResetLink> {
  const [user] = await sequelizeOf(tx).query<{ id: number; username: string; email: string }>(
    `select u.id, u.username, u.email from users u
     where ${usernameKey} = lower($1 collate "C") and u.deleted_at is null
     for no key update`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [name] },
  );
  if (!user) throw new AppError('not_found', `There is no user ${name}.`);
  // The operator hands it over: its use proves no address.
  const subject = { userId: user.id, purpose: 'reset', email: user.email, proves: null } as const;
  const token = await createToken(tx, subject, RESET_LIFETIME);
  return { userId: user.id, username: user.username, link: resetLink(serviceUrl, token) };
}
