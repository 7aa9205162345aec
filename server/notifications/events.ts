import type { DeclaredEvent } from '../topics/event-type.ts';
import { notificationEvent } from './event-names.ts';
import { notificationAdded, notificationRemoved, notificationsRead, notificationState } from './schemas.ts';

// The rows of these events are written by SQL functions, in the statement of the act.

const added = {
  name: notificationEvent.added,
  summary: 'You have a notification, or one was renewed',
  description:
    'To all of your own clients. One for each act and person. Of votes it comes again, with the same `id`, the number of `people` and a higher `rev`.',
  entityType: 'notification',
  supersedes: 'nothing',
  schema: notificationAdded,
} as const satisfies DeclaredEvent;

const removed = {
  name: notificationEvent.removed,
  summary: 'A notification is gone',
  description:
    'To all of your own clients. Its post was deleted or withdrawn, its votes or its follow taken back, you blocked or muted its actor, or a thousand newer ones came.',
  entityType: 'notification',
  supersedes: 'all',
  schema: notificationRemoved,
} as const satisfies DeclaredEvent;

const read = {
  name: notificationEvent.read,
  summary: 'You have read notifications',
  description: 'To all of your own clients: on one of them you have seen those up to a `rev`.',
  entityType: 'notifications',
  supersedes: 'nothing',
  schema: notificationsRead,
} as const satisfies DeclaredEvent;

const state = {
  name: notificationEvent.state,
  summary: 'How many notifications are unread',
  description:
    'To all of your own clients, behind each change. Absolute: keep the one with the highest `rev`.',
  entityType: 'notifications',
  supersedes: 'nothing',
  schema: notificationState,
} as const satisfies DeclaredEvent;

export const notificationEvents = [added, removed, read, state] as const;
