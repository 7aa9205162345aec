import { QueryTypes, type Transaction } from 'sequelize';
import { RefreshToken } from '../../models/index.ts';
import type { Context } from '../context.ts';
import { unauthorized } from '../errors.ts';
import { hashRefreshToken, newRefreshToken, newSalt, successorOf } from './tokens.ts';

/** For how long a token that has been used gives its pair again: its answer may have been lost. Seconds. */
const REUSE_WINDOW = 30;

export interface Tokens {
  access_token: string;
  token_type: 'bearer';
  expires_in: number;
  refresh_token: string;
}

interface Row {
  session_id: string;
  user_id: number;
  /** Null as long as it has not been used; else whether that was within the window. */
  again: boolean | null;
  successor_salt: Buffer | null;
}

/**
 * Trades a refresh token for a new pair (RFC 6819, 5.2.2.3: rotation with detection of reuse).
 *
 * An answer may be lost, and tabs may renew at the same moment. So for 30 seconds the same token gives the same successor
 * again, on whichever node, unless that has been used: whoever used it had the answer. Later, or after that, the token has
 * been copied by somebody, and its whole session ends, whoever of the two came first. All of it is judged by the database's
 * clock, with the token's row locked.
 *
 * The successor cannot be kept, since no token is stored. It is made from the token, which only its holder knows, and from a
 * salt that stands in the token's row.
 * @param count counts the request under the session that the token is of; undefined for a token that is nobody's
 * @throws {AppError} 401, 429
 */
export async function refresh(
  ctx: Context,
  refreshToken: string,
  count: (sessionId: string | undefined) => Promise<void>,
): Promise<Tokens> {
  const hash = hashRefreshToken(refreshToken);
  const known = await RefreshToken.findByPk(hash, { attributes: ['sessionId'] });
  await count(known?.sessionId);
  const outcome = known && (await ctx.db.transaction((tx) => rotate(ctx, tx, refreshToken, hash)));
  // Not thrown inside: the revocation must be committed.
  if (!outcome) throw unauthorized('The refresh token is not valid.');
  return outcome;
}

async function rotate(
  ctx: Context,
  tx: Transaction,
  refreshToken: string,
  hash: Buffer,
): Promise<Tokens | undefined> {
  const rows = <T extends object>(sql: string, bind: unknown[]) =>
    ctx.db.sequelize.query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  // Locked by itself first: what follows then sees what whoever held the lock has written, and the clock behind the wait.
  await rows('select from refresh_tokens where hash = $1 for update', [hash]);
  const [token] = await rows<Row>(
    `select t.session_id, s.user_id, t.successor_salt,
            t.spent_at > clock_timestamp() - $2 * interval '1 second' as again
     from refresh_tokens t join sessions s on s.id = t.session_id
     where t.hash = $1 and s.revoked_at is null and t.expires_at > clock_timestamp()
     for update of s`,
    [hash, REUSE_WINDOW],
  );
  if (!token) return undefined;
  const salt = token.again === null ? newSalt() : token.successor_salt;
  const successor = salt && successorOf(refreshToken, salt);
  if (token.again === null && successor) {
    await rows(
      `with spent as (
         update refresh_tokens set spent_at = clock_timestamp(), successor_salt = $2 where hash = $1
       ), extended as (
         update sessions set expires_at = clock_timestamp() + $5 * interval '1 millisecond' where id = $3
       )
       insert into refresh_tokens (hash, session_id, expires_at)
       values ($4, $3, clock_timestamp() + $5 * interval '1 millisecond')`,
      [hash, salt, token.session_id, successor.hash, ctx.config.refreshTokenTtl],
    );
    return pairOf(ctx, token.user_id, token.session_id, successor.token);
  }
  const unused =
    token.again === true &&
    successor &&
    (await rows('select from refresh_tokens where hash = $1 and spent_at is null', [successor.hash]));
  if (unused && unused.length > 0) return pairOf(ctx, token.user_id, token.session_id, successor.token);
  ctx.log.warn({ user_id: token.user_id }, 'a refresh token was used twice: its session ends');
  await ctx.revocations.revoke(tx, token.user_id, { sessionId: token.session_id });
  return undefined;
}

/** The first pair of a session, whose row the transaction has written. */
export async function firstPair(
  ctx: Context,
  tx: Transaction,
  userId: number,
  sessionId: string,
): Promise<Tokens> {
  const { token, hash } = newRefreshToken();
  await ctx.db.sequelize.query(
    `insert into refresh_tokens (hash, session_id, expires_at)
     values ($1, $2, now() + $3 * interval '1 millisecond')`,
    { type: QueryTypes.RAW, transaction: tx, bind: [hash, sessionId, ctx.config.refreshTokenTtl] },
  );
  return pairOf(ctx, userId, sessionId, token);
}

function pairOf(ctx: Context, userId: number, sessionId: string, refreshToken: string): Tokens {
  return {
    access_token: ctx.tokens.sign(userId, sessionId),
    token_type: 'bearer',
    expires_in: ctx.tokens.expiresIn,
    refresh_token: refreshToken,
  };
}
