/**
 * The types that the server and its clients share. The server defines them and they are only re-exported here, so that
 * each has one definition; all of them are types, so no server code is loaded.
 */
import type { FeedEventName, FeedEvents, PostView, ResetReason } from '../../server/contract.ts';
import type { PostAnswer } from '../../server/posts/present.ts';
import type { PublicUser } from '../../server/users/present.ts';

export type {
  BegunLogin,
  LinkedIdentity,
  LoginSession,
  Returned as ProviderAnswer,
  Supplement as LoginSupplement,
} from '../../server/auth/present.ts';
export type { SecondFactorView } from '../../server/auth/second-factor.ts';
export type { TotpSetup } from '../../server/auth/totp.ts';
export type { Tokens } from '../../server/auth/refresh.ts';
export type { ProblemCode } from '../../server/errors.ts';
export type {
  ClientToServer,
  FeedEvent,
  FeedEventName,
  FeedEvents,
  FeedMode,
  FieldError,
  FollowChange,
  HandshakeAuth,
  HiddenUser,
  NotificationAdded,
  NotificationKind,
  NotificationRemoved,
  NotificationsRead,
  NotificationState,
  NotificationView,
  NotifiedAct,
  OwnerView,
  Position,
  PostView,
  Problem,
  Ready,
  RelatedUser,
  ReportAdded,
  ReportResolved,
  ResetReason,
  RoleChanged,
  ServerToClient,
  SessionCloseCode,
  Tally,
  TallyMode,
} from '../../server/contract.ts';
export type { AuditView as AuditEntry, CaseView as ModerationCase } from '../../server/moderation/present.ts';
export type { PostAnswer } from '../../server/posts/present.ts';
export type { Sort, ThreadSort } from '../../server/posts/cursor.ts';
export type { RelationView } from '../../server/relations/commands.ts';
export type { RelationEntry } from '../../server/relations/present.ts';
export type { EditUser, SignUp } from '../../server/users/commands.ts';
export type { OwnUser, PublicUser } from '../../server/users/present.ts';
export type { VoteView } from '../../server/votes/commands.ts';
export type {
  FailureView as WebhookFailure,
  Outcome as WebhookPing,
  WebhookView as Webhook,
} from '../../server/webhooks/present.ts';

/** What a service says of itself. */
export interface ServiceInfo {
  name: string;
  version: string;
  /** Where its documents are. */
  docs: string;
  /** Who may sign up: `open`, anyone; `invite`, those with an invitation; `closed`, nobody. */
  sign_up: 'open' | 'invite' | 'closed';
  /** Whether posts can be read without a session. */
  public_read: boolean;
  /** Whether it sends mails: links that verify addresses, and to new passwords. */
  sends_mail: boolean;
  /** The OpenID provider with which users can log in; null: none. */
  oidc: { name: string } | null;
}

/** A post or a reply, as the reader sees it. */
export type Post = PostAnswer;

/** A user, as others see them. */
export type User = PublicUser;

/** A post as its writer gives it. `published: false` is a draft; left out, it is published. */
export type NewPost = Pick<PostView, 'title' | 'content'> & Partial<Pick<PostView, 'published'>>;

/**
 * A reply in the list of its thread. One that has been deleted while there are replies below it has neither text nor
 * owner.
 */
export type ReplyAnswer = Omit<PostAnswer, 'owner_id' | 'owner'> & {
  /** 1 of an answer to the thread's first post. */
  depth: number;
} & (
    | (Pick<PostAnswer, 'owner_id' | 'owner'> & { deleted?: never })
    | { owner_id: null; owner: null; deleted: true }
  );

/** A reply in its thread. */
export type Reply = ReplyAnswer;

/** What of a post is to be changed. */
export type PostEdit = Partial<Pick<PostView, 'title' | 'content' | 'published'>>;

/** Why somebody reports a post or a user, and what moderators should know. */
export interface Report {
  reason: 'spam' | 'harassment' | 'violence' | 'illegal' | 'other';
  note?: string;
}

/** What a moderator does, and why: whom it is about is told the reason. */
export type ModerationAction = { reason: string } & (
  | { action: 'remove' | 'restore' | 'lock' | 'unlock' | 'warn' | 'dismiss'; post_id: number }
  | { action: 'warn' | 'unsuspend' | 'dismiss'; user_id: number }
  /** Without `until`, until somebody ends it. */
  | { action: 'suspend'; user_id: number; until?: string }
  | { action: 'remove'; user_id: number; posts: 'all' }
);

/** A position in the feed. */
export interface FeedPosition {
  seq: number;
  epoch: string;
}

/** An event of the live feed. */
export type LiveEvent = {
  [N in FeedEventName]: { seq: number; name: N; data: FeedEvents[N] };
}[FeedEventName];

/**
 * The position could not be served: what happened in between is not sent. Read the list again and continue from `seq`.
 */
export interface FeedReset {
  name: 'reset';
  seq: number;
  epoch: string;
  reason: ResetReason;
}
