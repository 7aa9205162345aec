import { QueryTypes, type Transaction } from 'sequelize';
import { isSuspended, reasonOfSuspension, refusedBySuspension } from '../moderation/policy.ts';
import type { AuthContext } from './context.ts';

/**
 * Whether a suspension holds is asked of the database's clock whenever it matters, so nothing has to end it.
 * @throws {AppError} 403
 */
export async function requireNotSuspended(
  ctx: Pick<AuthContext, 'db'>,
  tx: Transaction,
  userId: number,
): Promise<void> {
  const [user] = await ctx.db.sequelize.query<{ until: Date | null; reason: string | null }>(
    `select nullif(u.suspended_until, 'infinity') as until, (${reasonOfSuspension}) as reason from users u where u.id = $1 and ${isSuspended}`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [userId] },
  );
  if (user) throw refusedBySuspension(user);
}
