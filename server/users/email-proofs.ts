import { User } from '../../models/index.ts';
import { databaseTime } from '../database/clock.ts';
import { AppError, userIsGone } from '../errors.ts';
import { forgetIdentities, forgetSecondFactor, pauseWebhooks } from '../auth/removal.ts';
import type { Identity } from '../identity.ts';
import { keepProvedUndos, ownerOfUndo, prolongUndo, useUndo } from '../mail/email-undos.ts';
import { emailRestored, RESET_LIFETIME } from '../mail/messages.ts';
import { createToken, endTokens, newToken, notGood, ownerOf, useToken } from '../mail/tokens.ts';
import { audit } from '../moderation/audit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { isSameMailbox } from '../text/email.ts';
import { type CountMail, requireUnreserved, sendVerification, setAddress, taken } from './addresses.ts';
import type { UserContext } from './context.ts';

/**
 * Sends the link again that proves the address of an account, or the new one that waits.
 * @throws {AppError} 403 where no mail can be sent, 409 if there is nothing to prove, 429 after three mails in an
 *   hour, or what `countMail` throws
 */
export async function askForVerification(
  ctx: Pick<UserContext, 'db' | 'mails'>,
  viewer: Identity,
  requester: Requester,
  countMail: CountMail,
): Promise<void> {
  if (!ctx.mails.enabled)
    throw new AppError('no_mail', 'This service sends no mail, and verifies no address.');
  await ctx.db.share(requester).transaction(async (tx) => {
    const user = await User.findByPk(viewer.id, { transaction: tx, lock: tx.LOCK.NO_KEY_UPDATE });
    if (!user || user.deletedAt) throw userIsGone();
    // A change that can be proved can be undone for as long.
    const { id: userId, email } = user;
    if (user.pendingEmail !== null && !(await prolongUndo(tx, { userId, email })))
      await user.set({ pendingEmail: null }).save({ transaction: tx });
    if (user.pendingEmail === null && user.emailVerifiedAt !== null)
      throw new AppError('conflict', 'Your e-mail address is verified already.');
    await sendVerification(ctx.mails, tx, user, countMail);
  });
}

/**
 * Proves an address with the token of a mail to it. A new one takes the place of the old one.
 * @throws {AppError} 401 for a token that is not good; 409 if another account has the new address
 */
export async function verifyEmail(
  ctx: Pick<UserContext, 'db'>,
  token: string,
  requester: Requester,
): Promise<void> {
  const db = ctx.db.share(requester);
  const id = await ownerOf(db, 'verify', token);
  try {
    await db.transaction(async (tx) => {
      const user = await User.findByPk(id, { transaction: tx, lock: tx.LOCK.NO_KEY_UPDATE });
      const proved = await useToken(tx, { userId: id, purpose: 'verify', email: user?.email ?? '' }, token);
      if (!user || user.deletedAt || proved === null) throw notGood();
      if (proved === user.email) {
        await user.set({ emailVerifiedAt: await databaseTime(tx) }).save({ transaction: tx });
        return;
      }
      if (proved !== user.pendingEmail) throw notGood();
      const old = user.email;
      await requireUnreserved(tx, proved, id);
      await setAddress(tx, user, proved, await databaseTime(tx));
      await keepProvedUndos(tx, { userId: id, email: old });
      await audit(tx, { action: 'change_email', actorId: id, userId: id, reason: '' });
    });
  } catch (error) {
    throw taken(error) ?? error;
  }
}

/**
 * Undoes a change of an address with the token that the old one was sent. One that waits is ended. One that counts already
 * is taken back if the old address was proved. Since who made it knew the password, that ends too, with all sessions and linked identities and a
 * second factor that was turned on since: the old address is sent a link to a new one.
 * @throws {AppError} 401 for a token that is not good; 409 if another account has the address by now; 429 if too many wait
 *   for their hash
 */
export async function undoEmailChange(
  ctx: Pick<UserContext, 'db' | 'mails' | 'passwords' | 'revocations'>,
  token: string,
  requester: Requester,
): Promise<void> {
  const db = ctx.db.share(requester);
  const id = await ownerOfUndo(db, token);
  // Of a password that nobody knows: a login takes as long as with any.
  const passwordHash = await ctx.passwords.hash(newToken(), requester);
  try {
    await db.transaction(async (tx) => {
      const user = await User.findByPk(id, { transaction: tx, lock: tx.LOCK.NO_KEY_UPDATE });
      const { email, proved, since } = await useUndo(tx, id, token);
      if (!user || user.deletedAt) throw notGood();
      if (isSameMailbox(email, user.email)) {
        if (user.pendingEmail === null) return;
        await endTokens(tx, id, 'verify');
        await user.set({ pendingEmail: null }).save({ transaction: tx });
        return;
      }
      if (!proved) throw notGood();
      await setAddress(tx, user, email, await databaseTime(tx));
      await user.set({ passwordHash, unusableHash: passwordHash }).save({ transaction: tx });
      await forgetIdentities(tx, id);
      const hadCodes = await forgetSecondFactor(tx, id, since);
      await pauseWebhooks(tx, id);
      await ctx.revocations.revoke(tx, id);
      await audit(tx, { action: 'undo_email', actorId: id, userId: id, reason: '' });
      const reset = { userId: id, purpose: 'reset', email, proves: email } as const;
      const link = await createToken(tx, reset, RESET_LIFETIME);
      await ctx.mails.queue(tx, emailRestored(user, ctx.mails.publicUrl, { token: link, hadCodes }));
    });
  } catch (error) {
    throw taken(error) ?? error;
  }
}
