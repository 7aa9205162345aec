import { QueryTypes, type Transaction } from 'sequelize';
import type { Role } from '../../models/index.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { ModerationContext } from './context.ts';
import { isSuspended, requireMayActOn } from './policy.ts';

/** What an act works with: its transaction, in which everything of it is written. */
export type ActContext = Pick<ModerationContext, 'revocations'> & { tx: Transaction };

/** What is said of an action, beside whom or what it is about. */
export interface ActInput {
  reason: string;
  /** When a suspension ends. RFC 3339. */
  until?: string;
}

/** What is done, for the audit log and behind it. */
export interface Acted {
  /** For the audit log. */
  details?: Record<string, unknown>;
  /** Appends the events of the act, as the last statements of its transaction. */
  tell?: () => Promise<void>;
}

/** A user whom an action is about, locked. */
export interface TargetUser {
  id: number;
  role: Role;
  suspended: boolean;
}

/** An action on a user, in the transaction that has locked the user. */
export type UserAct = (ctx: ActContext, user: TargetUser, input: ActInput) => Promise<Acted>;

/**
 * Locks who acts and whom it is about, in the order in which everyone locks users: a role that is taken away meanwhile
 * is seen, and two who act on one user do so one after the other.
 * @returns undefined if there is no such user
 * @throws {AppError} 403
 */
export async function lockForAct(
  tx: Transaction,
  actorId: number,
  targetId: number,
): Promise<TargetUser | undefined> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  for (const id of [...new Set([actorId, targetId])].sort((a, b) => a - b))
    await query(`select 1 from users where id = $1 for ${id === targetId ? 'no key update' : 'share'}`, id);
  const users = await query<TargetUser>(
    `select u.id, u.role, ${isSuspended} as suspended from users u where u.id in ($1, $2) and u.deleted_at is null`,
    actorId,
    targetId,
  );
  const actor = users.find(({ id }) => id === actorId) ?? { id: actorId, role: 'user' as const };
  const target = users.find(({ id }) => id === targetId);
  if (target) requireMayActOn(actor, target);
  return target;
}
