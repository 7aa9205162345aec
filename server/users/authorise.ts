import { QueryTypes } from 'sequelize';
import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { UserContext } from './context.ts';

/** Looks up whether the e-mail address of a user is verified, where `VERIFY_EMAIL` asks for it. */
export function verifiedCheck(
  ctx: Pick<UserContext, 'config' | 'db'>,
): (user: Identity, requester: Requester) => Promise<void> {
  if (ctx.config.verifyEmail === 'off') return () => Promise.resolve();
  return async ({ id }, requester) => {
    const [user] = await ctx.db
      .share(requester)
      .query('select id from users where id = $1 and email_verified_at is not null', {
        type: QueryTypes.SELECT,
        bind: [id],
      });
    if (!user)
      throw new AppError(
        'email_unverified',
        'Verify your e-mail address first: open the link in the mail that you were sent, or have it sent again.',
      );
  };
}
