import type { Identity } from '../identity.ts';
import { AppError } from '../errors.ts';

interface Visibility {
  published: boolean;
  ownerId: number;
}

/**
 * @throws {AppError} 404 for a post that is not there and for another's draft: the two cannot be distinguished.
 */
export function requireVisible<P extends Visibility>(
  post: P | null | undefined,
  viewer: Identity,
  id: number,
): P {
  if (!post || (!post.published && post.ownerId !== viewer.id)) {
    throw new AppError('not_found', `There is no post ${id}.`);
  }
  return post;
}

/** @throws {AppError} 404, or 403 for a post that one may see but that is another's. */
export function requireOwn<P extends Visibility>(
  post: P | null | undefined,
  viewer: Identity,
  id: number,
): P {
  const visible = requireVisible(post, viewer, id);
  if (visible.ownerId !== viewer.id) throw new AppError('forbidden', `Post ${id} is not yours.`);
  return visible;
}
