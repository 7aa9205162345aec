import type { notificationEvent } from './event-names.ts';

/**
 * `reply`: somebody answered a post of the user. `mention`: a post names the user. `follow`: somebody follows the user.
 * `votes`: people voted for a post of the user, of which there is one notification, however many they are.
 * `moderation`: a moderator did something about the user, or looked at what the user reported.
 */
export type NotificationKind = 'reply' | 'mention' | 'follow' | 'votes' | 'moderation';

/**
 * What a moderator did to the user or to a post of the user. `report_acted`, `report_dismissed`: they looked at what the
 * user reported, and did something about it or did not have to.
 */
export type NotifiedAct =
  | 'warn'
  | 'remove'
  | 'restore'
  | 'lock'
  | 'unlock'
  | 'suspend'
  | 'unsuspend'
  | 'report_acted'
  | 'report_dismissed';

export interface NotificationView {
  id: number;
  kind: NotificationKind;
  /** Who did it; `null` of votes and of moderation. The name is empty once the account has been deleted. */
  actor: { id: number; username: string } | null;
  /** The reply, the post that mentions the user, or the one that was voted for, moderated or reported; else `null`. */
  post_id: number | null;
  /** The first post of that post's thread: the topic `thread:ID`. */
  thread_id: number | null;
  /** How many people: of votes, all who voted for the post. */
  people: number;
  /** The revision of the user's notifications that added or renewed it. The list is in this order, the highest first. */
  rev: number;
  /** When it was added or renewed. RFC 3339, UTC. */
  at: string;
  read: boolean;
  /** Only of moderation. */
  act?: NotifiedAct;
  /** Only of moderation: why, in the words of the moderator; not of a report. */
  reason?: string;
}

/** A notification as an event tells of it. */
export interface NotificationAdded extends NotificationView {
  /** Only `true`: it is gone, or its account was deleted, and the name or the reason was taken out of here. */
  redacted?: true;
}

export interface NotificationRemoved {
  id: number;
}

export interface NotificationsRead {
  /** Those with this `rev` or a lower one are read. */
  up_to: number;
}

/** How many are unread. Absolute: of two, the one with the higher `rev` is newer. */
export interface NotificationState {
  unread: number;
  rev: number;
}

type Names = typeof notificationEvent;

/** The events of notifications, with their payloads. */
export type NotificationEvents = Record<Names['added'], NotificationAdded> &
  Record<Names['removed'], NotificationRemoved> &
  Record<Names['read'], NotificationsRead> &
  Record<Names['state'], NotificationState>;
