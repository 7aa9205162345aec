import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { appendAll } from '../log/append.ts';
import { postUpdated } from '../posts/events.ts';
import { type PostRow, presentPost, publishedPosts } from '../posts/present.ts';

/**
 * Takes an account that is being deleted out of the mentions of the next posts, which get a new version and are told
 * again. What their authors wrote stays. The account is locked, so no mention of it can be added meanwhile.
 *
 * A post that somebody else has locked, itself or the first post of its thread, is left for the next piece: to wait for it
 * could be a deadlock, since its author may be about to lock this account.
 * @param most posts in one piece
 * @returns whether there was none
 */
export async function eraseMentions(tx: Transaction, userId: number, most: number): Promise<boolean> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const page = await query<{ id: number }>(
    // No thread is withdrawn before the events of its replies are written.
    `select p.id from post_mentions m join posts p on p.id = m.post_id join posts r on r.id = coalesce(p.root_id, p.id)
     where m.user_id = $1 order by m.post_id limit $2 for no key update of p, r skip locked`,
    userId,
    most,
  );
  const ids = page.map(({ id }) => id);
  if (ids.length > 0) {
    await query(
      `update posts p set version = p.version + 1, mentions = (
         select coalesce(jsonb_agg(m.entry order by m.place), '[]')
         from jsonb_array_elements(p.mentions) with ordinality as m (entry, place)
         where (m.entry ->> 'id')::bigint <> $2)
       where p.id = any($1::bigint[])`,
      ids,
      userId,
    );
    await appendAll(tx, postUpdated, (await query<PostRow>(publishedPosts, ids)).map(presentPost));
  }
  if (ids.length > 0) return false;
  const [locked] = await query('select 1 from post_mentions where user_id = $1 limit 1', userId);
  return locked === undefined;
}
