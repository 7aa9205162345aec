import type { RouteContext } from './api/route.ts';
import type { AuthContext } from './auth/context.ts';
import type { OwnPassword } from './auth/own-password.ts';
import type { Passwords } from './auth/passwords.ts';
import type { Revocations } from './auth/revocations.ts';
import type { Config } from './config.ts';
import type { SchemaWatch } from './database/schema-watch.ts';
import type { WriteMonitor } from './database/write-monitor.ts';
import type { Connections } from './delivery/connections.ts';
import type { PendingResponses } from './http/pending-responses.ts';
import type { RequestGuard } from './http/request-guard.ts';
import type { LiveSessions } from './auth/live-sessions.ts';
import type { ExportContext } from './export/context.ts';
import type { ConnectionLimits } from './limits/connection-limits.ts';
import type { Follower } from './log/follower.ts';
import type { Metrics } from './ops/metrics.ts';
import type { ModerationContext } from './moderation/context.ts';
import type { NotificationContext } from './notifications/context.ts';
import type { PostContext } from './posts/context.ts';
import type { RelationContext } from './relations/context.ts';
import type { EntryContext } from './transports/entry.ts';
import type { UserContext } from './users/context.ts';
import type { WebhookContext } from './webhooks/context.ts';
import type { VoteContext } from './votes/context.ts';

/**
 * What every request handler may use, of which each capability names its share. Plain: built once in `createService`, passed
 * down, never imported by those who use it.
 */
export interface Context
  extends
    RouteContext,
    AuthContext,
    UserContext,
    RelationContext,
    PostContext,
    VoteContext,
    NotificationContext,
    ModerationContext,
    ExportContext,
    WebhookContext,
    EntryContext {
  config: Readonly<Config>;
  metrics: Metrics;
  /** Whether a request may come in, by the host that it names and the page that it is from. */
  guard: RequestGuard;
  writes: WriteMonitor;
  schema: SchemaWatch;
  passwords: Passwords;
  ownPassword: OwnPassword;
  revocations: Revocations;
  liveSessions: LiveSessions;
  connections: Connections;
  connectionLimits: ConnectionLimits;
  feed: Follower;
  pendingResponses: PendingResponses;
}
