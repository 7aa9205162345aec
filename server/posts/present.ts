import { digestOf } from '../preconditions.ts';
import { inPublicThread } from '../public-thread.ts';
import type { OwnerView, PostView } from './event-payloads.ts';

/** A post with its owner's name and its tally, as the database joins them. */
export interface PostRow {
  id: number;
  title: string | null;
  content: string;
  published: boolean;
  created_at: Date;
  published_at: Date | null;
  updated_at: Date;
  version: number;
  owner_id: number;
  username: string;
  parent_id: number | null;
  root_id: number | null;
  tags: string[];
  mentions: OwnerView[];
  locked: boolean;
  votes: number;
  replies: number;
  rev: number;
}

/** The first publication of a post `p`, in SQL: null for a draft that has never been public. */
const publishedAt = 'case when p.published or p.was_published then p.listed_at end';

/** The columns of a `PostRow` in SQL, of a post `p` with its owner `u` and its tally `t`. */
export const postColumns = `p.id, p.title, p.content, p.published, p.created_at, ${publishedAt} as published_at,
  p.updated_at, p.version, p.owner_id, u.username, p.parent_id, p.root_id, coalesce(p.tags, '{}') as tags,
  coalesce(p.mentions, '[]') as mentions, p.locked_at is not null as locked, t.votes, t.replies, t.rev`;

/** Where `postColumns` come from, in SQL. */
export const postTables = 'posts p join users u on u.id = p.owner_id join post_tallies t on t.post_id = p.id';

/**
 * SQL: the row of a table that belongs to each row so far, looked up by a key. Without `offset 0` PostgreSQL may read
 * the whole table instead.
 * @param by the condition, such as `t.post_id = p.id` for the alias `t`
 */
export function lookup(table: string, alias: string, by: string): string {
  return `cross join lateral (select * from ${table} ${alias} where ${by} offset 0) ${alias}`;
}

/** Of the posts with the ids in `$1` those that everyone may see, in SQL: rows for `presentPost`, by id. */
export const publishedPosts = `select ${postColumns} from ${postTables}
  where p.id = any($1::bigint[]) and p.published and ${inPublicThread} order by p.id`;

/** A post with all that this version of the service knows of it. */
type WholePost = PostView &
  Required<Pick<PostView, 'published_at' | 'parent_id' | 'root_id' | 'tags' | 'mentions' | 'replies'>>;

/** A post as one requester sees it. */
export type PostAnswer = PostView & { published_at: string | null; voted: boolean };

/** A post as everyone may see it: what events carry. */
export function presentPost(row: PostRow): WholePost {
  return {
    id: row.id,
    title: row.title,
    content: row.content,
    published: row.published,
    created_at: row.created_at.toISOString(),
    published_at: row.published_at?.toISOString() ?? null,
    updated_at: row.updated_at.toISOString(),
    version: row.version,
    owner_id: row.owner_id,
    owner: { id: row.owner_id, username: row.username },
    parent_id: row.parent_id,
    root_id: row.root_id,
    tags: row.tags,
    mentions: row.mentions,
    ...(row.locked && { locked: true }),
    votes: row.votes,
    replies: row.replies,
    rev: row.rev,
  };
}

/** A post as a REST answer. */
export function presentAnswer(row: PostRow & { voted: boolean }): WholePost & { voted: boolean } {
  return { ...presentPost(row), voted: row.voted };
}

/**
 * The tag of a post's representation: its version, and a digest of all that the requester sees, as a number. It changes with
 * whatever is shown: an edit, a vote, the owner's name.
 */
export function entityTag(version: number, json: string): string {
  return `"${version}.${digestOf(json)}"`;
}

/**
 * Whether a tag stands for this version of a post. In a precondition of a write only the version counts, or each vote would
 * spoil an edit; so the version alone, `"3"`, is a tag as well.
 */
export function isTagOf(version: number, tag: string): boolean {
  return /^(\d{1,15})(?:\.[\d.]*)?$/.exec(tag)?.[1] === String(version);
}
