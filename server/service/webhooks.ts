import type { Config } from '../config.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Follower } from '../log/follower.ts';
import type { Logger } from '../logger.ts';
import type { Outbox } from '../mail/outbox.ts';
import { Seal } from '../mail/seal.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { TimeLimits } from '../time-limits.ts';
import { nextEvents } from '../transports/long-poll/long-poll.ts';
import { version } from '../version.ts';
import type { WebhookContext } from '../webhooks/context.ts';
import { WebhookSender } from '../webhooks/sender.ts';
import { WebhookWorker } from '../webhooks/worker.ts';
import type { DatabaseParts } from './database.ts';

export interface WebhookParts {
  /** What requests use of them. */
  webhooks: WebhookContext['webhooks'];
  webhookWorker: WebhookWorker;
}

export interface WebhookDependencies {
  database: Pick<DatabaseParts, 'db' | 'mayWrite'>;
  delivery: Delivery;
  feed: Follower;
  mails: Outbox;
  secrets: readonly string[];
  timeLimits: Readonly<TimeLimits>;
  log: Logger;
  metrics: Metrics;
}

/** Webhooks: who posts the events of the log to other servers. */
export function createWebhooks(
  config: Readonly<Config>,
  {
    database: { db, mayWrite },
    delivery,
    feed,
    mails,
    secrets,
    timeLimits,
    log,
    metrics,
  }: WebhookDependencies,
): WebhookParts {
  const seal = new Seal(secrets, 'webhooks');
  const sender = new WebhookSender({
    allowPrivate: config.webhookAllowPrivate,
    limit: timeLimits.webhook,
    userAgent: `Tidings/${version}`,
  });
  const webhookWorker = new WebhookWorker({
    db,
    nextEvents: (...asked) => nextEvents({ delivery, feed }, ...asked),
    sender,
    seal,
    mails,
    may: () => mayWrite() && !delivery.draining,
    retry: timeLimits.webhookRetry,
    log,
    metrics,
  });
  const webhooks = {
    allowPrivate: config.webhookAllowPrivate,
    seal,
    sender,
    changed: (id: string) => webhookWorker.changed(id),
  };
  return { webhooks, webhookWorker };
}
