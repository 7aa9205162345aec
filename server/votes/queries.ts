import { QueryTypes, type Sequelize } from 'sequelize';
import type { Tally } from '../events.ts';

/** The tallies of those of these posts that the user may see, as they stand. */
export async function tallies(
  sequelize: Sequelize,
  userId: number,
  postIds: readonly number[],
): Promise<Tally[]> {
  if (postIds.length === 0) return [];
  return sequelize.query<Tally>(
    `select t.post_id, t.votes, t.rev from post_tallies t join posts p on p.id = t.post_id
     where t.post_id = any($1) and (p.published or p.owner_id = $2) order by t.post_id`,
    { type: QueryTypes.SELECT, bind: [[...postIds], userId] },
  );
}
