import { QueryTypes, type Sequelize } from 'sequelize';
import { homeAuthors } from '../relations/policy.ts';
import {
  type FeedPage,
  hiddenFor,
  type ListScope,
  pageOf,
  type PageRow,
  position,
  Unprepared,
} from './list-statement.ts';
import { postColumns, postTables } from './present.ts';
import { UNFOLDED } from './unfolded-posts.ts';
import { UNPARSED } from './unparsed-posts.ts';

/**
 * How many posts are walked through at first for each that is wanted, and how many the index is asked for. It changes what a
 * search costs, never what it finds.
 */
const EFFORT = { walked: 50, asked: 2000 } as const;

export interface Search extends ListScope {
  /** Folded: see `wordsOf`. None, if the list is to be searched for posts by what else it says. */
  words: readonly string[];
}

/**
 * Finds a page of posts that contain all of the words. The algorithm is in the function `search_page`: it is one
 * statement, and so one snapshot, whatever it takes.
 * @throws {Unprepared}
 */
export async function searchPage(
  db: Pick<Sequelize, 'query'>,
  search: Search,
  { walked, asked }: { walked: number; asked: number } = EFFORT,
): Promise<FeedPage> {
  const { list, cursor, draftsOf, homeOf, hiddenFrom, words } = search;
  const authors = homeOf === undefined ? 'null' : `array(${homeAuthors('$13::bigint')})`;
  const hidden = hiddenFrom === undefined ? `'{}'` : `array(${hiddenFor(list, '$13::bigint')})`;
  const unfolded = words.length === 0 ? 'false' : `exists (select from posts p where ${UNFOLDED})`;
  const unparsed = list.tag === undefined ? 'false' : `exists (select from posts p where ${UNPARSED})`;
  const rows = await db.query<PageRow & { unfolded: boolean; unparsed: boolean }>(
    `select ${position}, ${unfolded} as unfolded, ${unparsed} as unparsed, page.*
     from feed_head h left join lateral (
       select ${postColumns}, f.key, f.place
       from search_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ${authors}::bigint[], ${hidden}::bigint[], $12, ${String(list.replies && homeOf === undefined)}) with ordinality as f (id, key, place)
       join (${postTables}) on p.id = f.id
     ) page on true
     order by page.place`,
    {
      type: QueryTypes.SELECT,
      bind: [
        list.sort,
        words,
        list.limit + 1,
        list.skip,
        cursor?.key ?? null,
        cursor?.id ?? null,
        list.owner_id ?? null,
        draftsOf ?? null,
        list.published === false,
        walked,
        asked,
        list.tag ?? null,
        ...[homeOf ?? hiddenFrom].filter((viewer) => viewer !== undefined),
      ],
    },
  );
  if (rows[0]?.unfolded) throw new Unprepared('searches');
  if (rows[0]?.unparsed) throw new Unprepared('tags');
  return pageOf(list, rows);
}
