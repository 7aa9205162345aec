import { QueryTypes, type Transaction } from 'sequelize';
import { AppError } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { lockForAct } from './act.ts';
import { reportResolved } from './events.ts';
import { requireModerating } from './policy.ts';

/** What a case is about. */
export interface CaseTarget {
  postId?: number;
  userId?: number;
}

/** An open case, locked. */
interface OpenCase {
  id: number;
  post_id: number | null;
  user_id: number;
}

/**
 * Resolves the open case of a target, with all of its reports.
 * @returns appends the event of it, as the last statement of the transaction; undefined if there is no open case
 */
export async function resolveCase(
  tx: Transaction,
  { postId = 0, userId = 0 }: CaseTarget,
  resolution: string,
): Promise<(() => Promise<void>) | undefined> {
  const [found] = await sequelizeOf(tx).query<OpenCase>(
    `update moderation_cases set resolved_at = clock_timestamp(), resolution = $3
     where resolved_at is null and case when $1::bigint > 0 then post_id = $1 else user_id = $2 and post_id is null end
     returning id, post_id, user_id`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [postId, userId, resolution] },
  );
  return found && (() => append(tx, reportResolved, { ...found, resolution }));
}

/**
 * Resolves a case without an action. Its post, or its user, may be gone by then.
 * @throws {AppError} 404 if there is no open case, 403
 */
export async function dismissCase(
  tx: Transaction,
  moderatorId: number,
  target: CaseTarget,
): Promise<{ userId: number; tell: () => Promise<void> }> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const [found] = await query<{ user_id: number }>(
    `select user_id from moderation_cases
     where resolved_at is null and case when $1::bigint > 0 then post_id = $1 else user_id = $2 and post_id is null end`,
    target.postId ?? 0,
    target.userId ?? 0,
  );
  // Users before cases, as everyone.
  const isThere = found && (await lockForAct(tx, moderatorId, found.user_id));
  if (found && !isThere) {
    const [actor] = await query<{ role: 'user' | 'moderator' | 'admin' }>(
      'select role from users where id = $1 and deleted_at is null for share',
      moderatorId,
    );
    requireModerating(actor?.role);
  }
  const tell = found && (await resolveCase(tx, target, 'dismiss'));
  if (!found || !tell) throw new AppError('not_found', 'There is no open case of this.');
  return { userId: found.user_id, tell };
}
