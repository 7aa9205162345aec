import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { hashOf, newToken, notGood } from './tokens.ts';

/** How long an address can be put back, from the last step of the change on. Milliseconds. */
const UNDO_LIFETIME = 7 * 86_400_000;

/** An address that an account has or had. */
export interface OwnAddress {
  userId: number;
  email: string;
  /** What makes two addresses one. */
  key: string;
}

/**
 * Makes a token that gives an account this address back. Unlike the other tokens it outlasts a new password and further
 * changes of the address: who has taken an account over must not be able to end it. It takes the place of the one
 * before for the same address.
 * @returns the token, 32 random bytes as base64url: the database has its hash
 */
export async function createUndo(tx: Transaction, { userId, email, key }: OwnAddress): Promise<string> {
  const token = newToken();
  // The age of one that is still good stays: a token ends those alone that are younger.
  await run(
    tx,
    `insert into email_undos (hash, user_id, email, email_key, expires_at)
     values ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')
     on conflict (user_id, email_key) do update
     set hash = excluded.hash, email = excluded.email, expires_at = excluded.expires_at,
       created_at = case when email_undos.expires_at > now() then email_undos.created_at else now() end`,
    hashOf(token),
    userId,
    email,
    key,
    UNDO_LIFETIME,
  );
  return token;
}

/** Lets the token for an address be good for its whole time from now on. @returns whether there is one */
export async function prolongUndo(
  tx: Transaction,
  { userId, key }: Pick<OwnAddress, 'userId' | 'key'>,
): Promise<boolean> {
  const prolonged = await select(
    tx,
    `update email_undos set expires_at = now() + $3 * interval '1 millisecond'
     where user_id = $1 and email_key = $2 and expires_at > now() returning user_id`,
    userId,
    key,
    UNDO_LIFETIME,
  );
  return prolonged.length > 0;
}

/** Whose token it is, without using it. @throws {AppError} 401 */
export async function ownerOfUndo(db: Pick<Sequelize, 'query'>, token: string): Promise<number> {
  const [found] = await db.query<{ user_id: number }>(
    'select user_id from email_undos where hash = $1 and expires_at > now()',
    { type: QueryTypes.SELECT, bind: [hashOf(token)] },
  );
  if (!found) throw notGood();
  return found.user_id;
}

/**
 * Uses a token, once, and ends those for addresses that the account had later. The row of its user must be locked.
 * @returns the address that it gives back
 * @throws {AppError} 401
 */
export async function useUndo(tx: Transaction, userId: number, token: string): Promise<OwnAddress> {
  const [used] = await select<{ email: string; email_key: string; created_at: Date }>(
    tx,
    `delete from email_undos where hash = $1 and user_id = $2 and expires_at > now()
     returning email, email_key, created_at`,
    hashOf(token),
    userId,
  );
  if (!used) throw notGood();
  await run(tx, 'delete from email_undos where user_id = $1 and created_at > $2', userId, used.created_at);
  return { userId, email: used.email, key: used.email_key };
}

/** Whether an address can still be given back to another account, so that nobody may take it meanwhile. */
export async function isReserved(tx: Transaction, key: string, userId?: number): Promise<boolean> {
  const found = await select(
    tx,
    `select user_id from email_undos
     where email_key = $1 and expires_at > now() and user_id is distinct from $2 limit 1`,
    key,
    userId ?? null,
  );
  return found.length > 0;
}

/** Ends all of them with the account. */
export async function endUndos(tx: Transaction, userId: number): Promise<void> {
  await run(tx, 'delete from email_undos where user_id = $1', userId);
}

function select<T extends object>(tx: Transaction, sql: string, ...bind: unknown[]): Promise<T[]> {
  return sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
}

async function run(tx: Transaction, sql: string, ...bind: unknown[]): Promise<void> {
  await sequelizeOf(tx).query(sql, { type: QueryTypes.RAW, transaction: tx, bind });
}
