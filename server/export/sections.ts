import {
  identityColumns,
  type IdentityRow,
  presentIdentity,
  isLive,
  isLogin,
  keyColumns,
  type KeyRow,
  keyTables,
  presentKey,
  presentSession,
  sessionColumns,
  type SessionRow,
} from '../auth/present.ts';
import { presentWebhook, webhookColumns, type WebhookRow } from '../webhooks/present.ts';
import type { Identity } from '../identity.ts';
import { postColumns, type PostRow, postTables, presentPost } from '../posts/present.ts';
import { presentRelation } from '../relations/present.ts';

/** A line of an export: what it is, and the thing itself. */
export interface ExportLine {
  kind: string;
  data: object;
}

/** Rows of one table that belong to a user, read in pages by a key that no write changes. */
export interface Section {
  /** The kinds of its lines: each is counted, also where there is none. */
  kinds: readonly string[];
  /** The rows of a page: `$1` is the user, `$2` the size of the page, and the key of the row before it begins at `$3`. */
  sql: string;
  size: number;
  /** Before the first row, in an export that began at this time. */
  start: (startedAt: string) => readonly (number | string)[];
  line: (row: never, user: Identity) => ExportLine;
}

/** A row with its key. */
export interface KeyedRow {
  key: (number | string)[];
}

interface RemovedRow {
  id: number;
  title: string | null;
  content: string;
  tags: string[];
  removed_at: Date;
}

interface AuditRow {
  id: number;
  action: string;
  at: Date;
  post_id: number | null;
  reason: string;
  until: string | null;
  role: string | null;
}

interface ReportRow {
  post_id: number | null;
  user_id: number;
  reason: string;
  note: string;
  at: Date;
}

interface RelationRow {
  kind: string;
  id: number;
  username: string;
  created_at: Date;
}

const postLine = (row: PostRow): ExportLine => ({
  kind: row.parent_id === null ? 'post' : 'reply',
  data: presentPost(row),
});

/** All that an account has written and set, in the order of an export. */
export const sections: readonly Section[] = [
  // From the oldest on: a draft that is published meanwhile moves on, so it comes twice or once, and never not at all.
  {
    kinds: ['post', 'reply'],
    sql: `select ${postColumns},
        json_build_array((extract(epoch from p.listed_at) * 1000000)::bigint, p.id) as key
      from ${postTables}
      where p.owner_id = $1 and p.deleted_at is null
        and (p.listed_at, p.id) > (timestamptz 'epoch' + $3 * interval '1 microsecond', $4::bigint)
      order by p.listed_at, p.id limit $2`,
    size: 50,
    start: () => [0, 0],
    line: postLine,
  },
  {
    kinds: ['removed_post'],
    sql: `select post_id as id, title, content, tags, removed_at, json_build_array(post_id) as key
      from removed_posts where owner_id = $1 and post_id > $3 order by post_id limit $2`,
    size: 50,
    start: () => [0],
    line: ({ id, title, content, tags, removed_at }: RemovedRow) => ({
      kind: 'removed_post',
      data: { id, title, content, tags, removed_at: removed_at.toISOString() },
    }),
  },
  // What came back meanwhile was not among the posts when their place was read, and is not among what is removed now. The
  // entry is some time older than its commit, and the clock of the database may be another one.
  {
    kinds: ['post', 'reply'],
    sql: `select ${postColumns}, json_build_array($3::timestamptz, p.id) as key
      from ${postTables}
      where p.owner_id = $1 and p.deleted_at is null and p.id > $4 and p.id in (
        select a.post_id from audit_log a
        where a.user_id = $1 and a.action = 'restore' and a.happened_at > $3::timestamptz - interval '5 minutes')
      order by p.id limit $2`,
    size: 50,
    start: (startedAt) => [startedAt, 0],
    line: postLine,
  },
  {
    kinds: ['vote'],
    sql: `select post_id, created_at, json_build_array(post_id) as key
      from votes where user_id = $1 and post_id > $3 order by post_id limit $2`,
    size: 1000,
    start: () => [0],
    line: ({ post_id, created_at }: { post_id: number; created_at: Date }) => ({
      kind: 'vote',
      data: { post_id, created_at: created_at.toISOString() },
    }),
  },
  {
    kinds: ['follow', 'block', 'mute'],
    sql: `select r.kind, u.id, u.username, r.created_at, json_build_array(r.kind, r.target_id) as key
      from relations r join users u on u.id = r.target_id
      where r.user_id = $1 and u.deleted_at is null and (r.kind, r.target_id) > ($3, $4::bigint)
      order by r.kind, r.target_id limit $2`,
    size: 1000,
    start: () => ['', 0],
    line: (row: RelationRow) => ({ kind: row.kind, data: presentRelation(row) }),
  },
  {
    kinds: ['follower'],
    sql: `select r.kind, u.id, u.username, r.created_at, json_build_array(r.user_id) as key
      from relations r join users u on u.id = r.user_id
      where r.target_id = $1 and r.kind = 'follow' and u.deleted_at is null and r.user_id > $3
      order by r.user_id limit $2`,
    size: 1000,
    start: () => [0],
    line: (row: RelationRow) => ({ kind: 'follower', data: presentRelation(row) }),
  },
  {
    kinds: ['notification'],
    sql: `select notification_json(n.id, n.kind, n.actor_id, u.username, n.post_id, n.thread_id, n.people, n.rev,
        n.happened_at, n.read_at, n.act, n.reason) as view, json_build_array(n.group_key) as key
      from shown_notifications n left join users u on u.id = n.actor_id
      where n.user_id = $1 and n.group_key > $3 order by n.group_key limit $2`,
    size: 1000,
    start: () => [''],
    line: ({ view }: { view: object }) => ({ kind: 'notification', data: view }),
  },
  {
    kinds: ['session'],
    sql: `select ${sessionColumns}, json_build_array(id) as key
      from sessions
      where user_id = $1 and revoked_at is null and expires_at > now() and ${isLogin} and id > $3::uuid
      order by id limit $2`,
    size: 1000,
    start: () => ['00000000-0000-0000-0000-000000000000'],
    line: (row: SessionRow, user) => ({ kind: 'session', data: presentSession(row, user) }),
  },
  {
    kinds: ['second_factor'],
    sql: `select confirmed_at, (select count(*) from recovery_codes r where r.user_id = t.user_id) as recovery_codes,
        json_build_array(t.user_id) as key
      from totp_secrets t where t.user_id = $1 and t.confirmed_at is not null and t.user_id > $3 limit $2`,
    size: 2,
    start: () => [0],
    line: ({ confirmed_at, recovery_codes }: { confirmed_at: Date; recovery_codes: number }) => ({
      kind: 'second_factor',
      data: { since: confirmed_at.toISOString(), recovery_codes },
    }),
  },
  {
    kinds: ['identity'],
    sql: `select ${identityColumns}, sub, json_build_array(id) as key
      from identities where user_id = $1 and id > $3 order by id limit $2`,
    size: 200,
    start: () => [0],
    line: (row: IdentityRow & { sub: string }) => ({
      kind: 'identity',
      data: { ...presentIdentity(row), sub: row.sub },
    }),
  },
  {
    kinds: ['api_key'],
    sql: `select ${keyColumns}, json_build_array(s.id) as key
      from ${keyTables}
      where s.user_id = $1 and ${isLive} and s.id > $3::uuid
      order by s.id limit $2`,
    size: 1000,
    start: () => ['00000000-0000-0000-0000-000000000000'],
    line: (row: KeyRow) => ({ kind: 'api_key', data: presentKey(row) }),
  },
  {
    kinds: ['webhook'],
    sql: `select ${webhookColumns}, json_build_array(w.id) as key
      from webhooks w where w.user_id = $1 and w.id > $3::uuid order by w.id limit $2`,
    size: 1000,
    start: () => ['00000000-0000-0000-0000-000000000000'],
    line: (row: WebhookRow) => ({ kind: 'webhook', data: presentWebhook(row) }),
  },
  // Not who acted, and nothing of reports about the user: a dismissal would tell of one.
  {
    kinds: ['audit'],
    sql: `select id, action, happened_at as at, post_id, reason, details ->> 'until' as until,
        details ->> 'role' as role, json_build_array(id) as key
      from audit_log where user_id = $1 and action <> 'dismiss' and id > $3 order by id limit $2`,
    size: 200,
    start: () => [0],
    line: ({ id, action, at, post_id, reason, until, role }: AuditRow) => ({
      kind: 'audit',
      data: { id, action, at: at.toISOString(), post_id, reason, until, role },
    }),
  },
  {
    kinds: ['report'],
    sql: `select c.post_id, c.user_id, r.reason, r.note, r.reported_at as at, json_build_array(r.case_id) as key
      from reports r join moderation_cases c on c.id = r.case_id
      where r.reporter_id = $1 and r.case_id > $3 order by r.case_id limit $2`,
    size: 200,
    start: () => [0],
    line: ({ post_id, user_id, reason, note, at }: ReportRow) => ({
      kind: 'report',
      data: { post_id, user_id, reason, note, at: at.toISOString() },
    }),
  },
];
