import type { Identity } from '../auth/identity.ts';
import { AppError } from '../errors.ts';

interface Visibility {
  published: boolean;
  ownerId: number;
}

/** @throws {AppError} 404 for a post that is not there and for another's draft: nothing tells the two apart. */
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

/**
 * Holds an `If-Match` (RFC 9110, 13.1.1) against a version. A weak tag counts too: proxies weaken what they compress.
 * @throws {AppError} 412
 */
export function requireVersion(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const versions = ifMatch
    .split(',')
    .map((tag) => /^(?:W\/)?"(\d{1,15})(?:\.[\d.]*)?"$/.exec(tag.trim())?.[1]);
  if (!versions.includes(String(version))) {
    throw new AppError(
      'version_mismatch',
      `The post is at version ${version}. Read it again before you change it.`,
    );
  }
}
