import type { Delivery } from '../delivery/delivery.ts';
import type { PendingResponses } from '../http/pending-responses.ts';
import type { Backlog } from '../log/backlog.ts';
import type { Replicas } from '../database/replicas.ts';
import type { Follower } from '../log/follower.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { RedisParts } from '../redis.ts';
import type { WebhookParts } from './webhooks.ts';
import type { CapabilityParts } from './capabilities.ts';
import type { DatabaseParts } from './database.ts';
import type { LimitParts } from './limits.ts';
import type { Part } from './part.ts';
import type { SessionParts } from './sessions.ts';

/** How often they are set. Milliseconds. */
const INTERVAL = 1000;

export interface Gauged {
  database: Pick<DatabaseParts, 'db' | 'mayWrite' | 'writes'>;
  replicas: Replicas | undefined;
  backlog: Backlog;
  feed: Follower;
  redis: RedisParts | undefined;
  sessions: Pick<SessionParts, 'liveSessions'>;
  delivery: Delivery;
  limits: Pick<LimitParts, 'connectionLimits'>;
  capabilities: CapabilityParts;
  webhookWorker: WebhookParts['webhookWorker'];
  pendingResponses: PendingResponses;
}

/** Sets the metrics of what is as it is, rather than counted. */
export function gauges(metrics: Metrics, parts: Gauged): Part {
  const set = () => {
    metrics.connectionSlotsUsed.set(parts.limits.connectionLimits.taken);
    metrics.subscribers.set(parts.delivery.size);
    metrics.filteredSubscribers.set(parts.delivery.filtered);
    metrics.relationsUsers.set(parts.delivery.usersKnown);
    metrics.responsesInProgress.set(parts.pendingResponses.count);
    metrics.outboxLength.set(parts.backlog.length);
    metrics.outboxAge.set(parts.backlog.age);
    metrics.moderationCases.set(parts.capabilities.openCases.count);
    metrics.moderationCaseAge.set(parts.capabilities.openCases.age);
    metrics.webhooksHeld.set(parts.webhookWorker.held);
    metrics.writesRefused.set(
      parts.database.mayWrite() && parts.database.writes.obstacle === undefined ? 0 : 1,
    );
    metrics.followerLag.set(parts.feed.lag);
    parts.redis?.epochs.look();
    metrics.redisDegraded.set(parts.redis?.health.fault ? 1 : 0);
    metrics.followerAge.set((Date.now() - parts.feed.readAt) / 1000);
    const waiting = {
      passwords: parts.capabilities.passwords.waiting,
      database: parts.database.db.waiting,
      sessions: parts.sessions.liveSessions.waiting,
      pages: parts.capabilities.feedReader.waiting,
      searches: parts.capabilities.feedReader.slowWaiting,
      profiles: parts.capabilities.profiles.waiting,
      replays: parts.delivery.replaysWaiting,
      posts: parts.capabilities.postWriter.waiting,
      votes: parts.capabilities.voteWriter.waiting,
      edits: parts.capabilities.edits.waiting,
    };
    for (const [queue, count] of Object.entries(waiting)) metrics.queueWaiting.set({ queue }, count);
    for (const { name: replica, behind, isInUse } of parts.replicas?.all ?? []) {
      metrics.replicaUsed.set({ replica }, isInUse ? 1 : 0);
      metrics.replicaBehind.set({ replica }, behind);
    }
    metrics.poolInUse.set(parts.database.db.pool.using);
    metrics.poolWaiting.set(parts.database.db.waiting);
  };
  let timer: NodeJS.Timeout | undefined;
  return { start: () => void (timer = setInterval(set, INTERVAL)), stop: () => clearInterval(timer) };
}
