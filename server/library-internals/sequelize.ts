import { type Sequelize, type Transaction } from 'sequelize';

/**
 * The instance that a transaction belongs to. Sequelize's constructor of transactions takes it, and its typings leave it out.
 * @throws if this version of Sequelize does not tell it: nothing can be written then
 */
export function sequelizeOf(tx: Transaction): Sequelize {
  const { sequelize } = tx as Transaction & { sequelize?: Sequelize };
  if (!sequelize)
    throw new Error('this version of Sequelize does not report which transaction a connection belongs to');
  return sequelize;
}

/**
 * How many connections of the pool are in use, and how many requests wait for one. Sequelize does not document its pool.
 * @returns zeros if this version does not tell: see `tellsPoolUse`
 */
export function poolUse(sequelize: Sequelize): { using: number; waiting: number } {
  const { using, waiting } = poolOf(sequelize);
  return tellsPoolUse(sequelize)
    ? { using: Number(using), waiting: Number(waiting) }
    : { using: 0, waiting: 0 };
}

/** Whether this version of Sequelize tells how its pool is used. */
export function tellsPoolUse(sequelize: Sequelize): boolean {
  const { using, waiting } = poolOf(sequelize);
  return typeof using === 'number' && typeof waiting === 'number';
}

function poolOf({ connectionManager }: Sequelize): { using?: unknown; waiting?: unknown } {
  return (connectionManager as { pool?: { using?: unknown; waiting?: unknown } }).pool ?? {};
}
