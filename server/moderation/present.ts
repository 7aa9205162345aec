/** What moderators do to posts and users. */
export const postActions = ['remove', 'restore', 'lock', 'unlock'] as const;
export const userActions = ['suspend', 'unsuspend'] as const;
export type PostAction = (typeof postActions)[number];
export type UserAction = (typeof userActions)[number];

/** What the audit log has entries of: what moderators do, and what the operator does. */
export type AuditAction = PostAction | UserAction | 'grant' | 'reset_link';

/** Somebody in the audit log. The name is empty once the account has been deleted. */
interface Named {
  id: number;
  username: string;
}

/** An entry of the audit log, as moderators see it. */
export interface AuditView {
  id: number;
  action: AuditAction;
  at: string;
  /** Who did it; null: the operator. */
  actor: Named | null;
  /** Whom it was done to. */
  user: Named | null;
  post_id: number | null;
  reason: string;
  /** Of a suspension: its end; null if it has none. */
  until: string | null;
  /** Of a grant: the role. */
  role: string | null;
}

/** SQL: entries `e` of the audit log as `AuditView`, each with its names. */
export const auditColumns = `json_build_object('id', e.id, 'action', e.action,
  'at', to_char(e.happened_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  'actor', case when e.actor_id is not null
    then json_build_object('id', e.actor_id, 'username', coalesce(a.username, '')) end,
  'user', case when e.user_id is not null
    then json_build_object('id', e.user_id, 'username', coalesce(u.username, '')) end,
  'post_id', e.post_id, 'reason', e.reason, 'until', e.details ->> 'until', 'role', e.details ->> 'role')`;

/** SQL: where they come from. The name of an account that is being deleted is not one. */
export const auditTables = `audit_log e
  left join users a on a.id = e.actor_id and a.deleted_at is null
  left join users u on u.id = e.user_id and u.deleted_at is null`;
