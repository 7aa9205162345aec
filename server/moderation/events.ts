import type { EventType } from '../topics/event-type.ts';
import { moderationEvent } from './event-names.ts';
import type { ReportAdded, ReportResolved, RoleChanged } from './event-payloads.ts';
import * as schemas from './schemas.ts';

type Role = RoleChanged['role'];

/** A role that somebody has got. */
export interface RoleNews {
  userId: number;
  role: Role;
  before: Role;
}

const moderates = (role: Role) => role !== 'user';

export const roleChanged: EventType<typeof moderationEvent.roleChanged, RoleNews, RoleChanged> = {
  name: moderationEvent.roleChanged,
  summary: 'You have another role',
  description: 'To all of your own clients. What moderators are told reaches you from here on, or no longer.',
  schema: schemas.roleChanged,
  entityType: 'role',
  entityId: ({ userId }) => userId,
  audience: ({ userId }) => `user:${userId}`,
  topics: ({ userId }) => [`user:${userId}`],
  // Between two roles that both moderate, the stream goes on as it did.
  relation: ({ userId, role, before }) =>
    moderates(role) === moderates(before)
      ? undefined
      : { kind: 'moderate', user_id: userId, target_id: userId, added: moderates(role) },
  payload: ({ role }) => ({ role }),
  supersedes: 'nothing',
  redaction: [],
};

/** To all who moderate: their topic is their audience. */
const ofCase = {
  entityType: 'case',
  entityId: ({ id }: { id: number }) => id,
  audience: () => 'role:moderator' as const,
  topics: () => ['role:moderator'],
  supersedes: 'nothing' as const,
  redaction: [],
};

export const reportAdded: EventType<typeof moderationEvent.reported, ReportAdded, ReportAdded> = {
  ...ofCase,
  name: moderationEvent.reported,
  summary: 'Somebody has reported a post or a user',
  description: 'To all moderators. All reports of one post or user are one case until it is resolved.',
  schema: schemas.reportAdded,
  payload: (report) => report,
};

export const reportResolved: EventType<typeof moderationEvent.resolved, ReportResolved, ReportResolved> = {
  ...ofCase,
  name: moderationEvent.resolved,
  summary: 'A case is resolved',
  description: 'To all moderators: by an action, or dismissed. A later report opens another one.',
  schema: schemas.reportResolved,
  payload: (resolved) => resolved,
};

export const moderationEvents = [roleChanged, reportAdded, reportResolved] as const;
