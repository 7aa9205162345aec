import { QueryTypes, type Sequelize } from 'sequelize';
import { prepared } from '../database/prepared.ts';
import {
  binding,
  type FeedPage,
  hiddenFor,
  type ListScope,
  pageOf,
  type PageRow,
  position,
} from './list-statement.ts';
import { lookup, postColumns } from './present.ts';
import type { ListPosts } from './schemas.ts';

/**
 * How many posts of the list of all are walked through: by age, so many for each post that is wanted; by votes or rank,
 * more. A tenth of the latter is how many posts of the authors are read in any order. It changes what a page costs,
 * never what is on it.
 */
const EFFORT = { near: 8, far: 5000 } as const;

/** Accounts that are being deleted: nothing of theirs is listed any more. */
const gone = `select a.user_id from account_tasks a join users u on u.id = a.user_id where u.deleted_at is not null`;

/**
 * Reads a page of a viewer's home page: their own posts, and those of whom they follow, without hidden authors. The
 * algorithm is in the function `home_page`: it is one statement, and so one snapshot, with the follows that the stream
 * has at its position.
 * @param walked posts of the list of all
 */
export async function homePage(
  db: Pick<Sequelize, 'query'>,
  { list, cursor, draftsOf, homeOf, hiddenFrom }: ListScope & { homeOf: number },
  walked: { near: number; far: number } = effortFor(list),
): Promise<FeedPage> {
  const { say, bind } = binding();
  const viewer = `${say(homeOf)}::bigint`;
  const hidden = hiddenFrom === undefined ? '' : `union all ${hiddenFor(list, viewer)}`;
  const rows = await db.query<PageRow>(
    prepared(`select ${position}, page.*
     from feed_head h left join lateral (
       select ${postColumns}, f.key, f.place
       from home_page(
         ${say(list.sort)}, ${viewer}, array(${gone} ${hidden}), ${say(draftsOf ?? null)},
         ${say(list.limit + 1)}, ${say(list.skip)}, ${say(cursor?.key ?? null)}, ${say(cursor?.id ?? null)},
         ${say(walked.near)}, ${say(walked.far)}
       ) with ordinality as f (id, key, place)
       ${lookup('posts', 'p', 'p.id = f.id')} ${lookup('users', 'u', 'u.id = p.owner_id')}
       ${lookup('post_tallies', 't', 't.post_id = p.id')}
     ) page on true
     order by page.place`),
    { type: QueryTypes.SELECT, bind },
  );
  return pageOf(list, rows);
}

function effortFor({ skip, limit }: ListPosts): { near: number; far: number } {
  const near = EFFORT.near * (skip + limit + 1);
  return { near, far: Math.max(EFFORT.far, 2 * near) };
}
