import type { Transaction } from 'sequelize';
import { select } from './select.ts';

/** The present by the clock of the database, to the millisecond: what is stored is not by that of a node, which may be wrong. */
export async function databaseTime(tx: Transaction): Promise<Date> {
  const [row] = await select<{ now: Date }>(tx, 'select clock_timestamp() as now');
  if (!row) throw new Error('the database does not tell the time');
  return row.now;
}
