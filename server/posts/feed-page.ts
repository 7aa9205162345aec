import { QueryTypes, type Sequelize } from 'sequelize';
import { prepared } from '../database/prepared.ts';
import { MOST_OF_PAGE } from '../keyset-cursor.ts';
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
import { lookup, postColumns, postTables } from './present.ts';
import type { ListPosts } from './schemas.ts';
import { searchPage } from './search-page.ts';
import { UNPARSED } from './unparsed-posts.ts';

/** Posts that a page passes over by looking each up, at most. */
const MOST_LOOKED_UP = 1000;

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
  const where = conditions(scope, say);
  const most = list.skip === 0 ? MOST_OF_PAGE + 1 : say(list.skip + list.limit + 1);
  const text = `select ${position}, ${tagged ? `exists (select from posts p where ${UNPARSED}) as unparsed,` : ''} page.*
     from feed_head h left join lateral (
       select * from (
         select ${postColumns}, ${column}::text as key, row_number() over (order by ${column} desc, ${id} desc) as place
         from ${tablesOf(list)}
         where u.deleted_at is null and ${where}
         order by ${column} desc, ${id} desc limit ${most}
       ) met limit ${say(list.limit + 1)} ${list.skip === 0 ? '' : `offset ${say(list.skip)}`}
     ) page on true
     order by page.place`;
  // A rare tag or author may want another plan than a frequent one.
  const isForAll = !tagged && list.owner_id === undefined && list.published !== false && list.skip === 0;
  const rows = await db.query<PageRow & { unparsed?: boolean }>(isForAll ? prepared(text) : text, {
    type: QueryTypes.SELECT,
    bind,
  });
  if (rows[0]?.unparsed) throw new Unprepared('tags');
  return pageOf(list, rows);
}

/**
 * SQL: the posts in the order of an index, and what belongs to each. So a page costs the same whatever PostgreSQL knows
 * of the tables, which is nothing after a restore. Where thousands are passed over, it may join them as it likes.
 */
function tablesOf({ sort, tag, skip }: ListPosts): string {
  if (skip > MOST_LOOKED_UP)
    return `${postTables}${tag === undefined ? '' : ' join post_tags g on g.post_id = p.id'}`;
  const post = (key: string) => lookup('posts', 'p', `p.id = ${key}`);
  const tally = lookup('post_tallies', 't', 't.post_id = p.id');
  const owner = lookup('users', 'u', 'u.id = p.owner_id');
  if (tag !== undefined) return `post_tags g ${post('g.post_id')} ${tally} ${owner}`;
  return sort === 'new' ? `posts p ${tally} ${owner}` : `post_tallies t ${post('t.post_id')} ${owner}`;
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
