import { QueryTypes, type Transaction } from 'sequelize';
import { unauthorized } from '../errors.ts';
import type { RefreshOf } from '../limits/rate-limits.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { AuthContext } from './context.ts';
import { LAST_SEEN_NOW } from './last-seen.ts';
import { hashRefreshToken, newSalt } from './refresh-tokens.ts';
import { requireNotSuspended } from './suspension.ts';

/** How long a used token returns its pair again, since its response may have been lost. Seconds. */
const REUSE_WINDOW = 30;
/** Rows of spent tokens that one refresh deletes at most. More than one, so that a session never keeps more than it uses. */
const DELETED_AT_ONCE = 100;

export interface Tokens {
  access_token: string;
  token_type: 'bearer';
  expires_in: number;
  refresh_token: string;
}

/** What it takes to give a session a pair of tokens. */
export type PairContext = Pick<AuthContext, 'config' | 'db' | 'refreshTokens' | 'tokens'>;
/** And to end one whose token has been copied. */
type RefreshContext = PairContext & Pick<AuthContext, 'log' | 'revocations'>;

interface Row {
  user_id: number;
  /** Null if its row has been deleted, which is done only long after it was spent. */
  living: boolean | null;
  /** Null as long as it has not been used; else whether that was within the window. */
  again: boolean | null;
  successor_salt: Buffer | null;
}

/**
 * Exchanges a refresh token for a new pair (RFC 6819, 5.2.2.3: rotation with detection of reuse).
 *
 * A response may be lost, and tabs may refresh at the same moment. So for 30 seconds the same token returns the same
 * successor again, on any node, unless the successor has been used, which proves that the response arrived. A reuse
 * after that means that the token was copied, and the whole session ends, whichever of the two came first. The
 * database's clock decides, with the token's row locked.
 *
 * The successor cannot be stored, since no token is stored. It is derived from the token, which only its holder knows,
 * and from a salt in the token's row.
 *
 * Each refresh deletes the session's rows of tokens that were used before the window. A token without a row names its
 * session itself (`RefreshTokens`), so its reuse is noticed at any later time.
 * @param requester who waits for the database
 * @param count counts the request: first, without the database, under the session that the token is signed for, or under
 *   nothing that is known; then under what the database knows
 * @throws {AppError} 401, 403 of a suspended user, 429
 */
export async function refresh(
  ctx: RefreshContext,
  refreshToken: string,
  requester: Requester,
  count: (of: RefreshOf) => Promise<void>,
): Promise<Tokens> {
  const hash = hashRefreshToken(refreshToken);
  const db = ctx.db.share(requester);
  const signedFor = ctx.refreshTokens.sessionOf(refreshToken);
  await count(signedFor === undefined ? undefined : { session: signedFor });
  const [session] = await db.query<{ id: string; user_id: number }>(
    `select id, user_id from sessions
     where id = coalesce($1::uuid, (select session_id from refresh_tokens where hash = $2))`,
    { type: QueryTypes.SELECT, bind: [signedFor ?? null, hash] },
  );
  if (session) {
    // Tokens of earlier versions are not signed.
    if (signedFor === undefined) await count({ session: session.id });
    await count({ user: session.user_id });
  }
  const outcome = session && (await db.transaction((tx) => rotate(ctx, tx, refreshToken, hash, session.id)));
  // Not thrown inside: the revocation must be committed.
  if (!outcome) throw unauthorized('The refresh token is not valid.');
  return outcome;
}

async function rotate(
  ctx: RefreshContext,
  tx: Transaction,
  refreshToken: string,
  hash: Buffer,
  sessionId: string,
): Promise<Tokens | undefined> {
  const rows = <T extends object>(sql: string, bind: unknown[]) =>
    ctx.db.sequelize.query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  // Locked in a statement of its own: the next statement then sees what the previous holder of the lock has written,
  // and the clock after the wait.
  await rows('select from refresh_tokens where hash = $1 for no key update', [hash]);
  const [token] = await rows<Row>(
    `select s.user_id, t.successor_salt, t.expires_at > clock_timestamp() as living,
            t.spent_at > clock_timestamp() - $2 * interval '1 second' as again
     from sessions s left join refresh_tokens t on t.hash = $1
     where s.id = $3 and s.revoked_at is null
     for no key update of s`,
    [hash, REUSE_WINDOW, sessionId],
  );
  if (!token) await requireOwnerNotSuspended(ctx, tx, sessionId);
  if (!token || token.living === false) return undefined;
  const fresh = token.living && token.again === null;
  const salt = fresh ? newSalt() : token.successor_salt;
  const successors = salt && ctx.refreshTokens.successorsOf(refreshToken, salt, sessionId);
  if (fresh && successors) {
    const [{ token: next, hash: nextHash }] = successors;
    await rows(
      `with spent as (
         update refresh_tokens set spent_at = clock_timestamp(), successor_salt = $2 where hash = $1
       ), extended as (
         update sessions set expires_at = clock_timestamp() + $5 * interval '1 millisecond',
                             last_seen_at = ${LAST_SEEN_NOW}
         where id = $3
       )
       insert into refresh_tokens (hash, session_id, expires_at, signed)
       values ($4, $3, clock_timestamp() + $5 * interval '1 millisecond', true)`,
      [hash, salt, sessionId, nextHash, ctx.config.refreshTokenTtl],
    );
    await deleteSpent(rows, sessionId);
    return pairOf(ctx, token.user_id, sessionId, next);
  }
  if (token.again === true && successors) {
    const [unused] = await rows<{ hash: Buffer }>(
      'select hash from refresh_tokens where hash = any($1) and spent_at is null',
      [successors.map((one) => one.hash)],
    );
    const given = unused && successors.find((one) => one.hash.equals(unused.hash));
    if (given) return pairOf(ctx, token.user_id, sessionId, given.token);
  }
  ctx.log.warn({ user_id: token.user_id }, 'a refresh token was reused; its session has been ended');
  await ctx.revocations.revoke(tx, token.user_id, { sessionId });
  return undefined;
}

/**
 * A suspension has ended the session: its holder is told why.
 * @throws {AppError} 403
 */
async function requireOwnerNotSuspended(
  ctx: Pick<AuthContext, 'db'>,
  tx: Transaction,
  sessionId: string,
): Promise<void> {
  const [session] = await ctx.db.sequelize.query<{ user_id: number }>(
    'select user_id from sessions where id = $1',
    { type: QueryTypes.SELECT, transaction: tx, bind: [sessionId] },
  );
  if (session) await requireNotSuspended(ctx, tx, session.user_id);
}

/**
 * Deletes rows that are no longer needed: of signed tokens used before the window, and of expired other ones. A locked
 * row belongs to someone who waits for the session: it is skipped and deleted at the next refresh.
 */
async function deleteSpent(
  rows: (sql: string, bind: unknown[]) => Promise<object[]>,
  sessionId: string,
): Promise<void> {
  await rows(
    `delete from refresh_tokens where hash = any(array(
       select hash from refresh_tokens
       where session_id = $1
         and (expires_at < clock_timestamp() or (signed and spent_at < clock_timestamp() - $2 * interval '1 second'))
       limit $3 for update skip locked))`,
    [sessionId, REUSE_WINDOW, DELETED_AT_ONCE],
  );
}

/** The first pair of a session, whose row the transaction has written. */
export async function firstPair(
  ctx: PairContext,
  tx: Transaction,
  userId: number,
  sessionId: string,
): Promise<Tokens> {
  const { token, hash } = ctx.refreshTokens.create(sessionId);
  await ctx.db.sequelize.query(
    `insert into refresh_tokens (hash, session_id, expires_at, signed)
     values ($1, $2, now() + $3 * interval '1 millisecond', true)`,
    { type: QueryTypes.RAW, transaction: tx, bind: [hash, sessionId, ctx.config.refreshTokenTtl] },
  );
  return pairOf(ctx, userId, sessionId, token);
}

function pairOf(
  { tokens }: Pick<AuthContext, 'tokens'>,
  userId: number,
  sessionId: string,
  refreshToken: string,
): Tokens {
  return {
    access_token: tokens.sign(userId, sessionId),
    token_type: 'bearer',
    expires_in: tokens.expiresIn,
    refresh_token: refreshToken,
  };
}
