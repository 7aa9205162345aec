import { QueryTypes, type Sequelize } from 'sequelize';
import { type Cursor, readCursor, writeCursor } from './cursor.ts';
import { type PostRow, presentPost, publishedAt } from './present.ts';
import type { ListPosts, Sort } from './schemas.ts';

/** A page as everyone sees it who may see the same posts: encoded once, but for whether the asker has voted. */
export interface FeedPage {
  /** The stream position that the page reflects. */
  epoch: string;
  seq: number;
  /** Every transaction below this number had ended when the page was read. */
  horizon: string;
  ids: number[];
  /** Each post as JSON text, without the closing brace: what is the asker's own is added behind it. */
  posts: string[];
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

/** The cursor of a list; undefined if it has none, `invalid` if it is not one of this list. */
export function cursorOf(list: ListPosts): Cursor | undefined | 'invalid' {
  return list.cursor === undefined ? undefined : (readCursor(list.cursor, list.sort) ?? 'invalid');
}

/**
 * Reads a page of published posts, and of the drafts of `draftsOf` (or of these alone), with the position in the event stream. Both come
 * from one statement and so from one snapshot: an event up to `seq` is in the page, one after it is still to come.
 */
export async function readFeedPage(
  sequelize: Sequelize,
  list: ListPosts,
  cursor: Cursor | undefined,
  draftsOf: number | undefined,
): Promise<FeedPage> {
  const key = keys[list.sort];
  const bind: unknown[] = [];
  const say = (value: unknown) => `$${bind.push(value)}`;
  const draft = draftsOf === undefined ? 'false' : `not p.published and p.owner_id = ${say(draftsOf)}`;
  const where = [list.published === false ? draft : `(p.published or ${draft})`];
  if (list.owner_id !== undefined) where.push(`p.owner_id = ${say(list.owner_id)}`);
  if (list.search !== '') {
    const pattern = say(`%${list.search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`);
    where.push(`(p.title ilike ${pattern} or p.content ilike ${pattern})`);
  }
  if (cursor) {
    where.push(`(${key.column}, ${key.id}) < (${say(cursor.key)}::${key.cast}, ${say(cursor.id)}::bigint)`);
  }
  const rows = await sequelize.query<
    (PostRow | { id: null }) & { epoch: string; seq: number; horizon: string; key: string }
  >(
    `select h.epoch, h.seq, pg_snapshot_xmin(pg_current_snapshot())::text as horizon, page.*
     from feed_head h left join lateral (
       select p.id, p.title, p.content, p.published, p.created_at, ${publishedAt} as published_at, p.updated_at, p.version, p.owner_id,
              u.username, t.votes, t.rev, ${key.column}::text as key,
              row_number() over (order by ${key.column} desc, ${key.id} desc) as place
       from posts p join users u on u.id = p.owner_id join post_tallies t on t.post_id = p.id
       where u.deleted_at is null and ${where.join(' and ')}
       order by ${key.column} desc, ${key.id} desc
       limit ${say(list.limit + 1)} offset ${say(list.skip)}
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  const [first] = rows;
  if (!first) throw new Error('feed_head has no row');
  const found = rows.filter((row) => row.id !== null);
  const shown = found.slice(0, list.limit);
  const last = shown.at(-1);
  return {
    epoch: first.epoch,
    seq: first.seq,
    horizon: first.horizon,
    ids: shown.map((row) => row.id),
    posts: shown.map((row) => JSON.stringify(presentPost(row)).slice(0, -1)),
    next:
      found.length > list.limit && last ? writeCursor(list.sort, { key: last.key, id: last.id }) : undefined,
  };
}
