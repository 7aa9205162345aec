import { select } from '../database/select.ts';
import { AppError, invalid } from '../errors.ts';
import type { UserAct } from './act.ts';

/**
 * Suspends a user: all sessions end, on every node, and none begins until then. A second suspension takes the place of
 * the first. Whether it still holds is asked of the clock, so nothing has to end it.
 * @throws {AppError} 422 for an end that is not to come
 */
const suspend: UserAct = async ({ tx, revocations }, { id }, { until }) => {
  const end = until ?? null;
  const [row] = await select<{ holds: boolean }>(
    tx,
    `select coalesce($1::timestamptz, 'infinity') > clock_timestamp() as holds`,
    end,
  );
  if (!row?.holds) {
    const msg = '"until" must be a moment that is to come';
    throw invalid([{ loc: ['body', 'until'], msg, type: 'date.greater' }], 1);
  }
  await select(
    tx,
    `update users set suspended_until = coalesce($2::timestamptz, 'infinity') where id = $1`,
    id,
    end,
  );
  await revocations.revoke(tx, id, { code: 'suspended' });
  return { details: { until: end } };
};

/** Ends a suspension before its time. @throws {AppError} 409 if the user is not suspended */
const unsuspend: UserAct = async ({ tx }, { id, suspended }) => {
  if (!suspended) throw new AppError('conflict', `User ${id} is not suspended.`);
  await select(tx, 'update users set suspended_until = null where id = $1', id);
  return {};
};

/** Tells a user the reason, and does nothing else. */
const warn: UserAct = () => Promise.resolve({});

export const actsOnUsers = { warn, suspend, unsuspend } as const;
