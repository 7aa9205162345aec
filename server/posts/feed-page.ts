import { QueryTypes, type Sequelize } from 'sequelize';
import { wordsOf } from '../text/fold.ts';
import { homePage } from './home-page.ts';
import {
  binding,
  conditions,
  type FeedPage,
  keys,
  type ListScope,
  pageOf,
  type PageRow,
  position,
} from './list-statement.ts';
import { postColumns, postTables } from './present.ts';
import { searchPage } from './search-page.ts';

/**
 * Reads a page of published posts, and of the drafts of one user (or of these alone), with the position in the event stream. Both come
 * from one statement and so from one snapshot: an event up to `seq` is in the page, one after it is still to come.
 * @throws {Unfolded} if it is a search and would miss posts
 */
export async function readFeedPage(db: Pick<Sequelize, 'query'>, scope: ListScope): Promise<FeedPage> {
  const { list, homeOf } = scope;
  const words = wordsOf(list.search);
  if (words.length > 0) return searchPage(db, { ...scope, words });
  // Of one author's posts, or of drafts alone, the index of that author's is better.
  if (homeOf !== undefined && list.owner_id === undefined && list.published !== false)
    return homePage(db, { ...scope, homeOf });
  const { say, bind } = binding();
  const { column, id } = keys[list.sort];
  const rows = await db.query<PageRow>(
    `select ${position}, page.*
     from feed_head h left join lateral (
       select ${postColumns}, ${column}::text as key, row_number() over (order by ${column} desc, ${id} desc) as place
       from ${postTables}
       where u.deleted_at is null and ${conditions(scope, say)}
       order by ${column} desc, ${id} desc
       limit ${say(list.limit + 1)} offset ${say(list.skip)}
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  return pageOf(list, rows);
}
