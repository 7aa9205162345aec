import type { Server as HttpServer } from 'node:http';
import { about } from './async/loop.ts';
import { Connections } from './delivery/connections.ts';
import { keptSecret } from './auth/kept-secret.ts';
import { LiveSessions } from './auth/live-sessions.ts';
import { Passwords } from './auth/passwords.ts';
import { Revocations } from './auth/revocations.ts';
import { SessionRecheck } from './auth/session-recheck.ts';
import { RefreshTokens } from './auth/refresh-tokens.ts';
import { AccessTokens } from './auth/tokens.ts';
import { isHandedOn, type Seat, sessionId } from './cluster/seat.ts';
import { type Config, FEED_CONNECTIONS } from './config.ts';
import { connectClient } from './database/client.ts';
import { createFeedPool, Database } from './database/connection.ts';
import { DatabaseIdentity } from './database/identity.ts';
import { SessionWatch } from './database/pooler.ts';
import { SchemaWatch } from './database/schema-watch.ts';
import { WriteMonitor } from './database/write-monitor.ts';
import { Delivery } from './delivery/delivery.ts';
import { TimeSlices } from './delivery/time-slices.ts';
import type { Tally } from './protocol.ts';
import { Follower } from './log/follower.ts';
import { MissedTallies } from './counters/missed-tallies.ts';
import { TallyBoard } from './counters/tally-board.ts';
import { TallyRefresh } from './counters/tally-refresh.ts';
import { FileWitness } from './log/witness.ts';
import { Bus } from './cluster/bus.ts';
import { Gateway } from './transports/socketio/gateway.ts';
import { clientAddress } from './http/client-address.ts';
import { toAppError } from './api/errors.ts';
import { Degraded, type HealthCheck } from './ops/health.ts';
import { Answers } from './http/answers.ts';
import { createMetrics, type Metrics } from './ops/metrics.ts';
import { crossOrigin } from './http/cross-origin.ts';
import { RequestGuard } from './http/request-guard.ts';
import { GuessLimit } from './limits/guess-limit.ts';
import { Places } from './limits/places.ts';
import { PrimaryStore } from './limits/primary-store.ts';
import { type ReachedLimit, RateLimits } from './limits/rate-limits.ts';
import { SharedCounts } from './limits/shared-counts.ts';
import { VoteLimit } from './limits/vote-limit.ts';
import { unavailable } from './errors.ts';
import { FastPaths } from './library-internals/fast-paths.ts';
import { tellsPoolUse } from './library-internals/sequelize.ts';
import { libraryVersions, verify } from './library-internals/self-check.ts';
import type { Logger } from './logger.ts';
import { onAppended } from './log/append.ts';
import { Backlog } from './log/backlog.ts';
import { type LogEntry, readLog } from './log/reader.ts';
import { Pruner } from './log/retention.ts';
import { Sequencer } from './log/sequencer.ts';
import { openRedis } from './redis.ts';
import { FeedReader } from './posts/feed-reader.ts';
import { createEditQueue } from './posts/edit-queue.ts';
import { PostWriter } from './posts/post-writer.ts';
import { foldFailures } from './posts/fold-failures.ts';
import { UnfoldedPosts } from './posts/unfolded-posts.ts';
import type { FairQueue } from './queues/fair-queue.ts';
import { AccountTasks } from './users/account-tasks.ts';
import { UnkeyedAccounts } from './users/unkeyed-accounts.ts';
import { BallotBox } from './votes/ballot-box.ts';
import { NewAccounts } from './votes/new-accounts.ts';
import { TallyReader } from './votes/queries.ts';

/** What every request handler may use. Plain: built once in `createService`, passed down, never imported. */
export interface Context {
  config: Readonly<Config>;
  log: Logger;
  metrics: Metrics;
  /** Whether a request may come in, by the host that it names and the page that it is from. */
  guard: RequestGuard;
  db: Database;
  /** Whether the database can commit. */
  writes: WriteMonitor;
  schema: SchemaWatch;
  tokens: AccessTokens;
  refreshTokens: RefreshTokens;
  passwords: Passwords;
  guesses: GuessLimit;
  answers: Answers;
  revocations: Revocations;
  liveSessions: LiveSessions;
  connections: Connections;
  places: Places;
  ballots: BallotBox;
  /** Undefined: votes are not limited by address. */
  voteLimit: VoteLimit | undefined;
  postWriter: PostWriter;
  /** Changes and deletions of posts take their turns here. */
  edits: FairQueue;
  accountTasks: AccountTasks;
  feedReader: FeedReader;
  /** Tells the whole cluster of tallies that have changed and are committed. */
  reportTallies: (tallies: Tally[]) => void;
  feed: Follower;
  delivery: Delivery;
  /** Counts a request. @throws {AppError} 429 */
  countRequest: RateLimits['count'];
}

/** The service without its HTTP front: everything that has to be started and stopped. */
export interface Service {
  ctx: Context;
  gateway: Gateway;
  checks: HealthCheck[];
  /** Begins to number, to follow and to serve sockets. Nothing may be served before it has resolved. */
  start(): Promise<void>;
  /** Nobody may listen from here on, and whoever does is told to leave, spread over so many milliseconds. */
  dismiss(spread: number): Promise<void>;
  /** Undoes all of it in reverse order. */
  close(): Promise<void>;
}

/** How often the log is read in any case: with a fast road, and without one. Milliseconds. */
const TAIL_INTERVAL = 250;
const TAIL_INTERVAL_ALONE = 100;

/**
 * Builds the parts and joins them by passing functions: none of them knows another's folder.
 * @param databaseUrl where the database is, migrated
 * @param seat this worker's place, if there are several
 */
export async function createService(
  config: Readonly<Config>,
  databaseUrl: string,
  http: HttpServer,
  log: Logger,
  seat?: Seat,
): Promise<Service> {
  const metrics = createMetrics();
  const identity: DatabaseIdentity = new DatabaseIdentity(
    (self) => connectClient(databaseUrl, { name: 'tidings probe', connectTimeout: 2000, identity: self }),
    log,
  );
  const maxAge = config.databaseConnectionAge;
  const db = new Database({
    url: databaseUrl,
    pool: config.databasePool,
    log,
    identity,
    maxAge,
    refusal: () => {
      metrics.queueRefused.inc({ queue: 'database' });
      return unavailable('Too many requests are waiting for the database. Try again.', 1);
    },
  });
  const feedPool = createFeedPool(databaseUrl, log, FEED_CONNECTIONS, { identity, maxAge });
  const sessions = new SessionWatch({ databaseUrl, pool: feedPool, identity, log });
  const writes = new WriteMonitor(feedPool, log);
  const schema: SchemaWatch = new SchemaWatch(feedPool, log, () => feed.reopened());
  // Nothing is sent to a half-restored database, of transactions that have begun before neither.
  db.sequelize.addHook('beforeQuery', () => schema.require());
  const mayWrite = () => writes.refusal === undefined && schema.absence === undefined;
  const backlog = new Backlog(feedPool, log);
  const secrets = config.jwtSecrets.length > 0 ? config.jwtSecrets : [await keptSecret(config.dataDir)];
  const tokens = new AccessTokens(secrets, config.accessTokenTtl);
  const revocations = new Revocations();
  const connections = new Connections();
  const places = new Places({
    total: config.maxConnections,
    addressShare: config.addressShare,
    limited: config.rateLimits,
    onRefused: (reason) => metrics.placesRefused.inc({ reason }),
    log,
  });

  const feed: Follower = new Follower({
    pool: feedPool,
    log,
    interval: () => {
      const base = redis && !redis.health.isWell('bus') ? TAIL_INTERVAL_ALONE : TAIL_INTERVAL;
      return about(base);
    },
    mayRead: () => !schema.isAway,
    onRead: () => identity.heard(),
    onFailed: (error) => void schema.failed(error),
  });
  feed.addWitness(new FileWitness(config.dataDir, seat?.number ?? 0, log));
  identity.onMoved(() => feed.recheck());
  const redis =
    config.redis &&
    (await openRedis({ config, target: config.redis, db, log, metrics, epoch: () => feed.epoch }));
  if (redis) {
    feed.addWitness(redis.witness);
    redis.witness.onPosition((position) => feed.check(position));
  }
  const liveSessions = new LiveSessions(
    db.share('sessions'),
    () => feed.readAt,
    () => schema.absence,
    () => metrics.queueRefused.inc({ queue: 'sessions' }),
  );

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
  const slices = new TimeSlices(config.writeStretch);
  const fastPaths = new FastPaths({
    wanted: config.fastPaths,
    onFailed: (name, error) => {
      metrics.fastPathsFailed.inc();
      log.warn(
        { err: error, fast_path: name, libraries: libraryVersions() },
        `the fast path ${name} is switched off: the libraries are not as it expects them. All works without it, slower`,
      );
    },
  });
  const fastPathsVerified = verify(fastPaths, config.fastPaths, (error) =>
    log.warn(
      { err: error, libraries: libraryVersions() },
      'pg is not as expected: only what it documents is used, so a connection that is cut off does not tell why',
    ),
  );
  const delivery = new Delivery({
    feed,
    connections,
    readLog: async (after, limit) => {
      const page = await readLog(feedPool, after, limit);
      // An empty table is no log that has been pruned.
      if (page[0]?.seq !== after + 1) await schema.confirm();
      else schema.require();
      return page;
    },
    slices,
    metrics,
    log,
  });
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
    verify: (token) => tokens.verify(token),
    // Memory will do: a connection is known here before it asks, so a revocation that memory has not heard of ends it.
    requireSession: (identity, subscriber) =>
      liveSessions.require(identity, { fresh: false, senders: () => subscriber.senders }),
    talliesOf: ({ identity, senders }, postIds) => tallies.of(identity.id, senders, postIds),
    guard,
    crossOrigin: crossOrigin(config.corsOrigins, guard),
    places,
    limitMessages: config.rateLimits,
    addressOf: clientAddress(config.trustProxy),
    onCodedError: toAppError,
    ...(seat ? { newSessionId: () => sessionId(seat), isHandedOn } : {}),
  });
  const bus = new Bus({
    io: gateway.io,
    redis,
    siblings: seat !== undefined,
    log,
  });

  const board: TallyBoard = new TallyBoard({
    window: config.tallyWindow,
    tell: (changed, incomplete) => gateway.deliverTallies(changed, incomplete),
    onCoalesced: () => metrics.talliesCoalesced.inc(),
    onOverflow: () => tallyRefresh.request(),
  });
  const tallyRefresh = new TallyRefresh({ pool: feedPool, log, tracked: () => gateway.trackedPosts, board });
  const sessionRecheck = new SessionRecheck({ connections, liveSessions, log });
  const reportTallies = (changed: Tally[]) => {
    board.report(changed);
    bus.publish('tallies', { epoch: feed.epoch, tallies: changed });
  };
  const countRefused = (limit: ReachedLimit | 'guess' | 'passwords' | 'search' | 'votes') =>
    metrics.rateLimited.inc({ limit });
  const unkeyedAccounts = new UnkeyedAccounts(db, (error) =>
    log.debug({ err: error }, 'accounts could not be given the key of their address; it is tried again'),
  );
  const unfoldedPosts = new UnfoldedPosts(db, foldFailures(log));
  const feedReader = new FeedReader(
    db,
    (milliseconds) => unfoldedPosts.catchUp(milliseconds),
    config.rateLimits ? () => countRefused('search') : undefined,
    (queue) => metrics.queueRefused.inc({ queue }),
  );
  const ballots = new BallotBox(db.share('votes'), reportTallies, () =>
    metrics.queueRefused.inc({ queue: 'votes' }),
  );

  const sequencer = new Sequencer(
    feedPool,
    log,
    ({ first, last, entries: numbered }) => {
      metrics.eventsNumbered.inc(last - first + 1);
      const epoch = feed.epoch;
      const tell = (entries: LogEntry[]) => {
        feed.offer({ epoch, entries });
        bus.publish('events', { epoch, entries });
      };
      const readAndTell = async () => {
        for (let after = first - 1; after < last;) {
          const entries = await readLog(feedPool, after, last - after);
          const end = entries.at(-1)?.seq;
          if (end === undefined) return;
          tell(entries);
          after = end;
        }
      };
      if (numbered) tell(numbered);
      // Every node reads the log on its own clock.
      else readAndTell().catch(() => feed.wake());
    },
    mayWrite,
    (error) => void schema.failed(error),
  );
  onAppended(db.sequelize, () => sequencer.wake());

  feed.on('tallies', (changed) => board.report(changed));
  feed.on('tooManyTallies', () => tallyRefresh.request());
  feed.on('tooManyRevocations', () => sessionRecheck.request());
  feed.on('revocations', (ends) => {
    for (const end of ends) {
      liveSessions.end(end);
      connections.endSessions(end);
    }
  });
  feed.on('epoch', () => {
    board.forget();
    liveSessions.forgetAll();
    feedReader.forget();
    redis?.epochChanged();
  });
  revocations.onAnnounced((end) => {
    liveSessions.end(end);
    connections.endSessions(end);
    bus.publish('revoked', null);
  });
  bus.subscribe('events', (batch) => feed.offer(batch));
  bus.subscribe('tallies', ({ epoch, tallies: changed }) => {
    // A `rev` of another database says nothing about the tallies of this one.
    if (epoch === feed.epoch) board.report(changed);
  });
  bus.subscribe('revoked', () => feed.wake());

  const counts = new SharedCounts([
    ...(seat ? [new PrimaryStore()] : []),
    ...(redis?.limits ? [redis.limits] : []),
  ]);
  const limits = new RateLimits(counts, secrets[0] ?? '', countRefused);
  const guesses = new GuessLimit(config.rateLimits ? config.loginFailures : undefined, counts, secrets, () =>
    countRefused('guess'),
  );
  const passwords = await Passwords.create(config.bcryptCost, () => {
    countRefused('passwords');
    metrics.queueRefused.inc({ queue: 'passwords' });
  });
  const newAccounts = new NewAccounts(db.share('service'));
  const voteLimit = config.rateLimits
    ? new VoteLimit({
        counts,
        votes: config.votesPerAddress,
        secret: secrets[0] ?? '',
        isNew: (userId) => newAccounts.has(userId),
        onRefused: ({ postId }) => {
          countRefused('votes');
          log.info({ post_id: postId }, 'an address has cast as many votes for a post as it may in an hour');
        },
      })
    : undefined;
  const pruner = new Pruner(feedPool, log, config.eventRetention, mayWrite);

  const accountTasks = new AccountTasks({ db, log, reportTallies });

  const answers = new Answers({
    onAbandoned: (reason) => metrics.answersAbandoned.inc({ reason }),
  });

  const ctx: Context = {
    config,
    log,
    metrics,
    guard,
    db,
    writes,
    schema,
    tokens,
    refreshTokens: new RefreshTokens(secrets),
    passwords,
    guesses,
    answers,
    revocations,
    liveSessions,
    connections,
    places,
    ballots,
    voteLimit,
    edits: createEditQueue(config.databasePool, () => metrics.queueRefused.inc({ queue: 'edits' })),
    postWriter: new PostWriter(db, () => metrics.queueRefused.inc({ queue: 'posts' })),
    accountTasks,
    feedReader,
    reportTallies,
    feed,
    delivery,
    countRequest: async (...request) => {
      if (config.rateLimits) await limits.count(...request);
    },
  };

  if (!tellsPoolUse(db.sequelize))
    log.warn('this version of Sequelize does not tell how many connections are in use');
  const gauges = setInterval(() => {
    metrics.placesTaken.set(places.taken);
    metrics.subscribers.set(delivery.size);
    metrics.answersUnderWay.set(answers.count);
    metrics.outboxLength.set(backlog.length);
    metrics.outboxAge.set(backlog.age);
    metrics.writesRefused.set(mayWrite() ? 0 : 1);
    metrics.followerLag.set(feed.lag);
    redis?.epochs.look();
    metrics.redisDegraded.set(redis?.health.fault ? 1 : 0);
    metrics.followerAge.set((Date.now() - feed.readAt) / 1000);
    metrics.queueWaiting.set({ queue: 'passwords' }, passwords.waiting);
    metrics.queueWaiting.set({ queue: 'database' }, db.waiting);
    metrics.queueWaiting.set({ queue: 'sessions' }, liveSessions.waiting);
    metrics.queueWaiting.set({ queue: 'pages' }, feedReader.waiting);
    metrics.queueWaiting.set({ queue: 'searches' }, feedReader.slowWaiting);
    metrics.queueWaiting.set({ queue: 'replays' }, delivery.replaysWaiting);
    metrics.queueWaiting.set({ queue: 'posts' }, ctx.postWriter.waiting);
    metrics.queueWaiting.set({ queue: 'votes' }, ballots.waiting);
    metrics.queueWaiting.set({ queue: 'edits' }, ctx.edits.waiting);
    metrics.poolInUse.set(db.pool.using);
    metrics.poolWaiting.set(db.waiting);
  }, 1000);

  return {
    ctx,
    gateway,
    checks: [
      {
        name: 'database',
        required: true,
        check: async () => {
          if (sessions.fault !== undefined) throw new Degraded(sessions.fault);
          if (schema.absence === undefined) await db.ping();
          return {};
        },
      },
      {
        name: 'writes',
        required: true,
        check: async () => {
          const refusal = schema.absence ?? (await writes.check());
          if (refusal !== undefined) throw new Degraded(refusal);
          return {};
        },
      },
      {
        name: 'numbering',
        required: true,
        check: () => {
          const { stall } = backlog;
          return stall === undefined
            ? Promise.resolve({ waiting: backlog.length })
            : Promise.reject(new Degraded(stall));
        },
      },
      {
        name: 'feed',
        required: true,
        check: () => {
          const age = Date.now() - feed.readAt;
          if (age > 5000) throw new Degraded('The log has not been read for five seconds.');
          return Promise.resolve({ seq: feed.seq, lag: feed.lag });
        },
      },
      ...(redis
        ? [
            {
              name: 'redis',
              required: false,
              check: () => {
                const { fault } = redis.health;
                return fault ? Promise.reject(new Degraded(fault.detail)) : Promise.resolve({});
              },
            },
          ]
        : []),
    ],
    start: async () => {
      await fastPathsVerified;
      // A connection of each pool: both lead to one database, or the second is refused.
      await db.ping();
      await feedPool.query('select 1');
      await db.ping();
      await feed.start();
      sessions.start();
      writes.start();
      schema.start();
      backlog.start();
      sequencer.start();
      connections.start();
      delivery.start();
      gateway.start();
      pruner.start();
      accountTasks.start();
      await unkeyedAccounts.start();
      unfoldedPosts.start();
      answers.start();
    },
    dismiss: (spread) => delivery.drain(delivery.size > 0 ? spread : 0),
    close: async () => {
      clearInterval(gauges);
      answers.stop();
      await pruner.stop();
      await accountTasks.stop();
      await unkeyedAccounts.stop();
      await unfoldedPosts.stop();
      connections.stop();
      delivery.stop();
      await gateway.close();
      board.stop();
      sessionRecheck.stop();
      await tallyRefresh.stop();
      await backlog.stop();
      await sequencer.stop();
      await writes.stop();
      await sessions.stop();
      await schema.stop();
      await feed.stop();
      redis?.close();
      identity.close();
      await feedPool.end();
      await db.close();
    },
  };
}
