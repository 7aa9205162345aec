import { QueryTypes, type Transaction } from 'sequelize';
import type { Identity } from '../identity.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { requireVisible } from './policy.ts';
import { type PostAnswer, postColumns, type PostRow, postTables, presentAnswer } from './present.ts';

const columns = `${postColumns}, v.user_id is not null as voted`;
const joined = `${postTables} left join votes v on v.post_id = p.id and v.user_id = $1`;

type Row = PostRow & { voted: boolean };

/** One post as `viewer` sees it. @throws {AppError} 404 */
export async function postById(
  db: DatabaseShare,
  viewer: Identity,
  id: number,
  tx?: Transaction,
): Promise<PostAnswer> {
  const [row] = await db.query<Row>(
    `select ${columns} from ${joined} where p.id = $2 and u.deleted_at is null`,
    {
      type: QueryTypes.SELECT,
      bind: [viewer.id, id],
      ...(tx ? { transaction: tx } : {}),
    },
  );
  return presentAnswer(requireVisible(row && { ...row, ownerId: row.owner_id }, viewer, id));
}
