import { createHash, randomBytes } from 'node:crypto';
import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import { type AppError, unauthorized } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/** What a token may be used for. */
type TokenPurpose = 'reset' | 'verify';

/** What a token was made for. */
export interface TokenSubject {
  userId: number;
  purpose: TokenPurpose;
  /** The address of the account. The token is good as long as it is that. */
  email: string;
}

/** The address that the token is sent to, so that its use proves it; null: the operator hands it over. */
type Proves = { proves: string | null };

/**
 * Makes a token that proves that somebody reads the mails to an address. It takes the place of the one before.
 * @param lifetime milliseconds
 * @returns the token, 32 random bytes as base64url: the database has its hash
 */
export async function createToken(
  tx: Transaction,
  { userId, purpose, email, proves }: TokenSubject & Proves,
  lifetime: number,
): Promise<string> {
  const token = newToken();
  await sequelizeOf(tx).query(
    `insert into mailed_tokens (hash, user_id, purpose, email, expires_at, proves, proves_hash)
     values ($1, $2, $3, $4, now() + $5 * interval '1 millisecond', $6, $1)
     on conflict (user_id, purpose) do update
     set hash = excluded.hash, email = excluded.email, created_at = excluded.created_at, expires_at = excluded.expires_at,
       proves = excluded.proves, proves_hash = excluded.proves_hash`,
    {
      type: QueryTypes.RAW,
      transaction: tx,
      bind: [hashOf(token), userId, purpose, email, lifetime, proves],
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
 * @returns the address that this proves; null: none
 * @throws {AppError} 401
 */
export async function useToken(
  tx: Transaction,
  { userId, purpose, email }: TokenSubject,
  token: string,
): Promise<string | null> {
  const [used] = await sequelizeOf(tx).query<{ proves: string | null }>(
    `delete from mailed_tokens where hash = $1 and user_id = $2 and purpose = $3 and email = $4 and expires_at > now()
     returning case when proves_hash = hash then proves end as proves`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [hashOf(token), userId, purpose, email] },
  );
  if (!used) throw notGood();
  return used.proves;
}

/** Ends the tokens of a user, as with a new password or address. @param purpose of this purpose alone */
export async function endTokens(tx: Transaction, userId: number, purpose?: TokenPurpose): Promise<void> {
  await sequelizeOf(tx).query(
    'delete from mailed_tokens where user_id = $1 and ($2::text is null or purpose = $2)',
    {
      type: QueryTypes.RAW,
      transaction: tx,
      bind: [userId, purpose ?? null],
    },
  );
}

/** The answer to a token that is none, or no longer good. */
export function notGood(): AppError {
  return unauthorized('This link is unknown, used or expired. Ask for a new one.');
}

/** 32 random bytes as base64url. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What the database has of a token. */
export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
