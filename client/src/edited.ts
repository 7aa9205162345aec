import type { PostView } from './contract.ts';

/**
 * Whether the author has changed a post since it was first published. Its `version` does not tell: it also grows where a
 * moderator restores the post or closes its thread, and with the edits of a draft.
 */
export function isEdited(post: Pick<PostView, 'created_at' | 'published_at' | 'updated_at'>): boolean {
  return post.updated_at > (post.published_at ?? post.created_at);
}
