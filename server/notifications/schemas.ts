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
  timestamp,
  withDefault,
} from '../api/schema.ts';
import type {
  NotificationAdded,
  NotificationRemoved,
  NotificationsRead,
  NotificationState,
  NotificationView,
} from './event-payloads.ts';

const rev = () =>
  count().description(
    'The revision of your notifications that added or renewed it: the list is in this order',
  );

const idOrNull = (what: string) =>
  id().allow(null).description(`${what}; else \`null\``) as Joi.AnySchema<number | null>;

const fields = {
  id: id(),
  kind: oneOf('reply', 'mention', 'follow', 'votes', 'moderation').description(
    '`reply`: to a post of yours. `mention`: of you, in a post. `follow`: of you. `votes`: for a post of yours, one notification for all of them. `moderation`: a moderator did something about you, or looked at what you reported',
  ),
  actor: object({ id: id(), username: Joi.string().allow('') })
    .allow(null)
    .description('Who did it; `null` of votes and of moderation') as Joi.AnySchema<{
    id: number;
    username: string;
  } | null>,
  post_id: idOrNull(
    'The reply, the post that mentions you, or the one that was voted for, moderated or reported',
  ),
  thread_id: idOrNull('The first post of its thread'),
  people: count().description('How many people: of votes, all others who voted for the post'),
  rev: rev(),
  at: timestamp().description('When it was added or renewed'),
  read: Joi.boolean(),
  act: optional(
    oneOf(
      'warn',
      'remove',
      'restore',
      'lock',
      'unlock',
      'suspend',
      'unsuspend',
      'report_acted',
      'report_dismissed',
    ).description(
      'Only of moderation: what was done to you, or to the post of yours. `report_acted`: moderators looked at what you reported, and acted; `report_dismissed`: nothing had to be done',
    ),
  ),
  reason: optional(
    Joi.string()
      .allow('')
      .description('Only of moderation: why, in the words of the moderator; not of a report'),
  ),
};

const notification = exactly<NotificationView>()(object(fields).id('Notification'));

const stateFields = {
  unread: count().description('How many are unread'),
  rev: count().description(
    'Grows with each change: of two answers or events, the one with the higher is newer',
  ),
};

export const notifications = object({
  notifications: listOf(notification),
  ...stateFields,
}).id('Notifications');

export const notificationState = exactly<NotificationState>()(object(stateFields).id('NotificationState'));

export const notificationAdded = exactly<NotificationAdded>()(
  object({
    ...fields,
    redacted: optional(oneOf(true)).description(
      'It is gone, or its account was deleted, before this was sent: the name or the reason is empty',
    ),
  }).id('NotificationEvent'),
);

export const notificationRemoved = exactly<NotificationRemoved>()(
  object({ id: id() }).id('NotificationRemovedEvent'),
);

const upTo = () => count().description('Those with this `rev` or a lower one');

export const notificationsRead = exactly<NotificationsRead>()(
  object({ up_to: upTo() }).id('NotificationsReadEvent'),
);

export const listNotifications = object({
  unread: withDefault(Joi.boolean().description('Only those that are unread').example(true), false),
  limit: pageSize(20),
  cursor: pageCursor('notifications', 12, 7),
});
export type ListNotifications = Infer<typeof listNotifications>;

export const markRead = object({
  up_to: upTo()
    .description(
      'The highest `rev` that the reader has seen, of a list, of a notification or of how many are unread: what was added or renewed later stays unread',
    )
    .example(12),
})
  .id('MarkRead')
  .example({ up_to: 12 });
