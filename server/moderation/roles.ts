import { QueryTypes, type Transaction } from 'sequelize';
import type { Role } from '../../models/index.ts';
import { AppError } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { audit } from './audit.ts';
import { roleChanged } from './events.ts';
import { isSuspended } from './policy.ts';
import { usernameKey } from '../text/username-key.ts';

/** What a grant found: the user by the name as it is written, and the role before. */
export interface Granted {
  username: string;
  before: Role;
}

interface Account {
  id: number;
  username: string;
  role: Role;
}

/**
 * Gives a user a role, as the operator. Repeating it changes nothing, and nothing is noted of it.
 *
 * All administrators are locked with the user, in the order in which everyone locks users: of two who demote the last
 * two at once, the second one finds that there is no other.
 * @param name in any case
 * @throws {AppError} 404; 409 for the last administrator
 */
export async function grantRole(tx: Transaction, name: string, role: Role, reason: string): Promise<Granted> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const named = `${usernameKey} = lower($1 collate "C")`;
  await query(
    `select 1 from users u where ${named} or u.role = 'admin' order by u.id for no key update`,
    name,
  );
  const [account] = await query<Account>(
    `select u.id, u.username, u.role from users u where ${named} and u.deleted_at is null`,
    name,
  );
  if (!account) throw new AppError('not_found', `There is no user ${name}.`);
  const { id, username, role: before } = account;
  if (before === role) return { username, before };
  if (before === 'admin') {
    const others = await query(
      `select 1 from users u where u.role = 'admin' and u.id <> $1 and u.deleted_at is null and not ${isSuspended} limit 1`,
      id,
    );
    if (others.length === 0)
      throw new AppError('conflict', `${username} is the last administrator. Make somebody else one first.`);
  }
  await query('update users set role = $2 where id = $1', id, role);
  await audit(tx, { action: 'grant', actorId: null, userId: id, reason, details: { role, before } });
  await append(tx, roleChanged, { userId: id, role, before });
  return { username, before };
}
