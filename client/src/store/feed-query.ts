import type { PostView, Sort } from '../contract.ts';
import { contains, wordsOf } from '../fold.ts';
import { tagForm } from '../tag-form.ts';

/** Which posts are in the list, and their order. */
export interface FeedQuery {
  /** `home`: the user's own posts and those of users whom they follow. */
  view?: 'all' | 'home';
  sort?: Sort;
  search?: string;
  ownerId?: number;
  /** Posts with this tag, with or without `#`. */
  tag?: string;
  /** Published posts alone. Left out, the user's own drafts are in the list too. */
  published?: true;
}

/** The members of some options that are a query. */
export function queryOf({ view, sort, search, ownerId, tag, published }: FeedQuery): FeedQuery {
  const query = { view, sort, search, ownerId, tag, published };
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

/** The narrowest topic that has each event of a list; undefined: only everything has. */
export function topicOf({ view, ownerId, tag }: FeedQuery): string | undefined {
  if (view === 'home') return 'home';
  if (ownerId !== undefined) return `author:${ownerId}`;
  return tag === undefined ? undefined : `tag:${tagForm(tag)}`;
}

/** Whether a post belongs to a list, but for whom the user follows. */
export function belongs({ ownerId, tag, search = '' }: FeedQuery, post: PostView): boolean {
  if ((post.parent_id ?? null) !== null) return false;
  if (ownerId !== undefined && post.owner_id !== ownerId) return false;
  return hasTag(tag, post) && contains(wordsOf(search), post.title ?? '', post.content);
}

function hasTag(tag: string | undefined, { tags = [] }: PostView): boolean {
  return tag === undefined || tags.includes(tagForm(tag));
}
