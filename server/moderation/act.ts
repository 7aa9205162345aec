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

/** A post that an action is about, locked with what it answers. */
export interface TargetPost {
  id: number;
  /** Of a reply, the first post of its thread. */
  rootId: number | null;
  /** Whether everyone may see it. */
  visible: boolean;
  removed: boolean;
  /** Whether its thread is gone for good. */
  orphaned: boolean;
  locked: boolean;
}

/** An action on a post, in the transaction that has locked it and its owner. */
export type PostAct = (ctx: ActContext, post: TargetPost, input: ActInput) => Promise<Acted>;

/** An action on a user, in the transaction that has locked the user. */
export type UserAct = (ctx: ActContext, user: TargetUser, input: ActInput) => Promise<Acted>;

/**
 * Locks who acts and whom it is about, in the order in which everyone locks users: a role that is taken away meanwhile
 * and a suspension of who acts are seen, and two who act on one user do so one after the other.
 * @param others who are to stay as they are, too
 * @returns undefined if there is no such user
 * @throws {AppError} 403
 */
export async function lockForAct(
  tx: Transaction,
  actorId: number,
  targetId: number,
  others: readonly number[] = [],
): Promise<TargetUser | undefined> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const lockOf = (id: number) => (id === targetId ? 'no key update' : id === actorId ? 'share' : 'key share');
  for (const id of [...new Set([actorId, targetId, ...others])].sort((a, b) => a - b))
    await query(`select 1 from users where id = $1 for ${lockOf(id)}`, id);
  const users = await query<TargetUser>(
    `select u.id, u.role, ${isSuspended} as suspended from users u where u.id in ($1, $2) and u.deleted_at is null`,
    actorId,
    targetId,
  );
  const actor = users.find(({ id }) => id === actorId) ?? {
    id: actorId,
    role: 'user' as const,
    suspended: false,
  };
  const target = users.find(({ id }) => id === targetId);
  if (target) requireMayActOn(actor, target);
  return target;
}
