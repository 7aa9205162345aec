import type { moderationEvent } from './event-names.ts';

/** What a user may do: moderators judge what users write, and administrators moderators too. */
export interface RoleChanged {
  role: 'user' | 'moderator' | 'admin';
}

type Names = typeof moderationEvent;

/** The events of moderation, with their payloads. */
export type ModerationEvents = Record<Names['roleChanged'], RoleChanged>;
