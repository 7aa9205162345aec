export { type SearchPart, searchParts } from './search-marks.ts';
export { type TextBlock, textBlocks } from './text-blocks.ts';
export type { TextInline } from './text-inlines.ts';
export { type TextPart, textParts, type TextReferences } from './text-parts.ts';
export { localStorageSession } from './browser-storage.ts';
export type { AccountExport } from './account-export.ts';
export {
  Client,
  type ClientOptions,
  createClient,
  type EventPage,
  type EventsOptions,
  type ExportOptions,
} from './client.ts';
export type * from './contract.ts';
export { isEdited } from './edited.ts';
export { Backoff, type BackoffOptions } from './feed/backoff.ts';
export type { Feed, FeedListeners, FeedOptions } from './feed/feed.ts';
export type { FeedReader } from './feed/reader.ts';
export type {
  SubscribeOptions,
  Subscription,
  SubscriptionListeners,
  TopicReset,
} from './feed/subscription.ts';
export type { FeedStatus, FeedTrouble } from './feed/status.ts';
export type { LoginSessionListOptions, LoginSessionPage, LoginSessions } from './login-sessions.ts';
export type { AuditLogOptions, AuditPage, CaseListOptions, CasePage, Moderation } from './moderation.ts';
export type { NotificationListOptions, NotificationPage, Notifications } from './notifications.ts';
export type { PageOptions, PagePlace } from './page-place.ts';
export type {
  CreateOptions,
  EditOptions,
  ListOptions,
  PostPage,
  Posts,
  ReplyListOptions,
  ReplyPage,
} from './posts.ts';
export type { OpenId } from './open-id.ts';
export type { SecondFactor } from './second-factor.ts';
export type { Session, SessionChange, SessionState } from './session.ts';
export type { NewWebhook, WebhookEdit, Webhooks } from './webhooks.ts';
export {
  memoryStorage,
  type SessionEnd,
  type SessionStorage,
  type StoredSession,
} from './session-storage.ts';
export {
  type CasesState,
  type CaseStore,
  type CaseStoreOptions,
  createCaseStore,
} from './store/case-store.ts';
export {
  createFeedStore,
  type FeedState,
  type FeedStore,
  type FeedStoreOptions,
} from './store/feed-store.ts';
export type { FeedNews, FeedStoreListeners } from './store/posts-store.ts';
export type { FeedQuery } from './store/feed-query.ts';
export { MAX_PENDING, type ShownPost } from './store/feed-view.ts';
export type { PagesState } from './store/live-pages.ts';
export type { StoreFeed } from './store/live-source.ts';
export type { LiveStore, Snapshots } from './store/live-store.ts';
export {
  createProfileStore,
  type ProfileState,
  type ProfileStore,
  type ProfileStoreOptions,
} from './store/profile-store.ts';
export {
  createRelationsStore,
  type ListedUser,
  type RelationList,
  type RelationsState,
  type RelationsStore,
  type RelationsStoreOptions,
} from './store/relations-store.ts';
export {
  createNotificationStore,
  type NotificationsState,
  type NotificationStore,
  type NotificationStoreOptions,
} from './store/notification-store.ts';
export {
  createThreadStore,
  type ThreadState,
  type ThreadStore,
  type ThreadStoreListeners,
  type ThreadStoreOptions,
} from './store/thread-store.ts';
export type { ShownReply, ThreadNode } from './store/thread-tree.ts';
export type { DelayedVote } from './store/vote-wishes.ts';
export { type ErrorCode, TidingsError } from './tidings-error.ts';
export type { RelationListOptions, RelationPage, Users } from './users.ts';
export type { Votes } from './votes.ts';
