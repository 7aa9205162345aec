import { QueryTypes } from 'sequelize';
import { AppError } from '../errors.ts';
import { encodeCursor, placeBefore } from '../keyset-cursor.ts';
import { NoHead } from '../log/reader.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { RelationContext } from './context.ts';
import { presentRelation, type RelationEntry } from './present.ts';
import type { ListRelations, RelationList } from './schemas.ts';
import type { RelationKind } from '../topics/event-type.ts';

/** A page of a list of relations, newest first. */
export interface RelationPage {
  /** The stream position that the page reflects. */
  epoch: string;
  seq: number;
  relations: RelationEntry[];
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

/** Of each list: the kind, the column of the user whose list it is, and that of the users in it. */
const lists: Record<
  RelationList,
  { kind: RelationKind; of: 'user_id' | 'target_id'; other: 'user_id' | 'target_id' }
> = {
  followers: { kind: 'follow', of: 'target_id', other: 'user_id' },
  following: { kind: 'follow', of: 'user_id', other: 'target_id' },
  blocks: { kind: 'block', of: 'user_id', other: 'target_id' },
  mutes: { kind: 'mute', of: 'user_id', other: 'target_id' },
};

interface Row {
  epoch: string;
  seq: number;
  is_there: boolean;
  id: number | null;
  username: string;
  created_at: Date;
  moment: number;
}

/**
 * A page of one of a user's lists, as it is committed.
 * @throws {AppError} 422 for a cursor of another list, 404 no such user
 */
export async function relationPage(
  ctx: Pick<RelationContext, 'db'>,
  name: RelationList,
  userId: number,
  { limit, cursor: given }: ListRelations,
  requester: Requester,
): Promise<RelationPage> {
  const cursor = placeBefore(name, given);
  const { kind, of, other } = lists[name];
  const rows = await ctx.db.share(requester).query<Row>(
    `select h.epoch, h.seq, exists (select from users u where u.id = $1 and u.deleted_at is null) as is_there, page.*
     from feed_head h left join lateral (
       select u.id, u.username, r.created_at, (extract(epoch from r.created_at) * 1000000)::bigint as moment
       from relations r join users u on u.id = r.${other}
       where r.${of} = $1 and r.kind = $2 and u.deleted_at is null
         and (r.created_at, r.${other}) < (timestamptz 'epoch' + $3 * interval '1 microsecond', $4::bigint)
       order by r.created_at desc, r.${other} desc limit $5
     ) page on true
     order by page.moment desc, page.id desc`,
    {
      type: QueryTypes.SELECT,
      bind: [userId, kind, cursor.key, cursor.id, limit + 1],
    },
  );
  const [first] = rows;
  if (!first) throw new NoHead();
  if (!first.is_there) throw new AppError('not_found', `There is no user ${userId}.`);
  const found = rows.flatMap(({ id, ...row }) => (id === null ? [] : [{ ...row, id }]));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    epoch: first.epoch,
    seq: first.seq,
    relations: page.map(presentRelation),
    next: found.length > limit && last ? encodeCursor(name, last.moment, last.id) : undefined,
  };
}
