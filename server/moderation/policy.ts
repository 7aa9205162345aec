import type { Role } from '../../models/index.ts';
import { AppError } from '../errors.ts';

/** Somebody who acts, or whom an action is about. */
interface Ranked {
  id: number;
  role: Role;
}

const rank: Record<Role, number> = { user: 0, moderator: 1, admin: 2 };

/** Somebody who wants to moderate. */
interface Actor {
  role: Role;
  suspended: boolean;
}

/** @throws {AppError} 403 unless the user moderates: not while suspended */
export function requireModerating(user: Actor | undefined): void {
  if (user === undefined || user.suspended || rank[user.role] < rank.moderator)
    throw new AppError('forbidden', 'Only moderators may do this.');
}

/**
 * Nobody acts on themselves, or on a higher role; moderators not on moderators either.
 * @throws {AppError} 403
 */
export function requireMayActOn(actor: Ranked & Actor, target: Ranked): void {
  requireModerating(actor);
  const mayAct = actor.role === 'admin' || rank[target.role] < rank[actor.role];
  if (actor.id === target.id || !mayAct)
    throw new AppError(
      'forbidden',
      'You may not act on yourself, or on a user of a higher role or, as a moderator, of your own.',
    );
}

/** SQL: the condition that a user `u` is suspended, as of this moment. */
export const isSuspended = '(u.suspended_until > clock_timestamp()) is true';

/** SQL: why a user `u` is suspended, in the words of the moderator. */
export const reasonOfSuspension = `select e.reason from audit_log e
  where e.user_id = u.id and e.action = 'suspend' order by e.id desc limit 1`;

/**
 * The refusal of whatever would begin a session of a suspended user.
 * @param suspension.until null if there is no end
 * @param suspension.reason null if the audit log has none
 */
export function refusedBySuspension({
  until,
  reason,
}: {
  until: Date | null;
  reason: string | null;
}): AppError {
  const end = until?.toISOString() ?? null;
  const said = end === null ? 'This account is suspended.' : `This account is suspended until ${end}.`;
  return new AppError('suspended', reason === null ? said : `${said} The reason: ${reason}`, {
    members: { until: end, reason },
  });
}
