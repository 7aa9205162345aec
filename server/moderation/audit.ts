import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { AuditAction } from './present.ts';

/** One entry. It must hold no text of a post: it is never changed. */
export interface AuditEntry {
  action: AuditAction;
  /** Who did it; null: the operator. */
  actorId: number | null;
  /** Whom it was done to. */
  userId?: number | null;
  postId?: number | null;
  reason: string;
  details?: Record<string, unknown>;
}

/**
 * Notes in the audit log what is done in this transaction.
 * @returns the number of the entry
 */
export async function audit(tx: Transaction, entry: AuditEntry): Promise<number> {
  const { action, actorId, userId = null, postId = null, reason, details = {} } = entry;
  const [row] = await sequelizeOf(tx).query<{ id: number }>(
    `insert into audit_log (action, actor_id, user_id, post_id, reason, details)
     values ($1, $2, $3, $4, $5, $6::jsonb) returning id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: [action, actorId, userId, postId, reason, JSON.stringify(details)],
    },
  );
  if (!row) throw new Error('the audit log took no entry');
  return row.id;
}
