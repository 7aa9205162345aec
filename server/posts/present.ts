import type { PostView } from '../events.ts';

/** A post with its owner's name and its tally, as the database joins them. */
export interface PostRow {
  id: number;
  title: string;
  content: string;
  published: boolean;
  created_at: Date;
  updated_at: Date;
  version: number;
  owner_id: number;
  username: string;
  votes: number;
  rev: number;
}

/** A post as one asker sees it. */
export type PostAnswer = PostView & { voted: boolean };

/** A post as everyone may see it: what events carry. */
export function presentPost(row: PostRow): PostView {
  return {
    id: row.id,
    title: row.title,
    content: row.content,
    published: row.published,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    version: row.version,
    owner_id: row.owner_id,
    owner: { id: row.owner_id, username: row.username },
    votes: row.votes,
    rev: row.rev,
  };
}

/** A post as a REST answer. */
export function presentAnswer(row: PostRow & { voted: boolean }): PostAnswer {
  return { ...presentPost(row), voted: row.voted };
}

/**
 * The validator of a post's representation: version, rev, and whether the asker has voted. An edit's `If-Match` is held
 * against the version alone, or each vote would spoil it.
 */
export function entityTag(post: PostAnswer): string {
  return `"${post.version}.${post.rev}.${post.voted ? 1 : 0}"`;
}
