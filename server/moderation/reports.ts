import { QueryTypes, type Transaction } from 'sequelize';
import { AppError, invalid, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { inPublicThread } from '../public-thread.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { ModerationContext } from './context.ts';
import { reportAdded } from './events.ts';
import type { FileReport } from './schemas.ts';

/** What a report is about: a post and its owner, or a user. */
interface Reported {
  post_id: number | null;
  user_id: number;
}

/**
 * Reports a post that everyone may see. A second report by the same user takes the place of the first while the case is
 * open.
 * @throws {AppError} 404, 422 for a post of one's own
 */
export async function reportPost(
  ctx: Pick<ModerationContext, 'db'>,
  reporter: Identity,
  id: number,
  report: FileReport,
  requester: Requester,
): Promise<void> {
  await file(
    ctx,
    reporter,
    `select p.id as post_id, u.id as user_id from posts p join users u on u.id = p.owner_id
     where p.id = $1 and p.published and ${inPublicThread} and u.deleted_at is null`,
    { id, noun: 'post' },
    report,
    requester,
  );
}

/** Reports a user, as `reportPost`. @throws {AppError} 404, 422 for oneself */
export async function reportUser(
  ctx: Pick<ModerationContext, 'db'>,
  reporter: Identity,
  id: number,
  report: FileReport,
  requester: Requester,
): Promise<void> {
  await file(
    ctx,
    reporter,
    'select null as post_id, u.id as user_id from users u where u.id = $1 and u.deleted_at is null',
    { id, noun: 'user' },
    report,
    requester,
  );
}

/** @param find the target in SQL, by its id in `$1` */
async function file(
  ctx: Pick<ModerationContext, 'db'>,
  reporter: Identity,
  find: string,
  { id, noun }: { id: number; noun: string },
  { reason, note }: FileReport,
  requester: Requester,
): Promise<void> {
  await ctx.db.share(requester).transaction(async (tx) => {
    const query = <T extends object>(sql: string, ...bind: unknown[]) =>
      sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
    // The deletion of the account then finds the report, or has been committed before.
    const [alive] = await query(
      'select 1 from users where id = $1 and deleted_at is null for key share',
      reporter.id,
    );
    if (!alive) throw userIsGone();
    const [target] = await query<Reported>(find, id);
    if (!target) throw new AppError('not_found', `There is no ${noun} ${id}.`);
    if (target.user_id === reporter.id) {
      const msg = target.post_id === null ? 'You cannot report yourself' : 'You cannot report your own post';
      throw invalid([{ loc: ['path', 'id'], msg, type: 'any.invalid' }], 1);
    }
    const caseId = await openCase(tx, target);
    const [filed] = await query<{ is_new: boolean; reports: number }>(
      `insert into reports as r (case_id, reporter_id, reason, note) values ($1, $2, $3, $4)
       on conflict (case_id, reporter_id) do update set reason = excluded.reason, note = excluded.note
       returning r.xmax = 0 as is_new, 1 + (select count(*)::integer from reports o where o.case_id = $1) as reports`,
      caseId,
      reporter.id,
      reason,
      note,
    );
    if (filed?.is_new)
      await append(tx, reportAdded, { id: caseId, ...target, reason, reports: filed.reports });
  });
}

/** The open case of a target, locked: of two who report it first at once, the second one finds it. */
async function openCase(tx: Transaction, { post_id, user_id }: Reported): Promise<number> {
  const target = post_id === null ? 'user_id' : 'post_id';
  const [row] = await sequelizeOf(tx).query<{ id: number }>(
    `insert into moderation_cases as c (post_id, user_id) values ($1, $2)
     on conflict (${target}) where resolved_at is null and post_id is ${post_id === null ? '' : 'not '}null
     do update set user_id = c.user_id returning c.id`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [post_id, user_id] },
  );
  if (!row) throw new Error('no case was opened');
  return row.id;
}
