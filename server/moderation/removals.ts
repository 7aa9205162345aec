import { QueryTypes, type Transaction } from 'sequelize';
import { AppError } from '../errors.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { appendRemovals, lockToDelete, removeAsModerator } from '../posts/removal.ts';
import { lockForAct, type Acted } from './act.ts';
import { resolveCases, type ResolvedCase } from './cases.ts';
import { lockNotifications, MOST_TOLD, readersOf } from './notices.ts';

/** Posts that are removed in one transaction, at most: fewer if many users reported them. */
const PIECE = 25;

/** What of a user's posts is still to be removed: those with these ids. The first one is not among them. */
export interface Range {
  after: number;
  upTo: number;
}

/** A piece of the removal of all posts of a user. */
export interface RemovedPiece extends Acted {
  userId: number;
  /** How many posts it removed. */
  posts: number;
  /** What is left then; undefined: nothing. */
  rest: Range | undefined;
  resolved: ResolvedCase[];
}

/**
 * Removes the next posts of a user that others can see, with the cases of them. What the user writes meanwhile stays, so
 * the removal has an end.
 * @param range undefined: the first piece
 * @throws {AppError} 404, 403
 */
export async function removePiece(
  tx: Transaction,
  moderatorId: number,
  userId: number,
  range: Range | undefined,
): Promise<RemovedPiece> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const user = await lockForAct(tx, moderatorId, userId);
  if (!user) throw new AppError('not_found', `There is no user ${userId}.`);
  const [newest] = range
    ? [{ id: range.upTo }]
    : await query<{ id: number }>('select coalesce(max(id), 0) as id from posts where owner_id = $1', userId);
  const { after, upTo } = range ?? { after: 0, upTo: newest?.id ?? 0 };
  const own = 'owner_id = $1 and deleted_at is null and published';
  const found = await query<{ id: number; reports: number }>(
    `select p.id, (
       select count(*) from (
         select from moderation_cases c join reports r on r.case_id = c.id
         where c.post_id = p.id and c.resolved_at is null limit $5
       ) r
     ) as reports
     from posts p where ${own} and p.id > $2 and p.id <= $3 order by p.id limit $4`,
    userId,
    after,
    upTo,
    PIECE + 1,
    MOST_TOLD,
  );
  const ids = found.slice(0, sizeOfPiece(found)).map(({ id }) => id);
  await lockToDelete(tx, ids);
  // One of them may have been deleted or withdrawn meanwhile.
  const left = await query<{ id: number }>(
    `select id from posts where ${own} and id = any ($2)`,
    userId,
    ids,
  );
  const posts = left.map(({ id }) => id);
  const resolved = await resolveCases(tx, { postIds: posts }, 'remove');
  await lockNotifications(tx, posts, [userId, ...readersOf(resolved, moderatorId)]);
  const told = await removeAsModerator(tx, posts);
  const last = found.length > ids.length ? ids.at(-1) : undefined;
  return {
    userId,
    posts: posts.length,
    details: { posts: posts.length, complete: last === undefined },
    rest: last === undefined ? undefined : { after: last, upTo },
    resolved,
    tell: () => appendRemovals(tx, told),
  };
}

/** How many posts are removed at once: as many as have no more reporters together than are told of one. */
function sizeOfPiece(found: readonly { reports: number }[]): number {
  let told = 0;
  const full = found.findIndex(({ reports }, index) => (told += reports) > MOST_TOLD && index > 0);
  return full === -1 ? PIECE : Math.min(full, PIECE);
}

/**
 * The first entry in the audit log of the removal of all posts of a user that this entry belongs to: of all requests since
 * the last one that was complete. The user is notified once of them.
 */
export async function firstEntryOf(tx: Transaction, userId: number, entry: number): Promise<number> {
  const [first] = await sequelizeOf(tx).query<{ id: number }>(
    `with removals as (
       select id, details ->> 'complete' as complete from audit_log
       where user_id = $1 and action = 'remove' and post_id is null and details ? 'complete')
     select min(id) as id from removals
     where id > coalesce((select max(id) from removals where id < $2 and complete = 'true'), 0)`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [userId, entry] },
  );
  return first?.id ?? entry;
}
