import { User } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import { userIsGone } from '../errors.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { UserContext } from './context.ts';
import { type OwnUser, presentOwnUser, type PublicUser } from './present.ts';
import type { ProfileKey } from './profile-reader.ts';

/**
 * What everyone may see of a user; and what `viewer` is to them, if somebody is logged in.
 * @throws {AppError} 404, 503 if too many wait
 */
export function publicProfile(
  ctx: Pick<UserContext, 'profiles'>,
  key: ProfileKey,
  viewer: Identity | undefined,
  requester: Requester,
): Promise<PublicUser> {
  return ctx.profiles.of(key, viewer?.id, requester);
}

/** @throws {AppError} 401 if the user has just been deleted */
export async function ownView(
  ctx: Pick<UserContext, 'db'>,
  viewer: Identity,
  requester: Requester,
): Promise<OwnUser> {
  const user = await ctx.db.share(requester).run(() => User.findByPk(viewer.id));
  if (!user || user.deletedAt) throw userIsGone();
  return presentOwnUser(user);
}
