import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/** What the audit log has entries of. */
export type AuditAction = 'grant';

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

/** Notes in the audit log what is done in this transaction. */
export async function audit(tx: Transaction, entry: AuditEntry): Promise<void> {
  const { action, actorId, userId = null, postId = null, reason, details = {} } = entry;
  await sequelizeOf(tx).query(
    `insert into audit_log (action, actor_id, user_id, post_id, reason, details) values ($1, $2, $3, $4, $5, $6::jsonb)`,
    {
      type: QueryTypes.RAW,
      transaction: tx,
      bind: [action, actorId, userId, postId, reason, JSON.stringify(details)],
    },
  );
}
