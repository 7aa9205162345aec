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
  const {
    database,
    replicas,
    backlog,
    feed,
    redis,
    sessions,
    delivery,
    limits,
    capabilities,
    webhookWorker,
    pendingResponses,
  } = parts;
  const set = () => {
    metrics.connectionSlotsUsed.set(limits.connectionLimits.taken);
    metrics.subscribers.set(delivery.size);
    metrics.filteredSubscribers.set(delivery.filtered);
    metrics.relationsUsers.set(delivery.usersKnown);
    metrics.responsesInProgress.set(pendingResponses.count);
    metrics.outboxLength.set(backlog.length);
    metrics.outboxAge.set(backlog.age);
    metrics.moderationCases.set(capabilities.openCases.count);
    metrics.moderationCaseAge.set(capabilities.openCases.age);
    metrics.webhooksHeld.set(webhookWorker.held);
    metrics.writesRefused.set(database.mayWrite() && database.writes.obstacle === undefined ? 0 : 1);
    metrics.followerLag.set(feed.lag);
    redis?.epochs.look();
    metrics.redisDegraded.set(redis?.health.fault ? 1 : 0);
    metrics.followerAge.set((Date.now() - feed.readAt) / 1000);
    const waiting = {
      passwords: capabilities.passwords.waiting,
      database: database.db.waiting,
      sessions: sessions.liveSessions.waiting,
      pages: capabilities.feedReader.waiting,
      searches: capabilities.feedReader.slowWaiting,
      profiles: capabilities.profiles.waiting,
      replays: delivery.replaysWaiting,
      posts: capabilities.postWriter.waiting,
      votes: capabilities.voteWriter.waiting,
      edits: capabilities.edits.waiting,
    };
    for (const [queue, count] of Object.entries(waiting)) metrics.queueWaiting.set({ queue }, count);
    for (const { name: replica, behind, isInUse } of replicas?.all ?? []) {
      metrics.replicaUsed.set({ replica }, isInUse ? 1 : 0);
      metrics.replicaBehind.set({ replica }, behind);
    }
    metrics.poolInUse.set(database.db.pool.using);
    metrics.poolWaiting.set(database.db.waiting);
  };
  let timer: NodeJS.Timeout | undefined;
  return { start: () => void (timer = setInterval(set, INTERVAL)), stop: () => clearInterval(timer) };
}
