import type { moderationEvent } from './event-names.ts';

/** What a user may do: moderators judge what users write, and administrators moderators too. */
export interface RoleChanged {
  role: 'user' | 'moderator' | 'admin';
}

/** A report, as moderators are told of it: who wrote it and what is in its case alone. */
export interface ReportAdded {
  /** The case that collects the reports of one post or user. */
  id: number;
  /** Null if it is about the user. */
  post_id: number | null;
  /** The owner of the post, or the user. */
  user_id: number;
  reason: string;
  /** How many reports the case has. */
  reports: number;
}

/** The end of a case. */
export interface ReportResolved extends Pick<ReportAdded, 'id' | 'post_id' | 'user_id'> {
  /** The action that resolved it; `dismiss`: none was needed. */
  resolution: string;
}

type Names = typeof moderationEvent;

/** The events of moderation, with their payloads. */
export type ModerationEvents = Record<Names['roleChanged'], RoleChanged> &
  Record<Names['reported'], ReportAdded> &
  Record<Names['resolved'], ReportResolved>;
