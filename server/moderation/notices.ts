import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { announce } from '../log/append.ts';
import type { NotifiedAct } from '../notifications/event-payloads.ts';

/** Reporters of one case who are told how it ended: those who reported first. So many are told in one transaction, too. */
export const MOST_TOLD = 500;

/** A notification of what a moderator did. It never says who did it, or who reported it. */
export interface Notice {
  user_id: number;
  /** There is one notification of a user for each of them. */
  group_key: string;
  act: NotifiedAct;
  post_id?: number | null;
  /** The first post of its thread. */
  thread_id?: number | null;
  reason?: string;
}

/** What cases have for those who reported them. */
type Reported = readonly { notices: readonly Notice[] }[];

/** What reporters are told who have not resolved the cases themselves. */
export function noticesOf(resolved: Reported, moderatorId: number): Notice[] {
  return resolved.flatMap(({ notices }) => notices).filter(({ user_id }) => user_id !== moderatorId);
}

/** Who is told of it. */
export function readersOf(resolved: Reported, moderatorId: number): number[] {
  return noticesOf(resolved, moderatorId).map(({ user_id }) => user_id);
}

/**
 * Notifies users. All of one act at once: their states are locked in the order in which everyone locks them, behind
 * everything else that the act changes.
 */
export async function notify(tx: Transaction, notices: readonly Notice[]): Promise<void> {
  if (notices.length === 0) return;
  const sequelize = sequelizeOf(tx);
  await sequelize.query(`select change_notifications($1::json, '{}')`, {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [JSON.stringify(notices.map((notice) => ({ ...notice, kind: 'moderation' })))],
  });
  tx.afterCommit(() => announce(sequelize));
}

/**
 * Locks what notifications of posts are written behind, before the posts are removed or come back.
 * @param users who are notified of it beside those whom the posts concern
 */
export async function lockNotifications(
  tx: Transaction,
  posts: readonly number[],
  users: readonly number[],
): Promise<void> {
  await sequelizeOf(tx).query('select lock_notifications_of_posts($1::bigint[], $2::bigint[])', {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [posts, users],
  });
}

/** Who has reported what is in a case, and is still there: those who are told how it ended. Its row is locked. */
export async function reportersOf(tx: Transaction, caseId: number): Promise<number[]> {
  const rows = await sequelizeOf(tx).query<{ id: number }>(
    `select r.reporter_id as id from reports r join users u on u.id = r.reporter_id
     where r.case_id = $1 and u.deleted_at is null order by r.reported_at, r.reporter_id limit $2`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [caseId, MOST_TOLD] },
  );
  return rows.map(({ id }) => id);
}
