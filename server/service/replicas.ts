import type { Config } from '../config.ts';
import { type ReadSource, Replicas } from '../database/replicas.ts';
import type { Follower } from '../log/follower.ts';
import type { LogReads } from '../log/reader.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { DatabaseParts } from './database.ts';

export interface ReadParts {
  /** Where pages, searches and threads are read. */
  reads: ReadSource;
  /** Where events are read that the ring buffer has no more. */
  logReads: LogReads;
  /** Undefined: none is configured, and everything is read from the primary. */
  replicas: Replicas | undefined;
}

/** What reads use: the database, or its replicas where there are some. */
export function createReads(
  config: Readonly<Config>,
  databaseUrl: string,
  { db, feedPool, identity, schema, mayWrite }: DatabaseParts,
  feed: Follower,
  { log, metrics }: { log: Logger; metrics: Metrics },
): ReadParts {
  const { databaseReplicaUrls: urls } = config;
  if (urls.length === 0) return { reads: db, logReads: (read) => read(feedPool), replicas: undefined };
  const replicas = new Replicas({
    urls,
    databaseUrl,
    db,
    feedPool,
    identity,
    pool: config.databasePool,
    maxAge: config.databaseConnectionAge,
    epoch: () => feed.epoch,
    reopened: () => feed.reopened(),
    mayUse: mayWrite,
    onRead: (by) => metrics.reads.inc({ server: by }),
    log,
  });
  // A half-restored database is replicated as it is.
  for (const replica of replicas.all) replica.db.sequelize.addHook('beforeQuery', () => schema.require());
  return { reads: replicas, logReads: (read) => replicas.readLog(read), replicas };
}
