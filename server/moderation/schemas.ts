import Joi from 'joi';
import {
  count,
  exactly,
  id,
  type Infer,
  listOf,
  object,
  oneOf,
  optional,
  pageCursor,
  pageSize,
  text,
  timestamp,
  visibleText,
  withDefault,
} from '../api/schema.ts';
import type { ReportAdded, ReportResolved, RoleChanged } from './event-payloads.ts';
import { auditActions, postActions, reportReasons, userActions } from './present.ts';

/** What a user may do beside what all may. */
const role = () =>
  oneOf('user', 'moderator', 'admin').description('What the user may do beside what all users may');

export const roleChanged = exactly<RoleChanged>()(object({ role: role() }).id('RoleChangedEvent'));

const caseFields = {
  id: id().description('The case'),
  post_id: id().allow(null).description('`null` if it is about the user') as Joi.AnySchema<number | null>,
  user_id: id().description('The owner of the post, or the user'),
};

export const reportAdded = exactly<ReportAdded>()(
  object({
    ...caseFields,
    reason: Joi.string(),
    reports: count().description('How many reports the case has'),
  }).id('ReportAddedEvent'),
);

export const reportResolved = exactly<ReportResolved>()(
  object({
    ...caseFields,
    resolution: Joi.string().description('The action that resolved it; `dismiss`: none was needed'),
  }).id('ReportResolvedEvent'),
);

export const reportParams = object({ id: id().description('What is reported').example(2) });

export const fileReport = object({
  reason: oneOf(...reportReasons).description('Why'),
  note: withDefault(text().allow('').max(1000).description('What moderators should know'), ''),
})
  .example({ reason: 'spam', note: 'The third one today' })
  .id('FileReport');
export type FileReport = Infer<typeof fileReport>;

/** A moment, written in one way. */
const MOMENT =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?Z$/;

const moment = () =>
  Joi.string()
    .pattern(MOMENT, 'a moment in UTC, as 2030-01-01T12:00:00Z')
    .custom((value: string, helpers) => {
      if (!MOMENT.test(value)) return value;
      // 30 February would be taken for a day of March, and PostgreSQL has no year 0.
      const day = new Date(value);
      return day.getUTCFullYear() === 0 || day.getUTCDate() !== Number(value.slice(8, 10))
        ? helpers.error('string.pattern.name', { name: 'a day that there is' })
        : value;
    }, 'a day that there is');

export const takeAction = object({
  action: oneOf(...postActions, ...userActions, 'dismiss').description(
    'On a post: `remove` (it is deleted for everyone, and can be restored for thirty days), `restore`, `lock` (nobody may reply in its thread), `unlock`. On a user: `suspend`: ends all sessions of a user, and lets none begin until then. `unsuspend`: ends that before its time. With `posts`, `remove` is of all posts of a user. On either: `warn` (the user, or the owner of the post, is notified of the reason), `dismiss` (the reports of it need no action)',
  ),
  post_id: optional(id()).description('What it is about'),
  user_id: optional(id()).description('Whom it is about'),
  reason: visibleText()
    .max(1000)
    .description('Why: for the audit log, and for whom it is about, who is not told who wrote it'),
  until: optional(moment()).description('Only of `suspend`: its end. Left out: until somebody ends it'),
  posts: optional(oneOf('all')).description(
    'Only of `remove` with a `user_id`: all posts and replies of the user that others can see, in transactions of 25, for some 45 seconds. What is left then (`complete` is `false`), or if the service ends meanwhile, is removed by the same request',
  ),
})
  .xor('post_id', 'user_id')
  .example({ action: 'suspend', user_id: 2, reason: 'Spam', until: '2030-01-01T12:00:00Z' })
  .id('TakeAction');
export type TakeAction = Infer<typeof takeAction>;

const named = (what: string) =>
  object({ id: id(), username: Joi.string().allow('') })
    .allow(null)
    .description(what) as Joi.AnySchema<{ id: number; username: string } | null>;

export const auditEntry = object({
  id: id(),
  action: Joi.string().description(
    'What was done; `grant` is a change of a role by the operator, `reset_link` a link with which the user chooses a new password, `totp_off` the end of the second factor of the user’s logins. Of users in their own account: `reset_password` (with a link), `change_email` (a new address counts), `undo_email` (the old one was put back), `link_identity` and `unlink_identity` (a login with the OpenID provider), `take_over` (the provider has verified that the address of the account, which was never verified here, is the user’s), `create_key` and `revoke_key` (an API key), `create_webhook` and `change_webhook` (where what they hear is posted, or with which secret, or that it is posted again after a new password)',
  ),
  at: timestamp(),
  actor: named('Who did it; `null`: the operator'),
  user: named('Whom it was done to'),
  post_id: id().allow(null),
  reason: Joi.string().allow(''),
  until: timestamp().allow(null).description('Of a suspension: its end; `null` if it has none'),
  role: Joi.string().allow(null).description('Of a grant: the role'),
  posts: count()
    .allow(null)
    .description(
      'Of the removal of all posts of a user: how many. There is an entry for each transaction of it; the answer has their sum',
    ),
  complete: Joi.boolean()
    .allow(null)
    .description(
      'Of the removal of all posts of a user: `true` in its last entry. `false` in the answer, or in the newest entry while none follows: the time was up, or it was cut off. The same request removes the rest',
    ),
}).id('AuditEntry');

export const auditLog = listOf(auditEntry);

export const listLog = object({
  action: optional(oneOf(...auditActions))
    .description('Only this action')
    .example('remove'),
  actor_id: optional(id()).description('Only what this user did').example(1),
  user_id: optional(id()).description('Only what was done to this user').example(2),
  post_id: optional(id()).description('Only what was done to this post').example(7),
  limit: pageSize(20),
  cursor: pageCursor('moderation-log', 12, 12),
});
export type ListLog = Infer<typeof listLog>;

const person = (what: string) => object({ id: id(), username: Joi.string().allow('') }).description(what);

export const cases = listOf(
  object({
    id: id(),
    post_id: caseFields.post_id,
    user: person('The owner of the post, or the user'),
    opened_at: timestamp(),
    resolved_at: timestamp().allow(null),
    resolution: Joi.string()
      .allow(null)
      .description('The action that resolved it; `dismiss`: none was needed'),
    post: object({
      title: Joi.string().allow(null),
      content: Joi.string().allow(''),
      removed: Joi.boolean(),
    })
      .allow(null)
      .description('As it is, also if a moderator has removed it; `null` of a user, and once it is gone'),
    reports: listOf(
      object({
        reporter: person('Who reports it'),
        reason: Joi.string(),
        note: Joi.string().allow(''),
        at: timestamp(),
      }),
    ).description('The newest twenty; none of a case about yourself'),
    count: count().description('How many reports it has'),
  }).id('Case'),
);

export const listCases = object({
  state: withDefault(oneOf('open', 'resolved').description('Which cases').example('resolved'), 'open'),
  limit: pageSize(20),
  cursor: pageCursor('moderation-cases', 12, 12),
});
export type ListCases = Infer<typeof listCases>;
