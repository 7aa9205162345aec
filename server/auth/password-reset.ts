import { QueryTypes } from 'sequelize';
import { User } from '../../models/index.ts';
import { databaseTime } from '../database/clock.ts';
import { AppError } from '../errors.ts';
import { passwordChanged } from '../mail/messages.ts';
import { endTokens, ownerOf, useToken } from '../mail/tokens.ts';
import { audit } from '../moderation/audit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { AuthContext } from './context.ts';
import { forgetIdentities, forgetWebhooks, pauseWebhooks } from './removal.ts';

/**
 * Asks for a mail with which the owner of an address chooses a new password. What follows is the same for an address
 * that is nobody's, in text and in time (see `ResetRequests`).
 * @throws {AppError} 403 where no mail can be sent
 */
export async function askForReset(
  ctx: Pick<AuthContext, 'db' | 'mails' | 'resetRequests'>,
  email: string,
  requester: Requester,
): Promise<void> {
  if (!ctx.mails.enabled)
    throw new AppError(
      'no_mail',
      'This service sends no mail. Ask its operator for a link to a new password.',
    );
  await ctx.db
    .share(requester)
    .query('insert into reset_requests (email) values ($1)', { type: QueryTypes.RAW, bind: [email] });
  ctx.resetRequests.wake();
}

/**
 * Sets a new password with the token of a mail, and ends all sessions of the user. Who has the token reads the mails to the
 * address of the account, unless the operator made it: so the address is proved. The address from where it is done
 * counts as one of its user's: who guesses passwords meanwhile does not keep the owner from logging in.
 * @throws {AppError} 401 for a token that is not good; 429 if too many wait for their hash
 */
export async function resetPassword(
  ctx: Pick<AuthContext, 'db' | 'guesses' | 'mails' | 'passwords' | 'revocations'>,
  { token, password }: { token: string; password: string },
  address: string | undefined,
  requester: Requester,
): Promise<void> {
  const db = ctx.db.share(requester);
  const id = await ownerOf(db, 'reset', token);
  const passwordHash = await ctx.passwords.hash(password, requester);
  await db.transaction(async (tx) => {
    const user = await User.findByPk(id, { transaction: tx, lock: tx.LOCK.NO_KEY_UPDATE });
    const proved = await useToken(tx, { userId: id, purpose: 'reset', email: user?.email ?? '' }, token);
    await endTokens(tx, id);
    const proves = proved !== null && proved === user?.email;
    // Anyone can have signed up with the address, and have linked an identity of their own since.
    if (proves && user.emailVerifiedAt === null) {
      await forgetIdentities(tx, id);
      await forgetWebhooks(tx, id);
    } else await pauseWebhooks(tx, id);
    await User.update(
      {
        passwordHash,
        unusableHash: null,
        pendingEmail: null,
        ...(proves ? { emailVerifiedAt: await databaseTime(tx) } : {}),
      },
      { where: { id }, transaction: tx },
    );
    await ctx.revocations.revoke(tx, id);
    await audit(tx, { action: 'reset_password', actorId: id, userId: id, reason: '' });
    if (user) await ctx.mails.queue(tx, passwordChanged(user, ctx.mails.publicUrl));
  });
  await ctx.guesses.welcome({ account: id, address });
}
