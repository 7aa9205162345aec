import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/** The rows of a statement within a transaction. @param bind its `$1`, `$2` and so on */
export function select<T extends object>(tx: Transaction, sql: string, ...bind: unknown[]): Promise<T[]> {
  return sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
}
