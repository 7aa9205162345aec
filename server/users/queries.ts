import { User } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import { AppError, unauthorized } from '../errors.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { UserContext } from './context.ts';
import { type OwnUser, presentOwnUser, presentUser, type PublicUser } from './present.ts';

/** @throws {AppError} 404 */
export async function publicProfile(
  ctx: Pick<UserContext, 'db'>,
  id: number,
  requester: Requester,
): Promise<PublicUser> {
  const user = await ctx.db.share(requester).run(() => User.findByPk(id));
  if (!user || user.deletedAt) throw new AppError('not_found', `There is no user ${id}.`);
  return presentUser(user);
}

/** @throws {AppError} 401 if the user has just been deleted */
export async function ownView(
  ctx: Pick<UserContext, 'db'>,
  viewer: Identity,
  requester: Requester,
): Promise<OwnUser> {
  const user = await ctx.db.share(requester).run(() => User.findByPk(viewer.id));
  if (!user || user.deletedAt) throw unauthorized('The user of this access token has been deleted.');
  return presentOwnUser(user);
}
