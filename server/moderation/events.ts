import type { EventType } from '../topics/event-type.ts';
import { moderationEvent } from './event-names.ts';
import type { RoleChanged } from './event-payloads.ts';
import { roleChanged as roleChangedSchema } from './schemas.ts';

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
  schema: roleChangedSchema,
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

export const moderationEvents = [roleChanged] as const;
