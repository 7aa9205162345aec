import { QueryTypes, type Sequelize } from 'sequelize';
import {
  binding,
  type FeedPage,
  hiddenFor,
  type ListScope,
  pageOf,
  type PageRow,
  position,
} from './list-statement.ts';
import { postColumns, postTables } from './present.ts';
import type { ListPosts } from './schemas.ts';

/**
 * How many posts of the list of all are walked through: near its beginning so many for each post that is wanted, up to a number, then
 * farther. It changes what a page costs, never what is on it.
 */
const EFFORT = {
  near: { each: 24, most: 600 },
  far: { each: 16, least: { new: 1000, top: 5000, hot: 5000 } },
};

/**
 * Reads a page of a viewer's home page: their own posts, and those of whom they follow, without hidden authors. The algorithm is in
 * the function `home_page`: it is one statement, and so one snapshot, with the follows that the stream has at its position.
 * @param walked posts of the list of all
 */
export async function homePage(
  db: Pick<Sequelize, 'query'>,
  { list, cursor, draftsOf, homeOf, hiddenFrom }: ListScope & { homeOf: number },
  walked: { near: number; far: number } = effortFor(list),
): Promise<FeedPage> {
  const { say, bind } = binding();
  const viewer = `${say(homeOf)}::bigint`;
  const hidden = hiddenFrom === undefined ? `'{}'` : `array(${hiddenFor(list, viewer)})`;
  const rows = await db.query<PageRow>(
    `select ${position}, page.*
     from feed_head h left join lateral (
       select ${postColumns}, f.key, f.place
       from home_page(
         ${say(list.sort)}, ${viewer}, ${hidden}, ${say(draftsOf ?? null)},
         ${say(list.limit + 1)}, ${say(list.skip)}, ${say(cursor?.key ?? null)}, ${say(cursor?.id ?? null)},
         ${say(walked.near)}, ${say(walked.far)}
       ) with ordinality as f (id, key, place)
       join (${postTables}) on p.id = f.id
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  return pageOf(list, rows);
}

function effortFor({ sort, skip, limit }: ListPosts): { near: number; far: number } {
  const wanted = skip + limit + 1;
  const { near, far } = EFFORT;
  return {
    near: Math.min(near.most, near.each * wanted),
    far: Math.max(far.least[sort], far.each * wanted),
  };
}
