import { NoHead } from '../log/reader.ts';
import { inPublicThread } from '../public-thread.ts';
import { hiddenAuthors, homeAuthors } from '../relations/policy.ts';
import { type Cursor, readCursor, type Sort, writeCursor } from './cursor.ts';
import { type PostRow, presentPost } from './present.ts';
import type { ListPosts } from './schemas.ts';

/** A page as everyone sees it who may see the same posts: encoded once, but for whether the requester has voted. */
export interface FeedPage {
  /** The stream position that the page reflects. */
  epoch: string;
  seq: number;
  /** Every transaction below this number had ended when the page was read. */
  horizon: string;
  ids: number[];
  /** Each post as JSON text, without the closing brace: what is the requester's own is added behind it. */
  posts: string[];
  /** Whether a draft of the requester's is among them. */
  hasDrafts: boolean;
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

/** What a page is sorted by, newest or highest first, with the id as the tie-breaker, and how a cursor says it. */
const keys: Record<Sort, { column: string; id: string; cast: string }> = {
  // The timestamp goes through as text: a JavaScript Date would cut its microseconds and so repeat or lose neighbours.
  new: { column: 'p.listed_at', id: 'p.id', cast: 'timestamptz' },
  top: { column: 't.votes', id: 't.post_id', cast: 'integer' },
  hot: { column: 't.hot', id: 't.post_id', cast: 'double precision' },
};

/** What some list needs of posts and is still to be made of their text: lists that would miss posts wait for it. */
export type Preparation = 'searches' | 'tags';

/** There are posts that the list would miss: what it needs of them is still to be made. */
export class Unprepared extends Error {
  override readonly name = 'Unprepared';
  readonly what: Preparation;

  constructor(what: Preparation) {
    super(`Not all posts are prepared for ${what} yet.`);
    this.what = what;
  }
}

/** What a list is sorted by. Posts with a tag are met by age, in the index of that (`post_tags g`). */
export function keyOfList({ sort, tag }: ListPosts): (typeof keys)[Sort] {
  return tag === undefined ? keys[sort] : { ...keys.new, column: 'g.listed_at', id: 'g.post_id' };
}

/** The cursor of a list; undefined if it has none, `invalid` if it is not one of this list. */
export function cursorOf(list: ListPosts): Cursor | undefined | 'invalid' {
  return list.cursor === undefined ? undefined : (readCursor(list.cursor, list.sort) ?? 'invalid');
}

/** What makes a list its requester's own. Where nothing does, it is the same for everyone who asks alike. */
export interface OwnScope {
  /** Whose drafts it may hold. */
  draftsOf: number | undefined;
  /** Whose home page it is. */
  homeOf: number | undefined;
  /** Whose hidden authors it leaves out. */
  hiddenFrom: number | undefined;
}

/** Which posts a list may hold, before anything is searched in it. */
export interface ListScope extends OwnScope {
  list: ListPosts;
  cursor: Cursor | undefined;
}

/** A post of the list, or none in the only row of an empty one. */
export type PageRow = (PostRow | { id: null }) & { epoch: string; seq: number; horizon: string; key: string };

/** What a page says of the moment at which it was read (`feed_head h`). */
export const position = `h.epoch, h.seq, pg_snapshot_xmin(pg_current_snapshot())::text as horizon`;

/** The values of a statement: `say` binds one and gives its place. */
export function binding(): { bind: unknown[]; say: (value: unknown) => string } {
  const bind: unknown[] = [];
  return { bind, say: (value) => `$${bind.push(value)}` };
}

/**
 * The condition of a list on `posts p`, if it is sorted by votes or rank on `post_tallies t`, and if it is of a tag on
 * `post_tags g`.
 */
export function conditions(scope: ListScope, say: (value: unknown) => string): string {
  const { list, cursor, draftsOf, homeOf, hiddenFrom } = scope;
  const key = keyOfList(list);
  const draft = draftsOf === undefined ? 'false' : `not p.published and p.owner_id = ${say(draftsOf)}`;
  const where = [list.published === false ? draft : `(p.published or ${draft})`];
  if (list.replies && homeOf === undefined) where.push(inPublicThread);
  // Each by the index of its order that has no replies in it.
  else where.push(list.sort === 'new' ? 'p.parent_id is null' : 't.root_id is null');
  if (list.owner_id !== undefined) where.push(`p.owner_id = ${say(list.owner_id)}`);
  if (list.tag !== undefined) where.push(`g.tag = ${say(list.tag)}`);
  if (homeOf !== undefined) where.push(`p.owner_id in (${homeAuthors(say(homeOf))})`);
  if (hiddenFrom !== undefined) where.push(`p.owner_id not in (${hiddenFor(list, say(hiddenFrom))})`);
  if (cursor) {
    where.push(`(${key.column}, ${key.id}) < (${say(cursor.key)}::${key.cast}, ${say(cursor.id)}::bigint)`);
  }
  return where.join(' and ');
}

/** SQL: a query of the authors that a list leaves out. That of one author's posts leaves out none for a mute alone. */
export function hiddenFor({ owner_id }: ListPosts, viewer: string): string {
  return hiddenAuthors(viewer, { mutes: owner_id === undefined });
}

/** @param rows one more than the page shows, if there is a next page */
export function pageOf(list: ListPosts, rows: readonly PageRow[]): FeedPage {
  const [first] = rows;
  if (!first) throw new NoHead();
  const found = rows.filter((row) => row.id !== null);
  const page = found.slice(0, list.limit);
  const last = page.at(-1);
  return {
    epoch: first.epoch,
    seq: first.seq,
    horizon: first.horizon,
    ids: page.map((row) => row.id),
    posts: page.map((row) => JSON.stringify(presentPost(row)).slice(0, -1)),
    hasDrafts: page.some((row) => !row.published),
    next:
      found.length > list.limit && last ? writeCursor(list.sort, { key: last.key, id: last.id }) : undefined,
  };
}
