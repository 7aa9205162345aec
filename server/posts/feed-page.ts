import { QueryTypes, type Sequelize } from 'sequelize';
import { wordsOf } from '../text/fold.ts';
import { homePage } from './home-page.ts';
import {
  binding,
  conditions,
  type FeedPage,
  keyOfList,
  type ListScope,
  pageOf,
  type PageRow,
  position,
  Unprepared,
} from './list-statement.ts';
import { postColumns, postTables } from './present.ts';
import { searchPage } from './search-page.ts';
import { UNPARSED } from './unparsed-posts.ts';

/**
 * Reads a page of published posts, and of the drafts of one user (or of these alone), with the position in the event
 * stream. Both come from one statement and so from one snapshot: an event up to `seq` is in the page, one after it is
 * still to come.
 * @throws {Unprepared} if it would miss posts
 */
export async function readFeedPage(db: Pick<Sequelize, 'query'>, scope: ListScope): Promise<FeedPage> {
  const { list, homeOf } = scope;
  const words = wordsOf(list.search);
  if (words.length > 0 || !isIndexed(scope)) return searchPage(db, { ...scope, words });
  // Of one author's posts, of drafts alone or of a tag, the index of those is better.
  if (
    homeOf !== undefined &&
    list.owner_id === undefined &&
    list.tag === undefined &&
    list.published !== false
  )
    return homePage(db, { ...scope, homeOf });
  const { say, bind } = binding();
  const { column, id } = keyOfList(list);
  const tagged = list.tag !== undefined;
  const rows = await db.query<PageRow & { unparsed?: boolean }>(
    `select ${position}, ${tagged ? `exists (select from posts p where ${UNPARSED}) as unparsed,` : ''} page.*
     from feed_head h left join lateral (
       select ${postColumns}, ${column}::text as key, row_number() over (order by ${column} desc, ${id} desc) as place
       from ${postTables}${tagged ? ' join post_tags g on g.post_id = p.id' : ''}
       where u.deleted_at is null and ${conditions(scope, say)}
       order by ${column} desc, ${id} desc
       limit ${say(list.limit + 1)} offset ${say(list.skip)}
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  if (rows[0]?.unparsed) throw new Unprepared('tags');
  return pageOf(list, rows);
}

/**
 * Whether an index has the posts of a list in its order, but for few others. Those of one author or with one tag are in such
 * an index by age alone, and those of both in none.
 */
function isIndexed({ list, homeOf }: ListScope): boolean {
  if (list.tag === undefined) return list.owner_id === undefined || list.sort === 'new';
  return (
    list.sort === 'new' && list.owner_id === undefined && list.published !== false && homeOf === undefined
  );
}
