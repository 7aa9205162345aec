/** What moderators do to posts and users. */
export const postActions = ['remove', 'restore', 'lock', 'unlock'] as const;
export const userActions = ['warn', 'suspend', 'unsuspend'] as const;
export type PostAction = (typeof postActions)[number];
export type UserAction = (typeof userActions)[number];

/** Why somebody reports something. */
export const reportReasons = ['spam', 'harassment', 'violence', 'illegal', 'other'] as const;

/** What users do to their own account, and what a takeover of it would look like. */
const ownActions = [
  'reset_password',
  'change_email',
  'undo_email',
  'link_identity',
  'unlink_identity',
  'take_over',
  'create_key',
  'revoke_key',
  'create_webhook',
  'change_webhook',
] as const;

/** What the audit log has entries of: what moderators, the operator and users in their own accounts do. */
export const auditActions = [
  ...postActions,
  ...userActions,
  'dismiss',
  'grant',
  'reset_link',
  'totp_off',
  ...ownActions,
] as const;
export type AuditAction = (typeof auditActions)[number];

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
  /** Of the removal of all posts of a user: how many are removed with this entry. */
  posts: number | null;
  /** Of the same: whether nothing was left then; false of each transaction but the last. Null of what has no parts. */
  complete: boolean | null;
}

/** A case, as moderators see it. */
export interface CaseView {
  id: number;
  post_id: number | null;
  /** The owner of the post, or the user. */
  user: Named;
  opened_at: string;
  resolved_at: string | null;
  resolution: string | null;
  /** The post as it is, also if a moderator has removed it; null of a user, and if it is gone. */
  post: { title: string | null; content: string; removed: boolean } | null;
  /** The newest twenty; none of a case about the moderator who looks, who is not to learn who reports. */
  reports: { reporter: Named; reason: string; note: string; at: string }[];
  /** How many there are. */
  count: number;
}

const rfc3339 = (moment: string) => `to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** SQL: cases `c` as `CaseView`, with their users `u`, posts `p` and what was removed `k`. @param viewer who looks, as SQL */
export const caseColumns = (viewer: string) => `json_build_object('id', c.id, 'post_id', c.post_id,
  'user', json_build_object('id', c.user_id, 'username', coalesce(u.username, '')),
  'opened_at', ${rfc3339('c.opened_at')}, 'resolved_at', ${rfc3339('c.resolved_at')}, 'resolution', c.resolution,
  'post', case
    when k.post_id is not null then json_build_object('title', k.title, 'content', k.content, 'removed', true)
    when p.deleted_at is null and p.published
      then json_build_object('title', p.title, 'content', p.content, 'removed', false) end,
  'reports', case when c.user_id = ${viewer} then '[]' else coalesce((
    select json_agg(json_build_object('reporter', json_build_object('id', r.reporter_id, 'username', coalesce(w.username, '')),
      'reason', r.reason, 'note', r.note, 'at', ${rfc3339('r.reported_at')}))
    from (select * from reports f where f.case_id = c.id order by f.reported_at desc, f.reporter_id limit 20) r
    left join users w on w.id = r.reporter_id and w.deleted_at is null), '[]') end,
  'count', (select count(*) from reports r where r.case_id = c.id))`;

/** SQL: where they come from. */
export const caseTables = `moderation_cases c
  left join users u on u.id = c.user_id and u.deleted_at is null
  left join posts p on p.id = c.post_id
  left join removed_posts k on k.post_id = c.post_id`;

/** SQL: entries `e` of the audit log as `AuditView`, each with its names. */
export const auditColumns = `json_build_object('id', e.id, 'action', e.action,
  'at', ${rfc3339('e.happened_at')},
  'actor', case when e.actor_id is not null
    then json_build_object('id', e.actor_id, 'username', coalesce(a.username, '')) end,
  'user', case when e.user_id is not null
    then json_build_object('id', e.user_id, 'username', coalesce(u.username, '')) end,
  'post_id', e.post_id, 'reason', e.reason, 'until', e.details ->> 'until', 'role', e.details ->> 'role', 'posts', e.details -> 'posts', 'complete', e.details -> 'complete')`;

/** SQL: where they come from. The name of an account that is being deleted is not one. */
export const auditTables = `audit_log e
  left join users a on a.id = e.actor_id and a.deleted_at is null
  left join users u on u.id = e.user_id and u.deleted_at is null`;
