import { QueryTypes, type Transaction } from 'sequelize';
import type { Role } from '../../models/index.ts';
import { AppError } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { lockForAct } from './act.ts';
import { reportResolved } from './events.ts';
import { type Notice, reportersOf } from './notices.ts';
import { isSuspended, requireModerating } from './policy.ts';

/** What a case is about. */
export interface CaseTarget {
  postId?: number;
  userId?: number;
}

/** What cases are about: posts, or a user. */
export type CaseTargets = { postIds: readonly number[] } | { userId: number };

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

/** Resolves the open cases of some targets, with all of their reports. */
export async function resolveCases(
  tx: Transaction,
  targets: CaseTargets,
  resolution: string,
): Promise<ResolvedCase[]> {
  const found = await sequelizeOf(tx).query<OpenCase & { thread_id: number | null }>(
    `update moderation_cases set resolved_at = clock_timestamp(), resolution = $3
     where resolved_at is null and (post_id = any ($1::bigint[]) or user_id = $2 and post_id is null)
     returning id, post_id, user_id,
       coalesce((select p.root_id from posts p where p.id = post_id), post_id) as thread_id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: [
        'postIds' in targets ? targets.postIds : [],
        'userId' in targets ? targets.userId : 0,
        resolution,
      ],
    },
  );
  const told: ResolvedCase[] = [];
  for (const { thread_id, ...resolved } of found) {
    const { id, post_id } = resolved;
    const reporters = await reportersOf(tx, id);
    told.push({
      notices: reporters.map((user_id) => ({
        user_id,
        group_key: `case:${id}`,
        act: resolution === 'dismiss' ? 'report_dismissed' : 'report_acted',
        post_id,
        thread_id,
      })),
      tell: () => append(tx, reportResolved, { ...resolved, resolution }),
    });
  }
  return told;
}

/**
 * Resolves a case without an action. Its post, or its user, may be gone by then.
 * @throws {AppError} 404 if there is no open case, 403
 */
export async function dismissCase(
  tx: Transaction,
  moderatorId: number,
  target: CaseTarget,
): Promise<{ userId: number; resolved: ResolvedCase[] }> {
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
    // Its row is locked.
    const [actor] = await query<{ role: Role; suspended: boolean }>(
      `select u.role, ${isSuspended} as suspended from users u where u.id = $1 and u.deleted_at is null`,
      moderatorId,
    );
    requireModerating(actor);
  }
  const { postId, userId = 0 } = target;
  const targets = postId === undefined ? { userId } : { postIds: [postId] };
  const resolved = found ? await resolveCases(tx, targets, 'dismiss') : [];
  if (!found || resolved.length === 0) throw new AppError('not_found', 'There is no open case of this.');
  return { userId: found.user_id, resolved };
}
