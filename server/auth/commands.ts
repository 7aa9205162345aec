import { randomUUID } from 'node:crypto';
import { QueryTypes, type Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';
import { emailKey, emailKeysOf } from '../text/email.ts';
import { type Requester, withFamiliarity } from '../queues/fair-queue.ts';
import type { Identity } from '../identity.ts';
import { clientName } from './client-name.ts';
import type { AuthContext } from './context.ts';
import { isLogin } from './present.ts';
import { firstPair, type PairContext, type Tokens } from './refresh.ts';
import { type FoundUser, requireSecondFactor } from './second-factor.ts';
import { requireNotSuspended } from './suspension.ts';

/** The same in text and in time for an unknown user and a wrong password. */
const invalidCredentials = () => new AppError('invalid_credentials', 'Invalid Credentials');

/** Who logs in, as far as the request tells. */
export interface LoginClient {
  address: string | undefined;
  userAgent: string | undefined;
}

/** What somebody proves to be the user with. */
interface Credentials {
  email: string;
  password: string;
  /** A code of an app or a recovery code, for an account whose logins ask for one. */
  otp: string | undefined;
}

/** What it takes to open a session. */
type OpeningContext = PairContext & Pick<AuthContext, 'revocations'>;

type LoginContext = OpeningContext &
  Pick<AuthContext, 'guesses' | 'log' | 'mails' | 'metrics' | 'passwords' | 'totp'>;

/**
 * Verifies the password, and a code where the account asks for one, and opens a login session.
 * @param from the client's address, and what it calls itself (`User-Agent`)
 * @param requester whose place in the queues for the database and for hashes it takes
 * @throws {AppError} 403, also of a suspended user and without a code that is asked for (only after the right password); 429 for an account on which too many wrong passwords have been tried recently, or if too many
 *   logins wait
 */
export async function logIn(
  ctx: LoginContext,
  credentials: Credentials,
  from: LoginClient,
  requester: Requester,
): Promise<Tokens> {
  // A code is good once, so the second try does not ask for it again.
  const proved = new Set<number>();
  // Twice: the first time, a concurrent login may have replaced the hash with one of the configured cost.
  const tokens =
    (await tryLogIn(ctx, credentials, proved, from, requester)) ??
    (await tryLogIn(ctx, credentials, proved, from, requester));
  if (!tokens) throw invalidCredentials();
  return tokens;
}

/**
 * @param proved the users whose code was right
 * @returns undefined if the hash has changed while the password was compared with it
 */
async function tryLogIn(
  ctx: LoginContext,
  { email, password, otp }: Credentials,
  proved: Set<number>,
  { address, userAgent }: LoginClient,
  requester: Requester,
): Promise<Tokens | undefined> {
  const db = ctx.db.share(requester);
  const [user] = await db.query<FoundUser>(
    `select u.id, u.password_hash, t.secret as totp_secret
     from users u left join totp_secrets t on t.user_id = u.id and t.confirmed_at is not null
     where coalesce(u.email_key, lower(u.email collate "C")) = any ($1::text[]) and u.deleted_at is null
     order by array_position($1::text[], coalesce(u.email_key, lower(u.email collate "C"))) limit 1`,
    { type: QueryTypes.SELECT, bind: [emailKeysOf(email)] },
  );
  const guess = { account: user?.id ?? emailKey(email), address };
  const { id, password_hash } = await ctx.guesses.attempt(guess, async (familiar) => {
    const fits = await ctx.passwords.matches(
      password,
      user?.password_hash,
      withFamiliarity(requester, familiar),
    );
    try {
      if (!user || !fits) throw invalidCredentials();
      if (!proved.has(user.id)) await requireSecondFactor(ctx, user, otp, address, requester);
      proved.add(user.id);
      return user;
    } catch (error) {
      ctx.metrics.loginsRefused.inc();
      throw error;
    }
  });
  const tokens = await db.transaction(async (tx) => {
    // The hash took a while: the password may have been changed meanwhile, and that ends all other sessions.
    const still = await User.findOne({
      where: { id, passwordHash: password_hash },
      attributes: ['id'],
      transaction: tx,
      lock: tx.LOCK.SHARE,
    });
    return still ? openSession(ctx, tx, id, clientName(userAgent)) : undefined;
  });
  if (!tokens) return undefined;
  await ctx.guesses.welcome(guess);
  void renewHash(ctx, id, password, password_hash);
  return tokens;
}

/**
 * Renews a password hash that was made with another cost: an old hash would stay as weak as it was, and its
 * verification time would reveal that the user exists. The login does not wait for it; if it fails, the next login
 * retries.
 */
async function renewHash(
  ctx: Pick<AuthContext, 'db' | 'log' | 'passwords'>,
  userId: number,
  password: string,
  old: string,
): Promise<void> {
  try {
    const passwordHash = await ctx.passwords.renewed(password, old);
    if (passwordHash === undefined) return;
    await ctx.db
      .share('service')
      .run(() => User.update({ passwordHash }, { where: { id: userId, passwordHash: old } }));
  } catch (error) {
    ctx.log.debug(
      { err: error, user_id: userId },
      'a password hash could not be renewed at the configured cost; the next login retries',
    );
  }
}

/** Sessions that a user may have at once, beside API keys: all of them are ended by one statement. */
const MAX_SESSIONS = 200;
/** How many of those beyond it one login ends. */
const ENDED_AT_ONCE = 20;

/**
 * Whatever the user has proved oneself with, whose row is locked. Of too many sessions it ends those that were not used for
 * the longest.
 * @throws {AppError} 403 of a suspended user
 */
export async function openSession(
  ctx: OpeningContext,
  tx: Transaction,
  userId: number,
  client: string | null,
  sessionId: string = randomUUID(),
): Promise<Tokens> {
  await requireNotSuspended(ctx, tx, userId);
  const tooMany = await select<{ id: string }>(
    tx,
    `select id from sessions where user_id = $1 and revoked_at is null and ${isLogin}
     order by greatest(created_at, last_seen_at) desc, id offset ${MAX_SESSIONS - 1} limit ${ENDED_AT_ONCE}`,
    userId,
  );
  for (const { id } of tooMany) await ctx.revocations.revoke(tx, userId, { sessionId: id });
  await ctx.db.sequelize.query(
    `insert into sessions (id, user_id, client, expires_at)
     values ($1, $2, $4, now() + $3 * interval '1 millisecond')`,
    { type: QueryTypes.RAW, transaction: tx, bind: [sessionId, userId, ctx.config.refreshTokenTtl, client] },
  );
  return firstPair(ctx, tx, userId, sessionId);
}

/** Ends the session of the request's token. */
export async function logOut(
  ctx: Pick<AuthContext, 'db' | 'revocations'>,
  user: Identity,
  requester: Requester,
): Promise<void> {
  const { id, sessionId } = user;
  await ctx.db.share(requester).transaction((tx) => ctx.revocations.revoke(tx, id, { sessionId }));
}

/** Ends all of the user's sessions. */
export async function logOutEverywhere(
  ctx: Pick<AuthContext, 'db' | 'revocations'>,
  user: Identity,
  requester: Requester,
): Promise<void> {
  await ctx.db.share(requester).transaction(async (tx) => {
    // An API key that is being made is waited for, and ends too: who makes one has locked the user.
    await select(tx, 'select 1 from users where id = $1 for no key update', user.id);
    await ctx.revocations.revoke(tx, user.id);
  });
}
