import type { Viewer } from '../identity.ts';
import { AppError } from '../errors.ts';

interface Visibility {
  published: boolean;
  ownerId: number | null;
  deletedAt?: Date | null;
}

/** @param root of a reply, the first post of its thread: a thread that was withdrawn only the owner of that sees */
export function isVisible<P extends Visibility>(
  post: P | null | undefined,
  viewer: Viewer,
  root: Visibility | null | undefined,
): post is P {
  const thread = root ?? post;
  return !!post && !!thread && !post.deletedAt && (thread.published || thread.ownerId === viewer.id);
}

/**
 * @throws {AppError} 404 for a post that is not there or was deleted, and for another's draft or what answers it: they
 *   cannot be distinguished.
 */
export function requireVisible<P extends Visibility>(
  post: P | null | undefined,
  viewer: Viewer,
  id: number,
  root?: Visibility | null,
): P {
  if (!isVisible(post, viewer, root)) throw new AppError('not_found', `There is no post ${id}.`);
  return post;
}

/** @throws {AppError} 404, or 403 for a post that one may see but that is another's. */
export function requireOwn<P extends Visibility>(
  post: P | null | undefined,
  viewer: Viewer,
  id: number,
  root?: Visibility | null,
): P {
  const visible = requireVisible(post, viewer, id, root);
  if (visible.ownerId !== viewer.id) throw new AppError('forbidden', `Post ${id} is not yours.`);
  return visible;
}
