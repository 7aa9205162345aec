import { randomUUID } from 'node:crypto';
import { QueryTypes, type Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import { databaseTime } from '../database/clock.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { violatedConstraint } from '../database/connection.ts';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';
import { endUndos } from '../mail/email-undos.ts';
import { endTokens, newToken } from '../mail/tokens.ts';
import { audit } from '../moderation/audit.ts';
import { type Requester, withFamiliarity } from '../queues/fair-queue.ts';
import { emailKeysOf, isSameMailbox } from '../text/email.ts';
import { isReservedName } from '../text/reserved-names.ts';
import { clientName } from './client-name.ts';
import { type LoginClient, openSession } from './commands.ts';
import type { AuthContext } from './context.ts';
import { link, tellOfLink } from './identities.ts';
import { proveAtProvider, type ProvedLogin, requireOidc, useLogin } from './oidc-logins.ts';
import type { ProvedIdentity } from './oidc-provider.ts';
import type { Returned, Supplement } from './present.ts';
import { forgetIdentities, forgetSecondFactor, forgetWebhooks } from './removal.ts';
import type { Tokens } from './refresh.ts';
import { requireSecondFactor } from './second-factor.ts';

type LoginContext = Pick<
  AuthContext,
  | 'accounts'
  | 'config'
  | 'db'
  | 'guesses'
  | 'log'
  | 'mails'
  | 'metrics'
  | 'oidc'
  | 'passwords'
  | 'refreshTokens'
  | 'revocations'
  | 'tokens'
  | 'totp'
>;

interface Account {
  id: number;
  username: string;
  email: string;
  password_hash: string;
  has_password: boolean;
  verified: boolean;
  role: string;
  totp_secret: Buffer | null;
  /** Whether another identity of this provider is linked: to it they are two users. Undefined where it does not matter. */
  known_there?: boolean;
}

/**
 * How somebody gets in. By the identity, whatever the addresses; else by the address, which counts only if it is one mailbox:
 *
 * | | verified here | not verified here |
 * | --- | --- | --- |
 * | verified there | `link` | `take_over`, unless it is a moderator's: `prove` |
 * | not verified there | `prove` | `prove` |
 *
 * `take_over`: anyone can have signed up with the address, and the provider says whose it is. Who signed up loses the
 * password, the sessions, the second factor and everything else that opens the account. `prove`: with the password; also
 * where an account with a verified address has an identity of the same provider already, to which its user is then somebody
 * else, who was given the address later.
 */
type Way =
  | { kind: 'log_in' | 'link' | 'take_over' | 'prove'; account: Account }
  | { kind: 'create'; account?: undefined };

/** What was found before is no longer so. */
class Changed extends Error {
  override readonly name = 'Changed';
}

/** What was proved in an earlier try: a code is good once. */
interface Proofs {
  codeOf?: number;
  password?: { of: number; hash: string };
}

const outcomes = {
  log_in: 'logged_in',
  link: 'linked',
  prove: 'linked',
  take_over: 'taken_over',
  create: 'created',
} as const;

/**
 * Opens a login session for whom the provider names. What is missing is asked for by a refusal, and the same call follows with it.
 * @throws {AppError} 401 for a login that is unknown, over or another browser's; 403: `oidc_refused`, `otp_required`,
 *   `otp_invalid`, `link_required`, `invalid_credentials`, `username_required`, `sign_up_closed`, `invitation_required`,
 *   `suspended`; 404 without a provider; 409 for a taken name, or an account that can only be linked from within; 429; 503
 */
export async function finishLogin(
  ctx: LoginContext,
  returned: Returned,
  given: Supplement,
  from: LoginClient,
  requester: Requester,
): Promise<Tokens> {
  try {
    const proved = await proveAtProvider(ctx, returned, null, requester);
    const proofs: Proofs = {};
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await tryToFinish(ctx, proved, given, proofs, from, requester);
      } catch (error) {
        const again = error instanceof Changed || violatedConstraint(error) === 'identities_issuer_sub_key';
        if (again && attempt === 3)
          throw new AppError('conflict', 'The account changed meanwhile. Try again.');
        if (!again) throw error;
      }
    }
  } catch (error) {
    if (error instanceof AppError && error.code === 'oidc_refused')
      ctx.metrics.oidcLogins.inc({ outcome: 'refused' });
    if (error instanceof AppError && error.code === 'unavailable')
      ctx.metrics.oidcLogins.inc({ outcome: 'unavailable' });
    throw error;
  }
}

async function tryToFinish(
  ctx: LoginContext,
  proved: ProvedLogin,
  given: Supplement,
  proofs: Proofs,
  { address, userAgent }: LoginClient,
  requester: Requester,
): Promise<Tokens> {
  const { identity } = proved;
  const db = ctx.db.share(requester);
  const way = await wayIn((sql, ...bind) => db.query(sql, { type: QueryTypes.SELECT, bind }), identity);
  if (way.kind === 'create') await requireNewAccount(ctx, db, identity, given);
  else await requireProofs(ctx, way, given, proofs, address, requester);
  // Of a password that nobody knows: a login with one takes as long as with any.
  const unusable =
    way.kind === 'create' || way.kind === 'take_over'
      ? await ctx.passwords.hash(newToken(), requester)
      : undefined;
  const { tokens, userId } = await db.transaction(async (tx) => {
    // Locked in a statement of its own: the next ones then see what was forgotten or linked during the wait.
    if (way.account) await select(tx, 'select from users where id = $1 for no key update', way.account.id);
    const now = await wayIn((sql, ...bind) => select(tx, sql, ...bind), identity);
    requireSame(way, now);
    await useLogin(tx, proved);
    const sessionId = randomUUID();
    const id =
      now.kind === 'create'
        ? await createAccount(ctx, tx, identity, given, unusable ?? '')
        : await enter(ctx, tx, now, identity, unusable ?? '', sessionId);
    await select(
      tx,
      'update identities set last_login_at = now(), email = $3 where issuer = $1 and sub = $2',
      identity.issuer,
      identity.sub,
      identity.email,
    );
    return { tokens: await openSession(ctx, tx, id, clientName(userAgent), sessionId), userId: id };
  });
  ctx.metrics.oidcLogins.inc({ outcome: outcomes[way.kind] });
  if (way.kind === 'take_over')
    ctx.log.info(
      { user_id: userId },
      'an account with an address that was not verified was taken over by its owner',
    );
  await ctx.guesses.welcome({ account: userId, address });
  return tokens;
}

/** Reads which account it is. @param run a statement */
async function wayIn(
  run: (sql: string, ...bind: unknown[]) => Promise<Account[]>,
  { issuer, sub, email, emailVerified }: ProvedIdentity,
): Promise<Way> {
  const columns = `u.id, u.username, u.email, u.password_hash, u.password_hash is distinct from u.unusable_hash as has_password,
    u.email_verified_at is not null as verified, u.role,
    (select t.secret from totp_secrets t where t.user_id = u.id and t.confirmed_at is not null) as totp_secret`;
  const [known] = await run(
    `select ${columns} from users u
     where u.id = (select i.user_id from identities i where i.issuer = $1 and i.sub = $2) and u.deleted_at is null`,
    issuer,
    sub,
  );
  if (known) return { kind: 'log_in', account: known };
  if (email === null) return { kind: 'create' };
  const [account] = await run(
    `select ${columns}, exists (select from identities o where o.user_id = u.id and o.issuer = $2) as known_there
     from users u
     where coalesce(u.email_key, lower(u.email collate "C")) = any ($1::text[]) and u.deleted_at is null
     order by array_position($1::text[], coalesce(u.email_key, lower(u.email collate "C"))) limit 1`,
    emailKeysOf(email),
    issuer,
  );
  if (!account) return { kind: 'create' };
  if (!emailVerified || !isSameMailbox(email, account.email)) return { kind: 'prove', account };
  if (account.verified) return { kind: account.known_there === true ? 'prove' : 'link', account };
  return { kind: account.role === 'user' ? 'take_over' : 'prove', account };
}

/** @throws {Changed} unless what was proved is what has to be proved now */
function requireSame(before: Way, now: Way): void {
  const facts = ({ kind, account }: Way) =>
    JSON.stringify([
      kind,
      account?.id,
      account?.totp_secret !== null,
      kind === 'prove' ? account?.password_hash : undefined,
    ]);
  if (facts(before) !== facts(now)) throw new Changed();
}

/**
 * The password and the code that an account asks for. Wrong ones are counted with those of other logins.
 * @throws {AppError} 403, 409, 429
 */
async function requireProofs(
  ctx: LoginContext,
  { kind, account }: Exclude<Way, { kind: 'create' }>,
  { otp, password }: Supplement,
  proofs: Proofs,
  address: string | undefined,
  requester: Requester,
): Promise<void> {
  const { id, password_hash: hash } = account;
  const needsPassword = kind === 'prove' && (proofs.password?.of !== id || proofs.password.hash !== hash);
  // Who takes an account over knows no code of the one who signed up.
  const needsCode = kind !== 'take_over' && account.totp_secret !== null && proofs.codeOf !== id;
  if (!needsPassword && !needsCode) return;
  const { name } = requireOidc(ctx).provider;
  if (needsPassword && !account.has_password)
    throw new AppError(
      'conflict',
      `An account has the address that ${name} told. Log in to it as you did until now, and link ${name} there.`,
    );
  if (needsPassword && password === undefined)
    throw new AppError(
      'link_required',
      `An account has the address that ${name} told. Send its password to log in to it with ${name} from now on.`,
    );
  try {
    if (needsPassword)
      await ctx.guesses.attempt({ account: id, address }, async (familiar) => {
        const fits = await ctx.passwords.matches(password ?? '', hash, withFamiliarity(requester, familiar));
        if (!fits) throw new AppError('invalid_credentials', 'The password is wrong.');
        proofs.password = { of: id, hash };
      });
    if (!needsCode) return;
    await requireSecondFactor(ctx, account, otp, address, requester);
    proofs.codeOf = id;
  } catch (error) {
    ctx.metrics.loginsRefused.inc();
    throw error;
  }
}

/** @throws {AppError} 403 if nobody may get an account, or something is missing for one */
async function requireNewAccount(
  ctx: LoginContext,
  db: DatabaseShare,
  identity: ProvedIdentity,
  { username, invitation }: Supplement,
): Promise<void> {
  await ctx.accounts.admit(db, admissionOf(ctx), invitation);
  const { name } = requireOidc(ctx).provider;
  if (identity.email === null)
    throw new AppError(
      'oidc_refused',
      `${name} told no e-mail address that an account can have. Sign up here, and link ${name} to your account.`,
    );
  if (username !== undefined) return;
  const suggestion = identity.name !== null && !isReservedName(identity.name) ? identity.name : null;
  throw new AppError(
    'username_required',
    'You have no account here yet. Choose a username, and send it as username.',
    { members: { suggestion } },
  );
}

function admissionOf({ config }: LoginContext): LoginContext['config']['signUp'] {
  return config.oidc?.signUp === 'open' ? 'open' : config.signUp;
}

/** @returns the id of the new account */
async function createAccount(
  ctx: LoginContext,
  tx: Transaction,
  identity: ProvedIdentity,
  { username = '', invitation = '' }: Supplement,
  unusableHash: string,
): Promise<number> {
  const user = await ctx.accounts.create(tx, {
    email: identity.email ?? '',
    emailVerifiedAt: identity.emailVerified ? await databaseTime(tx) : null,
    username,
    passwordHash: unusableHash,
    unusableHash,
    invitation: admissionOf(ctx) === 'invite' ? invitation : undefined,
  });
  await link(tx, user, identity);
  return user.id;
}

/**
 * Lets somebody into an account that exists, whose row is locked.
 * @param sessionId of the session that is opened: a take-over ends all others
 * @returns its id
 */
async function enter(
  ctx: LoginContext,
  tx: Transaction,
  { kind, account }: Exclude<Way, { kind: 'create' }>,
  identity: ProvedIdentity,
  unusableHash: string,
  sessionId: string,
): Promise<number> {
  if (kind === 'log_in') return account.id;
  const user = await User.findByPk(account.id, { transaction: tx, rejectOnEmpty: true });
  if (kind === 'take_over') {
    await ctx.revocations.revoke(tx, user.id, { exceptSessionId: sessionId });
    await forgetSecondFactor(tx, user.id);
    await forgetIdentities(tx, user.id);
    await forgetWebhooks(tx, user.id);
    await endTokens(tx, user.id);
    await endUndos(tx, user.id);
    await user
      .set({
        passwordHash: unusableHash,
        unusableHash,
        pendingEmail: null,
        emailVerifiedAt: await databaseTime(tx),
      })
      .save({ transaction: tx });
    await audit(tx, { action: 'take_over', actorId: user.id, userId: user.id, reason: '' });
  }
  await link(tx, user, identity);
  await tellOfLink(tx, ctx.mails, user, requireOidc(ctx).provider.name);
  return user.id;
}
