import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/**
 * Takes away the next notifications that a deleted user has caused, of which the others are told, and then the user's
 * own.
 * @param most in one piece
 * @returns whether none is left
 */
export async function endNotifications(tx: Transaction, userId: number, most: number): Promise<boolean> {
  const [row] = await sequelizeOf(tx).query<{ gone: number }>(
    'select forget_notifications_of($1, $2) as gone',
    { type: QueryTypes.SELECT, transaction: tx, bind: [userId, most] },
  );
  return row !== undefined && row.gone < most;
}
