import type { Server as HttpServer } from 'node:http';
import { Bus } from './cluster/bus.ts';
import { isForwarded, type WorkerSlot, sessionId } from './cluster/sticky-sessions.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { MissedTallies } from './counters/missed-tallies.ts';
import { Pruner } from './database/pruner.ts';
import { Delivery } from './delivery/delivery.ts';
import { TimeSlices } from './delivery/time-slices.ts';
import { toAppError } from './api/errors.ts';
import { requireScope } from './api/scope.ts';
import { PendingResponses } from './http/pending-responses.ts';
import { clientAddress } from './http/client-address.ts';
import { crossOrigin } from './http/cross-origin.ts';
import { RequestGuard } from './http/request-guard.ts';
import { announcer } from './log/announce.ts';
import { onAppended } from './log/append.ts';
import { Backlog } from './log/backlog.ts';
import { Follower, readInterval } from './log/follower.ts';
import { probeLog, wholeLog } from './log/reader.ts';
import { readFollowChanges, readRelations } from './log/relation-reader.ts';
import { Sequencer } from './log/sequencer.ts';
import { FilePositionStore } from './log/position-store.ts';
import type { Identity } from './identity.ts';
import type { Logger } from './logger.ts';
import type { TimeLimits } from './time-limits.ts';
import type { HealthCheck } from './ops/health.ts';
import { createMetrics } from './ops/metrics.ts';
import { Resealing } from './mail/resealing.ts';
import { prunes } from './prunes.ts';
import { sealedColumns } from './sealed-columns.ts';
import { createCapabilities } from './service/capabilities.ts';
import { createCounters } from './service/counters.ts';
import { createDatabase } from './service/database.ts';
import { createFastPaths } from './service/fast-paths.ts';
import { gauges } from './service/gauges.ts';
import { healthChecks } from './service/health-checks.ts';
import { createLimits } from './service/limits.ts';
import { createMail } from './service/mail.ts';
import { createOidc } from './service/oidc.ts';
import { taken } from './users/addresses.ts';
import { admit, createAccount } from './users/commands.ts';
import { type Part, startParts, stopParts } from './service/part.ts';
import { createReads } from './service/replicas.ts';
import { createSessions } from './service/sessions.ts';
import { createWebhooks } from './service/webhooks.ts';
import { Gateway } from './transports/socketio/gateway.ts';
import { TallyReader } from './votes/queries.ts';

/** The service without its HTTP front: everything that has to be started and stopped. */
export interface Service {
  ctx: Context;
  gateway: Gateway;
  checks: HealthCheck[];
  /** Begins to number, to follow and to serve sockets. Nothing may be served before it has resolved. */
  start(): Promise<void>;
  /**
   * Starts the drain: new subscribers are refused, and existing ones are closed, spread over this time in milliseconds.
   */
  dismiss(spread: number): Promise<void>;
  /** Stops everything in reverse order. */
  close(): Promise<void>;
}

/**
 * Builds the parts and joins them by passing functions: none of them knows another's folder. They are built, and started, in
 * the order in which an event flows: the database, the log, the delivery, the transports; then what requests use.
 * @param databaseUrl where the database is, migrated
 * @param slot the worker slot of this process, if there are several workers
 */
export async function createService(
  config: Readonly<Config>,
  databaseUrl: string,
  http: HttpServer,
  log: Logger,
  slot: WorkerSlot | undefined,
  timeLimits: Readonly<TimeLimits>,
): Promise<Service> {
  const metrics = createMetrics();
  const told = { log, metrics };
  const { fastPaths, verified } = createFastPaths(config, told);
  const database = createDatabase(config, databaseUrl, { ...told, onBack: () => feed.reopened() });
  const { db, feedPool, identity, schema, writes, mayWrite } = database;

  const feed: Follower = new Follower({
    pool: feedPool,
    log,
    interval: () => readInterval(redis !== undefined && !redis.health.isWell('bus')),
    mayRead: () => !schema.isAway,
    onRead: () => identity.heard(),
    onFailed: (error) => void schema.failed(error),
  });
  feed.addPositionStore(new FilePositionStore(config.dataDir, slot?.number ?? 0, log));
  identity.onMoved(() => feed.recheck());
  const { reads, logReads, replicas } = createReads(config, databaseUrl, database, feed, told);
  const redis =
    config.redis &&
    (await (
      await import('./redis.ts')
    ).openRedis({ config, target: config.redis, db, log, metrics, epoch: () => feed.epoch }));
  if (redis) {
    feed.addPositionStore(redis.positionStore);
    redis.positionStore.onPosition((position) => feed.check(position));
    feed.on('epoch', () => redis.epochChanged());
  }

  const sessions = await createSessions(config, database, feed, told);
  const { connections, identify, liveSessions } = sessions;
  const limits = createLimits(config, { db, secrets: sessions.secrets, redis, slot, ...told });
  const { mails, mailWorker, resetRequests } = createMail(config, database, sessions.secrets, told, limits);

  const slices = new TimeSlices(config.writeTimeSlice);
  const delivery = new Delivery({
    feed,
    connections,
    readLog: wholeLog(logReads, schema),
    probeLog: async (probe, after, upTo, limit) =>
      (await feed.isWhole(after, () => schema.confirm()))
        ? logReads((source) => probeLog(source, probe, after, upTo, limit))
        : undefined,
    relationSource: {
      relations: (users) => readRelations(feedPool, users),
      followChanges: (...changes) => readFollowChanges(feedPool, ...changes),
    },
    usesReplicas: replicas !== undefined,
    slices,
    metrics,
    log,
  });
  const guard = new RequestGuard({
    origins: config.corsOrigins,
    publicUrl: config.publicUrl,
    allowedHosts: config.allowedHosts,
    trustProxy: config.trustProxy,
    log,
    onRefused: (reason) => metrics.requestsRefused.inc({ reason }),
  });
  const tallies = new TallyReader(db.share('tallies'));
  const missed = new MissedTallies(feedPool);
  const gateway = new Gateway({
    http,
    log,
    metrics,
    feed,
    connections,
    delivery,
    slices,
    fastPaths,
    missedTallies: (after) => missed.since(after),
    verify: (token, senders) => {
      const mayRead = (user: Identity) => {
        requireScope(user, 'read');
        return user;
      };
      const user = identify(token, senders);
      return user instanceof Promise ? user.then(mayRead) : mayRead(user);
    },
    // The cache suffices: a connection is registered here before the check, so a revocation that the cache lacks ends
    // it.
    requireSession: (session, subscriber) =>
      liveSessions.require(session, { fresh: false, senders: () => subscriber.senders }),
    talliesOf: (subscriber, postIds) => tallies.of(subscriber.identity.id, subscriber.senders, postIds),
    guard,
    crossOrigin: crossOrigin(config.corsOrigins, guard),
    connectionLimits: limits.connectionLimits,
    handshakeLimit: timeLimits.handshake,
    limitMessages: config.rateLimits,
    addressOf: clientAddress(config.trustProxy),
    onCodedError: toAppError,
    ...(slot ? { newSessionId: () => sessionId(slot), isForwarded } : {}),
  });
  const bus = new Bus({ io: gateway.io, redis, siblings: slot !== undefined, log });

  const backlog = new Backlog(feedPool, log);
  const announceNumbered = announcer(
    feedPool,
    feed,
    (batch) => bus.publish('events', batch),
    (events) => metrics.eventsNumbered.inc(events),
  );
  const sequencer = new Sequencer(feedPool, log, announceNumbered, mayWrite, (error) => {
    writes.failed(error);
    void schema.failed(error);
  });
  onAppended(db.sequelize, (numbered) => (numbered ? announceNumbered(numbered) : sequencer.wake()));
  bus.subscribe('events', (batch) => feed.offer(batch));
  sessions.revocations.onAnnounced(() => bus.publish('revoked', null));
  bus.subscribe('revoked', () => feed.wake());
  const counters = createCounters(config, { feedPool, feed, gateway, bus, ...told });
  const { reportTallies } = counters;

  const capabilities = await createCapabilities(config, {
    db,
    reads,
    mayWrite,
    feed,
    timeLimits,
    guesses: limits.guesses,
    countRefused: limits.countRefused,
    reportTallies,
    ...told,
  });
  feed.on('epoch', () => capabilities.feedReader.forget());
  const { webhooks, webhookWorker } = createWebhooks(config, {
    database,
    delivery,
    feed,
    mails,
    secrets: sessions.secrets,
    timeLimits,
    ...told,
  });
  const pendingResponses = new PendingResponses({
    onAbandoned: (reason) => metrics.responsesAbandoned.inc({ reason }),
  });
  const ctx: Context = {
    config,
    log,
    metrics,
    timeLimits,
    guard,
    db,
    reads,
    writes,
    schema,
    feed,
    delivery,
    ...sessions,
    ...limits,
    ...capabilities,
    mails,
    webhooks,
    resetRequests,
    oidc: await createOidc(config, sessions.secrets, log, timeLimits),
    accounts: {
      admit,
      create: async (tx, account) => {
        try {
          return await createAccount({ mails }, tx, account);
        } catch (error) {
          throw taken(error) ?? error;
        }
      },
    },
    pendingResponses,
    reportTallies,
  };

  const parts: Part[] = [
    verified,
    database.connections,
    { stop: () => redis?.close() },
    feed,
    ...(replicas ? [replicas] : []),
    database.sessions,
    writes,
    schema,
    backlog,
    sequencer,
    counters.refresh,
    sessions.recheck,
    sessions.lastSeen,
    counters.coalescer,
    { start: () => gateway.start(), stop: () => gateway.close() },
    delivery,
    connections,
    new Pruner({ pool: feedPool, log, prunes: prunes(config), mayWrite }),
    capabilities.accountTasks,
    capabilities.unkeyedAccounts,
    capabilities.unfoldedPosts,
    capabilities.unparsedPosts,
    capabilities.voteNotices,
    capabilities.openCases,
    capabilities.exports,
    new Resealing({ db, secrets: sessions.secrets, columns: sealedColumns, mayWrite, log }),
    mailWorker,
    webhookWorker,
    resetRequests,
    pendingResponses,
    gauges(metrics, {
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
    }),
  ];
  return {
    ctx,
    gateway,
    checks: healthChecks({ ...database, replicas, backlog, feed, redis }),
    start: () => startParts(parts),
    dismiss: (spread) => {
      webhookWorker.dismiss();
      return delivery.drain(delivery.size > 0 ? spread : 0);
    },
    close: () => stopParts(parts),
  };
}
