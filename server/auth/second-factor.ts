import { QueryTypes, type Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import { select } from '../database/select.ts';
import { AppError, unavailable, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { recoveryCodeUsed, secondFactorChanged } from '../mail/messages.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { usernameKey } from '../text/username-key.ts';
import type { AuthContext } from './context.ts';
import { forgetSecondFactor } from './removal.ts';
import { requireLiveSession } from './session-check.ts';
import { isAppCode, newRecoveryCodes, recoveryHash, type TotpSetup } from './totp.ts';

/** Whether a user's logins ask for a code. */
export interface SecondFactorView {
  on: boolean;
  /** Recovery codes that have not been used. */
  recovery_codes: number;
}

type SecondFactorContext = Pick<
  AuthContext,
  'config' | 'db' | 'guesses' | 'log' | 'mails' | 'ownPassword' | 'totp'
>;

/** Of an account, what a mail to its owner needs. */
type Owner = Pick<User, 'id' | 'username' | 'email' | 'emailVerifiedAt'>;

const codeIsWrong = () =>
  new AppError('otp_invalid', 'This code is wrong or has been used. Take the next one of your app.');

/** @returns whether logins ask for a code, and how many recovery codes are left */
export async function secondFactor(
  ctx: Pick<AuthContext, 'db'>,
  user: Identity,
  requester: Requester,
): Promise<SecondFactorView> {
  const [view] = await ctx.db.share(requester).query<SecondFactorView>(
    `select exists (select from totp_secrets where user_id = $1 and confirmed_at is not null) as on,
       (select count(*) from recovery_codes where user_id = $1) as recovery_codes`,
    { type: QueryTypes.SELECT, bind: [user.id] },
  );
  return view ?? { on: false, recovery_codes: 0 };
}

/**
 * Gives a user a secret for an app. It takes the place of one that was never confirmed, and asks for nothing until it is.
 * @throws {AppError} 403 for a wrong password, or as `OwnPassword.prove` does; 409 if logins ask for a code already, 429 after too many wrong passwords
 */
export async function beginSecondFactor(
  ctx: SecondFactorContext,
  user: Identity,
  password: string | undefined,
  requester: Requester,
): Promise<TotpSetup> {
  return ctx.ownPassword.change(user, password, requester, async (tx, { username }) => {
    const setup = ctx.totp.create(username, issuerOf(ctx.config.serviceUrl));
    const given = await select(
      tx,
      `insert into totp_secrets as t (user_id, secret) values ($1, $2)
       on conflict (user_id) do update set secret = excluded.secret where t.confirmed_at is null returning 1`,
      user.id,
      ctx.totp.seal(setup.secret),
    );
    if (given.length === 0) throw new AppError('conflict', 'Your logins ask for a code already.');
    return setup;
  });
}

/**
 * Has logins ask for a code from now on, once one right code has shown that the app has the secret.
 * @returns the recovery codes: the database has their hashes
 * @throws {AppError} 401 if the session has just ended, 403 for a wrong code, 404 if no secret waits for one, 429 after too
 *   many wrong codes
 */
export async function confirmSecondFactor(
  ctx: SecondFactorContext,
  user: Identity,
  code: string,
  requester: Requester,
): Promise<string[]> {
  const db = ctx.db.share(requester);
  return ctx.guesses.attempt({ account: user.id, session: user.sessionId }, () =>
    db.transaction(async (tx) => {
      // Before the secret, as the deletion of the account does.
      const owner = await User.findByPk(user.id, { transaction: tx, lock: tx.LOCK.KEY_SHARE });
      if (!owner || owner.deletedAt) throw userIsGone();
      await requireLiveSession(tx, user);
      const [row] = await select<{ secret: Buffer }>(
        tx,
        'select secret from totp_secrets where user_id = $1 and confirmed_at is null for update',
        user.id,
      );
      if (!row)
        throw new AppError('not_found', 'No secret waits for a code. Begin with POST /users/me/totp.');
      const step = ctx.totp.stepOf(openSecret(ctx, user.id, row.secret), code);
      if (step === undefined) throw codeIsWrong();
      await select(
        tx,
        'update totp_secrets set confirmed_at = now(), last_step = $2 where user_id = $1',
        user.id,
        step,
      );
      const codes = newRecoveryCodes();
      await select(tx, 'delete from recovery_codes where user_id = $1', user.id);
      await select(
        tx,
        'insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])',
        user.id,
        codes.map(recoveryHash),
      );
      await tell(ctx.mails, tx, owner, 'second_factor_on');
      return codes;
    }),
  );
}

/**
 * Has logins ask for no code any more, and forgets the secret and the recovery codes.
 * @throws {AppError} 403 for a wrong password, or as `OwnPassword.prove` does; 404 if there is nothing to end, 429 after too many wrong passwords
 */
export async function endSecondFactor(
  ctx: SecondFactorContext,
  user: Identity,
  password: string | undefined,
  requester: Requester,
): Promise<void> {
  await ctx.ownPassword.change(user, password, requester, async (tx, owner) => {
    if (!(await forgetSecondFactor(tx, user.id)))
      throw new AppError('not_found', 'Your logins ask for no code.');
    await tell(ctx.mails, tx, owner, 'second_factor_off');
  });
}

/** For the operator: somebody has lost the app and the recovery codes. @throws {AppError} 404 */
export async function endSecondFactorOf(
  tx: Transaction,
  name: string,
  mails: Outbox,
): Promise<{ userId: number; username: string; wasOn: boolean }> {
  const [user] = await select<Owner>(
    tx,
    `select u.id, u.username, u.email, u.email_verified_at as "emailVerifiedAt" from users u
     where ${usernameKey} = lower($1 collate "C") and u.deleted_at is null for no key update`,
    name,
  );
  if (!user) throw new AppError('not_found', `There is no user ${name}.`);
  const wasOn = await forgetSecondFactor(tx, user.id);
  if (wasOn) await tell(mails, tx, user, 'second_factor_off');
  return { userId: user.id, username: user.username, wasOn };
}

/** What a login found of its user, whose password was right. */
export interface FoundUser {
  id: number;
  password_hash: string;
  /** Null: no second factor is asked for. */
  totp_secret: Buffer | null;
}

/**
 * Asks for the second factor of a user whose password was right. A code is used up by it: by one statement, so of two
 * logins with the same code on two nodes one is refused. A recovery code is good also when too many wrong codes were
 * tried: it cannot be guessed.
 * @throws {AppError} 403 `otp_required` without a code, `otp_invalid` for a wrong or used one; 429 after too many wrong ones;
 *   503 if the secret of the app cannot be read
 */
export async function requireSecondFactor(
  ctx: Pick<AuthContext, 'db' | 'guesses' | 'log' | 'mails' | 'totp'>,
  user: FoundUser,
  otp: string | undefined,
  address: string | undefined,
  requester: Requester,
): Promise<void> {
  const { id, password_hash, totp_secret: sealed } = user;
  if (sealed === null) return;
  if (otp === undefined)
    throw new AppError(
      'otp_required',
      'Send the code of your authenticator app, or a recovery code, as otp.',
    );
  if (!isAppCode(otp)) {
    await useRecoveryCode(ctx, id, otp, requester);
    return;
  }
  await ctx.guesses.attemptCode(
    { account: id, address },
    password_hash,
    () => useAppCode(ctx, { id, sealed }, otp, requester),
    () =>
      ctx.db.share(requester).transaction(async (tx) => {
        const owner = await User.findByPk(id, { transaction: tx, lock: tx.LOCK.KEY_SHARE });
        if (owner) await tell(ctx.mails, tx, owner, 'codes_refused');
      }),
  );
}

async function useAppCode(
  ctx: Pick<AuthContext, 'db' | 'log' | 'totp'>,
  { id, sealed }: { id: number; sealed: Buffer },
  code: string,
  requester: Requester,
): Promise<void> {
  const step = ctx.totp.stepOf(openSecret(ctx, id, sealed), code);
  if (step === undefined) throw codeIsWrong();
  const used = await ctx.db.share(requester).query(
    `update totp_secrets set last_step = $2
     where user_id = $1 and last_step < $2 and confirmed_at is not null returning 1`,
    { type: QueryTypes.SELECT, bind: [id, step] },
  );
  if (used.length === 0) throw codeIsWrong();
}

/** @throws {AppError} 503, which is no wrong code, if no secret of the service opens it */
function openSecret(
  { log, totp }: Pick<AuthContext, 'log' | 'totp'>,
  userId: number,
  sealed: Buffer,
): string {
  const secret = totp.open(sealed);
  if (secret !== undefined) return secret;
  log.warn(
    { user_id: userId },
    'the secret of an authenticator app cannot be read: the JWT_SECRET that it was sealed with is not configured',
  );
  throw unavailable('The service cannot check codes of your app at the moment. Use a recovery code.', 60);
}

async function useRecoveryCode(
  { db, mails }: Pick<AuthContext, 'db' | 'mails'>,
  id: number,
  code: string,
  requester: Requester,
): Promise<void> {
  await db.share(requester).transaction(async (tx) => {
    // Before the code, as the deletion of the account does.
    const owner = await User.findByPk(id, { transaction: tx, lock: tx.LOCK.KEY_SHARE });
    const used = await select(
      tx,
      'delete from recovery_codes where user_id = $1 and hash = $2 returning 1',
      id,
      recoveryHash(code),
    );
    if (!owner || used.length === 0) throw codeIsWrong();
    const left = await select(tx, 'select 1 from recovery_codes where user_id = $1', id);
    await mails.tell(tx, owner, recoveryCodeUsed(owner, mails.publicUrl, left.length));
  });
}

/** Tells the owner of an account by mail, with the transaction, where one may be sent. */
async function tell(
  mails: Outbox,
  tx: Transaction,
  owner: Owner,
  kind: 'second_factor_on' | 'second_factor_off' | 'codes_refused',
): Promise<void> {
  await mails.tell(tx, owner, secondFactorChanged(kind, owner, mails.publicUrl));
}

/** What apps call the service: by where it is. */
function issuerOf(serviceUrl: string): string {
  return `Tidings ${new URL(serviceUrl).hostname}`;
}
