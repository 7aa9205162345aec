import { QueryTypes } from 'sequelize';
import { AppError, invalid } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { UserAct } from './act.ts';

/**
 * Suspends a user: all sessions end, on every node, and none begins until then. A second suspension takes the place of
 * the first. Whether it still holds is asked of the clock, so nothing has to end it.
 * @throws {AppError} 422 for an end that is not to come
 */
const suspend: UserAct = async ({ tx, revocations }, { id }, { until }) => {
  const sequelize = sequelizeOf(tx);
  const [row] = await sequelize.query<{ holds: boolean }>(
    `select coalesce($1::timestamptz, 'infinity') > clock_timestamp() as holds`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [until ?? null] },
  );
  if (!row?.holds) {
    const msg = '"until" must be a moment that is to come';
    throw invalid([{ loc: ['body', 'until'], msg, type: 'date.greater' }], 1);
  }
  await sequelize.query(
    `update users set suspended_until = coalesce($2::timestamptz, 'infinity') where id = $1`,
    {
      type: QueryTypes.RAW,
      transaction: tx,
      bind: [id, until ?? null],
    },
  );
  await revocations.revoke(tx, id, { code: 'suspended' });
  return { details: { until: until ?? null } };
};

/** Ends a suspension before its time. @throws {AppError} 409 if the user is not suspended */
const unsuspend: UserAct = async ({ tx }, { id, suspended }) => {
  if (!suspended) throw new AppError('conflict', `User ${id} is not suspended.`);
  await sequelizeOf(tx).query('update users set suspended_until = null where id = $1', {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [id],
  });
  return {};
};

/** Tells a user the reason, and does nothing else. */
const warn: UserAct = () => Promise.resolve({});

export const actsOnUsers = { warn, suspend, unsuspend } as const;
