import { createHash, randomBytes, randomInt } from 'node:crypto';
import { Op, type Transaction } from 'sequelize';
import { KeptUsername, User } from '../../models/index.ts';
import type { NewAccount } from '../auth/owner.ts';
import { forgetIdentities, forgetSecondFactor, forgetWebhooks, pauseWebhooks } from '../auth/removal.ts';
import { databaseTime } from '../database/clock.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import type { Identity } from '../identity.ts';
import { violatedConstraint } from '../database/connection.ts';
import { AppError } from '../errors.ts';
import { endUndos } from '../mail/email-undos.ts';
import { passwordChanged } from '../mail/messages.ts';
import { forgetMails } from '../mail/outbox.ts';
import { endTokens } from '../mail/tokens.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { type Preconditions, requirePreconditions } from '../preconditions.ts';
import { storedEmailKey } from '../text/email.ts';
import { changeAddress, type CountMail, queueVerification, requireUnreserved, taken } from './addresses.ts';
import type { UserContext } from './context.ts';
import { beginTask, workPiece } from './footprint.ts';
import { requireInvitation, useInvitation } from './invitations.ts';
import { accountTag, type OwnUser, presentOwnUser } from './present.ts';

export interface SignUp {
  email: string;
  password: string;
  username?: string;
  /** The code of an invitation, where one is needed; elsewhere it is not used. */
  invitation?: string;
}

/**
 * Makes an account. Where an invitation is needed, one of its uses goes in the same transaction; where mails can be sent,
 * the link that proves the address is written with it, unless the address was sent many in this hour.
 * @throws {AppError} 403 where nobody may sign up, or without a good invitation; 409 if the e-mail address or the name is taken;
 *   429 if too many wait for their hash
 */
export async function signUp(
  ctx: Pick<UserContext, 'config' | 'db' | 'mails' | 'passwords'>,
  input: SignUp,
  requester: Requester,
): Promise<OwnUser> {
  const { signUp: admission } = ctx.config;
  const db = ctx.db.share(requester);
  await admit(db, admission, input.invitation);
  const passwordHash = await ctx.passwords.hash(input.password, requester);
  for (let attempt = 1; ; attempt += 1) {
    const username = input.username ?? inventUsername();
    try {
      const { email, invitation = '' } = input;
      const user = await db.transaction((tx) =>
        createAccount(ctx, tx, {
          email,
          emailVerifiedAt: null,
          username,
          passwordHash,
          unusableHash: null,
          invitation: admission === 'invite' ? invitation : undefined,
        }),
      );
      return presentOwnUser(user);
    } catch (error) {
      const invented = input.username === undefined && violatedConstraint(error) === 'users_username_key';
      if (!invented || attempt === 5) throw taken(error) ?? error;
    }
  }
}

/**
 * Makes sure that somebody may get an account, before the work of a hash, and before anyone is told of addresses and names.
 * @throws {AppError} 403 where nobody may sign up, or without a good invitation
 */
export async function admit(
  db: DatabaseShare,
  admission: UserContext['config']['signUp'],
  invitation: string | undefined,
): Promise<void> {
  if (admission === 'closed')
    throw new AppError(
      'sign_up_closed',
      'Nobody can sign up here at present. Existing accounts work as before.',
    );
  if (admission === 'invite') await requireInvitation(db, invitation);
}

/**
 * Makes an account in a transaction, and uses the invitation.
 * @throws {AppError} 403 for an invitation that is used up, 409 for an address that can be given back to another account; a
 *   violation of `users_email_key` or `users_username_key`
 */
export async function createAccount(
  { mails }: Pick<UserContext, 'mails'>,
  tx: Transaction,
  account: NewAccount,
): Promise<User> {
  const { email, emailVerifiedAt, username, passwordHash, unusableHash, invitation } = account;
  if (invitation !== undefined) await useInvitation(tx, invitation);
  await requireUnreserved(tx, email);
  const user = await User.create(
    { email, emailKey: storedEmailKey(email), emailVerifiedAt, username, passwordHash, unusableHash },
    { transaction: tx },
  );
  if (emailVerifiedAt === null && (await mails.maySend('email_verification', user)))
    await queueVerification(mails, tx, user);
  return user;
}

/** Not made from the e-mail address, which is nobody's business. */
function inventUsername(): string {
  return `user-${randomInt(36 ** 7)
    .toString(36)
    .padStart(7, '0')}`;
}

export interface EditUser {
  username?: string;
  bio?: string;
  email?: string;
  password?: string;
  current_password?: string;
}

/** @throws {AppError} 412 if the account is no longer as the tags of the preconditions say */
export function requireUnchanged(before: OwnUser, conditions: Preconditions): void {
  requirePreconditions(conditions, {
    matches: (tag) => tag === accountTag(before),
    state: 'The account has changed since you read it.',
  });
}

/**
 * Changes the user's own account. A new address waits until it is proved (see `changeAddress`). A new password ends all
 * other sessions, and the links that were sent by mail; a new name is a change of each of the user's
 * posts, and every client hears of it. Lists and posts have the new name from the commit on. The events of more posts than
 * fit one piece follow in further transactions; the answer waits for them for some seconds (see `AccountTasks`).
 * @throws {AppError} 403 for a wrong current password, or as `OwnPassword.prove` does; 409 for a taken name, and where no mail can be sent for a taken
 *   address, 412, 429 after too many wrong passwords or three mails in an hour
 */
export async function editUser(
  ctx: Pick<UserContext, 'accountTasks' | 'db' | 'mails' | 'ownPassword' | 'passwords' | 'revocations'>,
  viewer: Identity,
  input: EditUser,
  requester: Requester,
  countMail: CountMail,
  conditions: Preconditions = {},
): Promise<OwnUser> {
  const { current_password: current } = input;
  let renaming = false;
  let passwordHash: string | undefined;
  const edit = async (proof: string | undefined): Promise<OwnUser> => {
    if (input.password !== undefined) passwordHash ??= await ctx.passwords.hash(input.password, requester);
    return ctx.db.share(requester).transaction(async (tx) => {
      // Who writes posts holds the key of their owner, and with it the name that they are told under.
      const lock = input.username === undefined ? tx.LOCK.NO_KEY_UPDATE : tx.LOCK.UPDATE;
      const user = await ctx.ownPassword.lock(tx, viewer, proof, lock);
      const before = presentOwnUser(user);
      const told = { email: user.email, emailVerifiedAt: user.emailVerifiedAt };
      const renamed = input.username !== undefined && input.username !== user.username;
      if (renamed) await requireFewKeptNames(tx, user.id, input.username ?? '');
      user.set({
        ...(input.username === undefined ? {} : { username: input.username }),
        ...(input.bio === undefined ? {} : { bio: input.bio }),
        ...(passwordHash === undefined ? {} : { passwordHash, unusableHash: null, pendingEmail: null }),
      });
      await user.save({ transaction: tx });
      if (passwordHash !== undefined) await endTokens(tx, user.id);
      // Before a mail is counted for a change that does not take place.
      if (ctx.mails.enabled) requireUnchanged(before, conditions);
      if (input.email !== undefined) await changeAddress(ctx.mails, tx, user, input.email, countMail);
      // Behind the 409 that this may be, which goes before a 412.
      requireUnchanged(before, conditions);
      if (passwordHash !== undefined) {
        await ctx.revocations.revoke(tx, user.id, { exceptSessionId: viewer.sessionId });
        await pauseWebhooks(tx, user.id);
        await ctx.mails.tell(tx, told, passwordChanged(before, ctx.mails.publicUrl));
      }
      renaming = false;
      if (renamed) {
        await beginTask(tx, user.id, 'rename');
        renaming = !(await workPiece(tx, user.id, ctx.accountTasks.piece)).done;
      }
      return presentOwnUser(user);
    });
  };
  try {
    const needsOwner = [current, input.email, input.password].some((value) => value !== undefined);
    const own = await (needsOwner
      ? ctx.ownPassword.prove(viewer, current, requester, edit, 'current_password')
      : edit(undefined));
    if (renaming) await ctx.accountTasks.finish(viewer.id);
    return own;
  } catch (error) {
    throw taken(error) ?? error;
  }
}

/** So many names of one account are kept at most: each is taken from all others for ninety days. */
const MOST_KEPT_NAMES = 30;

/** @throws {AppError} 409 if the account has given up too many names, unless it takes one of them back */
async function requireFewKeptNames(tx: Transaction, id: number, username: string): Promise<void> {
  const kept = await KeptUsername.findAll({
    where: { formerOwnerId: id, keptUntil: { [Op.gt]: await databaseTime(tx) } },
    transaction: tx,
  });
  if (kept.length < MOST_KEPT_NAMES || kept.some(({ nameHash }) => nameHash.equals(nameHashOf(username))))
    return;
  const said = `${MOST_KEPT_NAMES} names that you have given up are reserved for you. Use one of them, or wait until one is released.`;
  throw new AppError('conflict', said, {
    errors: [{ loc: ['body', 'username'], msg: said, type: 'any.taken' }],
  });
}

/** As the database keeps a name that was given up. */
function nameHashOf(username: string): Buffer {
  return createHash('sha256').update(username.toLowerCase()).digest();
}

/**
 * Deletes the user with posts, votes and sessions; the tallies follow, and every client is notified of the posts. The
 * account has no name, address, login or session from the commit on, and its posts are in no list. More posts and votes
 * than fit one piece are deleted in further transactions, each with its events (see `AccountTasks`).
 * @returns whether all of it is gone; otherwise the rest goes by itself
 * @throws {AppError} 403 for a wrong password, or as `OwnPassword.prove` does; 412, 429 after too many wrong passwords
 */
export async function deleteUser(
  ctx: Pick<UserContext, 'accountTasks' | 'db' | 'guesses' | 'ownPassword' | 'reportTallies' | 'revocations'>,
  viewer: Identity,
  password: string | undefined,
  requester: Requester,
  conditions: Preconditions = {},
): Promise<boolean> {
  const { done, tallies } = await ctx.ownPassword.prove(viewer, password, requester, (proof) =>
    ctx.db.share(requester).transaction(async (tx) => {
      const user = await ctx.ownPassword.lock(tx, viewer, proof, tx.LOCK.UPDATE);
      requireUnchanged(presentOwnUser(user), conditions);
      const nobody = randomBytes(12).toString('hex');
      user.set({
        email: `${nobody}@deleted.invalid`,
        username: nobody,
        bio: '',
        passwordHash: '',
        emailVerifiedAt: null,
        pendingEmail: null,
        deletedAt: await databaseTime(tx),
      });
      await user.save({ transaction: tx });
      await ctx.revocations.revoke(tx, user.id);
      await forgetSecondFactor(tx, user.id);
      await forgetIdentities(tx, user.id);
      await forgetWebhooks(tx, user.id);
      await forgetMails(tx, user.id);
      await endTokens(tx, user.id);
      await endUndos(tx, user.id);
      await beginTask(tx, user.id, 'delete');
      return workPiece(tx, user.id, ctx.accountTasks.piece);
    }),
  );
  ctx.reportTallies(tallies);
  // Nobody waits for Redis: what it does not hear of it forgets by itself.
  void ctx.guesses.forget(viewer.id);
  return done || ctx.accountTasks.finish(viewer.id);
}
