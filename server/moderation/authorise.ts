import { QueryTypes } from 'sequelize';
import type { Role } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { ModerationContext } from './context.ts';
import { requireModerating } from './policy.ts';

/** Looks up whether a user moderates, by the table: a role that was taken away holds for no further request. */
export function moderatorCheck(
  ctx: Pick<ModerationContext, 'db'>,
): (user: Identity, requester: Requester) => Promise<void> {
  return async ({ id }, requester) => {
    const [user] = await ctx.db
      .share(requester)
      .query<{ role: Role }>('select role from users where id = $1 and deleted_at is null', {
        type: QueryTypes.SELECT,
        bind: [id],
      });
    requireModerating(user?.role);
  };
}
