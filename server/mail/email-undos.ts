import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { hashOf, newToken, notGood } from './tokens.ts';

/** How long an address can be put back, from the last step of the change on. Milliseconds. */
const UNDO_LIFETIME = 7 * 86_400_000;

/** An address that an account has or had. */
export interface OwnAddress {
  userId: number;
  /** As it was typed. */
  email: string;
  /** Whether the owner of the account has proved it. */
  proved: boolean;
}

/**
 * Makes a token that gives an account this address back. Unlike the other tokens it outlasts a new password and further
 * changes of the address: who has taken an account over must not be able to end it. It takes the place of the one
 * before for the very same address, not of one for a mailbox that another spelling leads to. One for an address that was
 * not proved can end a change that waits, and no more: the address may be a stranger's, by a slip of the keyboard.
 * @param key what makes two addresses one: nobody else may take one of the same
 * @returns the token, 32 random bytes as base64url: the database has its hash
 */
export async function createUndo(
  tx: Transaction,
  { userId, email, key, proved }: OwnAddress & { key: string },
): Promise<string> {
  const token = newToken();
  // The age of one that is still good stays: a token ends those alone that are younger. So does what was proved.
  await run(
    tx,
    `insert into email_undos (hash, user_id, email, email_key, proved, expires_at)
     values ($1, $2, $3, $4, $5, now() + $6 * interval '1 millisecond')
     on conflict (user_id, email) do update
     set hash = excluded.hash, expires_at = excluded.expires_at,
       proved = excluded.proved or email_undos.proved and email_undos.expires_at > now(),
       created_at = case when email_undos.expires_at > now() then email_undos.created_at else now() end`,
    hashOf(token),
    userId,
    email,
    key,
    proved,
    UNDO_LIFETIME,
  );
  return token;
}

/** Lets the token for an address be good for its whole time from now on. @returns whether there is one */
export async function prolongUndo(
  tx: Transaction,
  { userId, email }: Pick<OwnAddress, 'userId' | 'email'>,
): Promise<boolean> {
  const prolonged = await select(
    tx,
    `update email_undos set expires_at = now() + $3 * interval '1 millisecond'
     where user_id = $1 and email = $2 and expires_at > now() returning user_id`,
    userId,
    email,
    UNDO_LIFETIME,
  );
  return prolonged.length > 0;
}

/**
 * After another address has taken the place of this one: its token is good for its whole time from now on. Tokens for
 * addresses that were not proved are deleted.
 */
export async function keepProvedUndos(
  tx: Transaction,
  { userId, email }: Pick<OwnAddress, 'userId' | 'email'>,
): Promise<void> {
  await prolongUndo(tx, { userId, email });
  await run(tx, 'delete from email_undos where user_id = $1 and not proved', userId);
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
 * @returns the address that it gives back, and when the first change that it undoes was made
 * @throws {AppError} 401
 */
export async function useUndo(
  tx: Transaction,
  userId: number,
  token: string,
): Promise<OwnAddress & { since: Date }> {
  const [used] = await select<{ email: string; proved: boolean; created_at: Date }>(
    tx,
    `delete from email_undos where hash = $1 and user_id = $2 and expires_at > now()
     returning email, proved, created_at`,
    hashOf(token),
    userId,
  );
  if (!used) throw notGood();
  await run(tx, 'delete from email_undos where user_id = $1 and created_at > $2', userId, used.created_at);
  return { userId, email: used.email, proved: used.proved, since: used.created_at };
}

/** Whether an address can still be given back to another account that proved it, so that nobody may take it meanwhile. */
export async function isReserved(tx: Transaction, key: string, userId?: number): Promise<boolean> {
  const found = await select(
    tx,
    `select user_id from email_undos
     where email_key = $1 and proved and expires_at > now() and user_id is distinct from $2 limit 1`,
    key,
    userId ?? null,
  );
  return found.length > 0;
}

/** Ends all of them with the account. */
export async function endUndos(tx: Transaction, userId: number): Promise<void> {
  await run(tx, 'delete from email_undos where user_id = $1', userId);
}

async function run(tx: Transaction, sql: string, ...bind: unknown[]): Promise<void> {
  await sequelizeOf(tx).query(sql, { type: QueryTypes.RAW, transaction: tx, bind });
}
