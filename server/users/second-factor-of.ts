import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/** Forgets the second factor of the logins of a user who is being deleted. */
export async function forgetSecondFactor(tx: Transaction, userId: number): Promise<void> {
  for (const table of ['recovery_codes', 'totp_secrets'])
    await sequelizeOf(tx).query(`delete from ${table} where user_id = $1`, {
      type: QueryTypes.RAW,
      transaction: tx,
      bind: [userId],
    });
}
