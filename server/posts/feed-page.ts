import { QueryTypes, type Sequelize } from 'sequelize';
import { wordsOf } from '../text/fold.ts';
import type { Cursor } from './cursor.ts';
import {
  binding,
  conditions,
  type FeedPage,
  keys,
  pageOf,
  type PageRow,
  position,
} from './list-statement.ts';
import { postColumns, postTables } from './present.ts';
import type { ListPosts } from './schemas.ts';
import { searchPage } from './search-page.ts';

/**
 * Reads a page of published posts, and of the drafts of `draftsOf` (or of these alone), with the position in the event stream. Both come
 * from one statement and so from one snapshot: an event up to `seq` is in the page, one after it is still to come.
 * @throws {Unfolded} if it is a search and would miss posts
 */
export async function readFeedPage(
  db: Pick<Sequelize, 'query'>,
  list: ListPosts,
  cursor: Cursor | undefined,
  draftsOf: number | undefined,
): Promise<FeedPage> {
  const words = wordsOf(list.search);
  if (words.length > 0) return searchPage(db, { list, cursor, draftsOf, words });
  const { say, bind } = binding();
  const { column, id } = keys[list.sort];
  const rows = await db.query<PageRow>(
    `select ${position}, page.*
     from feed_head h left join lateral (
       select ${postColumns}, ${column}::text as key, row_number() over (order by ${column} desc, ${id} desc) as place
       from ${postTables}
       where u.deleted_at is null and ${conditions({ list, cursor, draftsOf }, say)}
       order by ${column} desc, ${id} desc
       limit ${say(list.limit + 1)} offset ${say(list.skip)}
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  return pageOf(list, rows);
}
