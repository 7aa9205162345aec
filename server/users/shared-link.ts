import { AppError } from '../errors.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { UserContext } from './context.ts';
import { nameParams } from './schemas.ts';

/** What a link to a profile tells those without an account. @throws {AppError} 404, 503 */
export async function userLink(ctx: Pick<UserContext, 'profiles'>, name: string, requester: Requester) {
  if (nameParams.validate({ username: name }).error)
    throw new AppError('not_found', 'There is no such user.');
  const { username, bio } = await ctx.profiles.of({ username: name }, undefined, requester);
  return {
    title: `@${username}`,
    description: bio.trim() === '' ? `What ${username} writes.` : bio,
    path: `/@${encodeURIComponent(username)}`,
    type: 'profile' as const,
    listed: true,
  };
}
