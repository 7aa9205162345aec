import { createHash, randomBytes } from 'node:crypto';
import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import { type AppError, unauthorized } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/** What a token may be used for. */
type TokenPurpose = 'reset';

/** What a token was made for. */
export interface TokenSubject {
  userId: number;
  purpose: TokenPurpose;
  /** The address that it is sent to. It is good as long as this is the address of the account. */
  email: string;
}

/**
 * Makes a token that proves that somebody reads the mails to an address. It takes the place of the one before.
 * @param lifetime milliseconds
 * @returns the token, 32 random bytes as base64url: the database has its hash
 */
export async function createToken(
  tx: Transaction,
  { userId, purpose, email }: TokenSubject,
  lifetime: number,
): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await sequelizeOf(tx).query(
    `insert into mailed_tokens (hash, user_id, purpose, email, expires_at)
     values ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')
     on conflict (user_id, purpose) do update
     set hash = excluded.hash, email = excluded.email, created_at = excluded.created_at, expires_at = excluded.expires_at`,
    {
      type: QueryTypes.RAW,
      transaction: tx,
      bind: [hashOf(token), userId, purpose, email, lifetime],
    },
  );
  return token;
}

/** Whose token it is, without using it. @throws {AppError} 401 */
export async function ownerOf(
  db: Pick<Sequelize, 'query'>,
  purpose: TokenPurpose,
  token: string,
): Promise<number> {
  const [found] = await db.query<{ user_id: number }>(
    `select t.user_id from mailed_tokens t join users u on u.id = t.user_id and u.email = t.email
     where t.hash = $1 and t.purpose = $2 and t.expires_at > now()`,
    { type: QueryTypes.SELECT, bind: [hashOf(token), purpose] },
  );
  if (!found) throw notGood();
  return found.user_id;
}

/**
 * Uses a token, once. The row of its user must be locked: of two who use it at once, the second finds that it is gone.
 * @throws {AppError} 401
 */
export async function useToken(
  tx: Transaction,
  { userId, purpose, email }: TokenSubject,
  token: string,
): Promise<void> {
  const used = await sequelizeOf(tx).query(
    `delete from mailed_tokens where hash = $1 and user_id = $2 and purpose = $3 and email = $4 and expires_at > now()
     returning user_id`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [hashOf(token), userId, purpose, email] },
  );
  if (used.length === 0) throw notGood();
}

/** Ends all tokens of a user, as with a new password or address. */
export async function endTokens(tx: Transaction, userId: number): Promise<void> {
  await sequelizeOf(tx).query('delete from mailed_tokens where user_id = $1', {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [userId],
  });
}

function notGood(): AppError {
  return unauthorized('This link is unknown, used or expired. Ask for a new one.');
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
