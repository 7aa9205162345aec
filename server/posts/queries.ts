import { QueryTypes, type Transaction } from 'sequelize';
import type { Viewer } from '../identity.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { prepared } from '../database/prepared.ts';
import { requireVisible } from './policy.ts';
import { type PostAnswer, postColumns, type PostRow, postTables, presentAnswer } from './present.ts';

const columns = `${postColumns}, v.user_id is not null as voted, r.published as thread_published, r.owner_id as thread_owner_id`;
const joined = `${postTables} left join votes v on v.post_id = p.id and v.user_id = $1
  join posts r on r.id = coalesce(p.root_id, p.id)`;

const BY_ID = prepared(`select ${columns} from ${joined} where p.id = $2 and u.deleted_at is null`);

type Row = PostRow & { voted: boolean; thread_published: boolean; thread_owner_id: number | null };

/** One post as `viewer` sees it. @throws {AppError} 404 */
export async function postById(
  db: DatabaseShare,
  viewer: Viewer,
  id: number,
  tx?: Transaction,
): Promise<PostAnswer> {
  const [row] = await db.query<Row>(BY_ID, {
    type: QueryTypes.SELECT,
    bind: [viewer.id, id],
    ...(tx ? { transaction: tx } : {}),
  });
  const root = row && { published: row.thread_published, ownerId: row.thread_owner_id };
  return presentAnswer(requireVisible(row && { ...row, ownerId: row.owner_id }, viewer, id, root));
}
