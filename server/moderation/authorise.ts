import { QueryTypes } from 'sequelize';
import type { Role } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { ModerationContext } from './context.ts';
import { isSuspended, requireModerating } from './policy.ts';

/**
 * Looks up whether a user moderates, by the table: a role that was taken away, and that of a suspended user, hold for no
 * further request.
 */
export function moderatorCheck(
  ctx: Pick<ModerationContext, 'db'>,
): (user: Identity, requester: Requester) => Promise<void> {
  return async ({ id }, requester) => {
    const [user] = await ctx.db.share(requester).query<{
      role: Role;
      suspended: boolean;
    }>(`select u.role, ${isSuspended} as suspended from users u where u.id = $1 and u.deleted_at is null`, {
      type: QueryTypes.SELECT,
      bind: [id],
    });
    requireModerating(user);
  };
}
