import { QueryTypes, type Transaction } from 'sequelize';
import type { Role } from '../../models/index.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { roleChanged } from '../moderation/events.ts';

/**
 * Takes away the role of a user who is being deleted, whose row is locked: the stream forgets it with the event, which
 * nobody can hear any more.
 */
export async function endRole(tx: Transaction, userId: number): Promise<void> {
  const query = <T extends object>(sql: string) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind: [userId] });
  const [user] = await query<{ role: Role }>(`select role from users where id = $1 and role <> 'user'`);
  if (!user) return;
  await query(`update users set role = 'user' where id = $1`);
  await append(tx, roleChanged, { userId, role: 'user', before: user.role });
}
