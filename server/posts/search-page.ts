import { QueryTypes, type Sequelize } from 'sequelize';
import { homeAuthors } from '../relations/policy.ts';
import {
  type FeedPage,
  hiddenFor,
  type ListScope,
  pageOf,
  type PageRow,
  position,
} from './list-statement.ts';
import { postColumns, postTables } from './present.ts';
import { UNFOLDED } from './unfolded-posts.ts';

/**
 * How many posts are walked through at first for each that is wanted, and how many the index is asked for. It changes what a
 * search costs, never what it finds.
 */
const EFFORT = { walked: 50, asked: 2000 } as const;

/** There are posts that are not folded yet: the search would miss them. */
export class Unfolded extends Error {
  override readonly name = 'Unfolded';
}

export interface Search extends ListScope {
  /** Folded: see `wordsOf`. */
  words: readonly string[];
}

/**
 * Finds a page of posts that contain all of the words. The algorithm is in the function `search_page`: it is one
 * statement, and so one snapshot, whatever it takes.
 * @throws {Unfolded}
 */
export async function searchPage(
  db: Pick<Sequelize, 'query'>,
  search: Search,
  { walked, asked }: { walked: number; asked: number } = EFFORT,
): Promise<FeedPage> {
  const { list, cursor, draftsOf, homeOf, hiddenFrom, words } = search;
  const authors = homeOf === undefined ? 'null' : `array(${homeAuthors('$12::bigint')})`;
  const hidden = hiddenFrom === undefined ? `'{}'` : `array(${hiddenFor(list, '$12::bigint')})`;
  const rows = await db.query<PageRow & { unfolded: boolean }>(
    `select ${position}, exists (select from posts p where ${UNFOLDED}) as unfolded, page.*
     from feed_head h left join lateral (
       select ${postColumns}, f.key, f.place
       from search_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ${authors}::bigint[], ${hidden}::bigint[]) with ordinality as f (id, key, place)
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
        ...[homeOf ?? hiddenFrom].filter((viewer) => viewer !== undefined),
      ],
    },
  );
  if (rows[0]?.unfolded) throw new Unfolded();
  return pageOf(list, rows);
}
