import { QueryTypes, type Transaction } from 'sequelize';
import { AppError } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { lockForAct } from './act.ts';
import { reportResolved } from './events.ts';
import { type Notice, reportersOf } from './notices.ts';
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

/** A case that has been resolved. */
export interface ResolvedCase {
  /** For those who reported it: that it was looked at, and no more. */
  notices: Notice[];
  /** Appends the event of it, as the last statement of the transaction. */
  tell: () => Promise<void>;
}

/**
 * Resolves the open case of a target, with all of its reports.
 * @returns undefined if there is no open case
 */
export async function resolveCase(
  tx: Transaction,
  { postId = 0, userId = 0 }: CaseTarget,
  resolution: string,
): Promise<ResolvedCase | undefined> {
  const [found] = await sequelizeOf(tx).query<OpenCase & { thread_id: number | null }>(
    `update moderation_cases set resolved_at = clock_timestamp(), resolution = $3
     where resolved_at is null and case when $1::bigint > 0 then post_id = $1 else user_id = $2 and post_id is null end
     returning id, post_id, user_id,
       coalesce((select p.root_id from posts p where p.id = post_id), post_id) as thread_id`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [postId, userId, resolution] },
  );
  if (!found) return undefined;
  const { thread_id, ...resolved } = found;
  const { id, post_id } = resolved;
  const reporters = await reportersOf(tx, id);
  return {
    notices: reporters.map((user_id) => ({
      user_id,
      group_key: `case:${id}`,
      act: resolution === 'dismiss' ? 'report_dismissed' : 'report_acted',
      post_id,
      thread_id,
    })),
    tell: () => append(tx, reportResolved, { ...resolved, resolution }),
  };
}

/**
 * Resolves a case without an action. Its post, or its user, may be gone by then.
 * @throws {AppError} 404 if there is no open case, 403
 */
export async function dismissCase(
  tx: Transaction,
  moderatorId: number,
  target: CaseTarget,
): Promise<{ userId: number; resolved: ResolvedCase }> {
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
  const resolved = found && (await resolveCase(tx, target, 'dismiss'));
  if (!found || !resolved) throw new AppError('not_found', 'There is no open case of this.');
  return { userId: found.user_id, resolved };
}
