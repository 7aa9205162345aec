import type { Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import { violatedConstraint } from '../database/connection.ts';
import { AppError, tooManyRequests } from '../errors.ts';
import { createUndo, isReserved } from '../mail/email-undos.ts';
import { emailChange, emailVerification, VERIFICATION_LIFETIME } from '../mail/messages.ts';
import { type Outbox, secondsUntilMail } from '../mail/outbox.ts';
import { createToken, endTokens } from '../mail/tokens.ts';
import { audit } from '../moderation/audit.ts';
import { emailKey, isSameMailbox, storedEmailKey } from '../text/email.ts';
import { inWords } from '../text/time-span.ts';

/** Counts a mail to an address that is not proved. @throws {AppError} 429 */
export type CountMail = (email: string) => Promise<void>;

/** The refusal behind a violated constraint; undefined if it is another error. */
export function taken(error: unknown): AppError | undefined {
  const constraint = violatedConstraint(error);
  if (constraint === 'users_email_key') return takenError('email');
  return constraint === 'users_username_key' ? takenError('username') : undefined;
}

function takenError(field: 'email' | 'username'): AppError {
  const said = field === 'email' ? 'This e-mail address is already registered.' : 'This username is taken.';
  return new AppError('conflict', said, { errors: [{ loc: ['body', field], msg: said, type: 'any.taken' }] });
}

/** @throws {AppError} 409 for an address that can still be given back to another account */
export async function requireUnreserved(tx: Transaction, email: string, userId?: number): Promise<void> {
  if (await isReserved(tx, emailKey(email), userId)) throw takenError('email');
}

/**
 * Gives an account an address, at once, and ends what waited for a proof and all links that were sent to the old one. Its
 * row is locked.
 * @param emailVerifiedAt when it was proved; null: it was not
 * @throws a violation of `users_email_key` if another account has it
 */
export async function setAddress(
  tx: Transaction,
  user: User,
  email: string,
  emailVerifiedAt: Date | null,
): Promise<void> {
  if (email !== user.email || user.pendingEmail !== null) await endTokens(tx, user.id);
  const where = { id: user.id };
  await user.set({ email, pendingEmail: null }).save({ transaction: tx });
  // Apart: a key that stays as it is while the address changes would be taken for that of the old one.
  const key = storedEmailKey(email);
  if (key !== null) await User.update({ emailKey: key }, { where, transaction: tx });
  // Apart, too: with another address the database takes the proof away.
  await User.update({ emailVerifiedAt }, { where, transaction: tx });
  user.set({ emailVerifiedAt });
}

/**
 * Changes the address of an account whose row is locked. A new one waits until it is proved, and the old one is told, with
 * a link to undo it; nobody learns whether another account has it. Another spelling that surely leads to one's own mailbox
 * counts at once, and so does a new address where no mail can be sent. One's own address ends the change that waits.
 * @param countMail counts a mail that will be sent to an address that is not proved; throws a 429
 * @throws {AppError} 429 after three mails in an hour; where no mail can be sent 409 for one that is taken
 */
export async function changeAddress(
  mails: Outbox,
  tx: Transaction,
  user: User,
  email: string,
  countMail: CountMail,
): Promise<void> {
  if (isSameMailbox(email, user.email)) {
    await setAddress(tx, user, email, user.emailVerifiedAt);
    return;
  }
  if (!mails.enabled) {
    await requireUnreserved(tx, email, user.id);
    await setAddress(tx, user, email, null);
    await audit(tx, { action: 'change_email', actorId: user.id, userId: user.id, reason: '' });
    return;
  }
  await user.set({ pendingEmail: email }).save({ transaction: tx });
  await sendVerification(mails, tx, user, countMail);
  const { id: userId, email: old } = user;
  const proved = user.emailVerifiedAt !== null;
  const token = await createUndo(tx, { userId, email: old, key: emailKey(old), proved });
  if (await mails.maySend('email_change', user))
    await mails.queue(tx, emailChange(user, mails.publicUrl, token));
}

/**
 * Sends the link that proves an address, counted: the new one that waits, or else that of the account.
 * @throws {AppError} 429 after three of them in an hour, or what `countMail` throws
 */
export async function sendVerification(
  mails: Outbox,
  tx: Transaction,
  user: User,
  countMail: CountMail,
): Promise<void> {
  const seconds = await secondsUntilMail(tx, user.id, 'email_verification');
  if (seconds > 0)
    throw tooManyRequests(`You were sent three of these mails. Try again in ${inWords(seconds)}.`, seconds);
  await countMail(user.pendingEmail ?? user.email);
  await queueVerification(mails, tx, user);
}

/** Writes the mail with the link that proves the new address that waits, or else that of the account. */
export async function queueVerification(
  mails: Outbox,
  tx: Transaction,
  { id: userId, username, email, pendingEmail }: User,
): Promise<void> {
  const to = pendingEmail ?? email;
  const subject = { userId, purpose: 'verify', email, proves: to } as const;
  const token = await createToken(tx, subject, VERIFICATION_LIFETIME);
  await mails.queue(tx, emailVerification({ id: userId, username, email: to }, mails.publicUrl, token));
}
