import type { ModerationEvents } from './moderation/event-payloads.ts';
import type { NotificationEvents } from './notifications/event-payloads.ts';
import type { PostEvents } from './posts/event-payloads.ts';
import type { Position, ServiceMessages } from './protocol.ts';
import type { RelationEvents } from './relations/event-payloads.ts';

export type { ReportAdded, ReportResolved, RoleChanged } from './moderation/event-payloads.ts';
export type {
  NotificationAdded,
  NotificationKind,
  NotificationRemoved,
  NotificationsRead,
  NotificationState,
  NotificationView,
  NotifiedAct,
} from './notifications/event-payloads.ts';
export type { OwnerView, PostView } from './posts/event-payloads.ts';
export type { FollowChange, HiddenUser, RelatedUser } from './relations/event-payloads.ts';
export type {
  Ack,
  AnsweredEvent,
  ClientToServer,
  FeedMode,
  FieldError,
  HandshakeAuth,
  Position,
  Problem,
  Ready,
  ResetReason,
  SessionCloseCode,
  Subscribed,
  Tally,
  TallyMode,
} from './protocol.ts';

/**
 * The contract of the live feed, in types: the server, the client package, the page and the load tool share it, so nothing but
 * types is imported. What each capability tells is with the capability.
 */

/** The facts that are numbered and kept in the log, with their payloads: those of each capability. */
export type FeedEvents = PostEvents & RelationEvents & NotificationEvents & ModerationEvents;

export type FeedEventName = keyof FeedEvents;

/** A numbered event as in `GET /events`. */
export type FeedEvent = {
  [N in FeedEventName]: Position & { name: N; at: string; data: FeedEvents[N] };
}[FeedEventName];

/** Each event of the log is a message of its name. */
type EventMessages = { [N in FeedEventName]: (data: FeedEvents[N], at: Position) => void };

/** All that a socket is sent. */
export interface ServerToClient extends EventMessages, ServiceMessages {}
