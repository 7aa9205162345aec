import { type Config, FEED_CONNECTIONS } from '../config.ts';
import { connectClient } from '../database/client.ts';
import { createFeedPool, Database, type FeedPool } from '../database/connection.ts';
import { DatabaseIdentity } from '../database/identity.ts';
import { SessionWatch } from '../database/pooler.ts';
import { SchemaWatch } from '../database/schema-watch.ts';
import { WriteMonitor } from '../database/write-monitor.ts';
import { unavailable } from '../errors.ts';
import { tellsPoolUse } from '../library-internals/sequelize.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Part } from './part.ts';

export interface DatabaseParts {
  /** For requests. */
  db: Database;
  /** For the log and for what watches the database: no request waits for these connections. */
  feedPool: FeedPool;
  /** Whether all connections lead to one database. */
  identity: DatabaseIdentity;
  /** Whether each connection has a session of its own. */
  sessions: SessionWatch;
  /** Whether requests can write. */
  writes: WriteMonitor;
  /** Whether the tables are there. */
  schema: SchemaWatch;
  mayWrite: () => boolean;
  connections: Part;
}

/**
 * The connections to the database, and what watches them.
 * @param onBack called when tables that were away are all there again; requests are let in when it resolves
 */
export function createDatabase(
  config: Readonly<Config>,
  databaseUrl: string,
  { log, metrics, onBack }: { log: Logger; metrics: Metrics; onBack: () => Promise<void> },
): DatabaseParts {
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
  if (!tellsPoolUse(db.sequelize))
    log.warn('this version of Sequelize does not report how many connections are in use');
  const feedPool = createFeedPool(databaseUrl, log, FEED_CONNECTIONS, { identity, maxAge });
  const writes = new WriteMonitor(feedPool, log, [db, feedPool]);
  const schema = new SchemaWatch(feedPool, log, onBack);
  // Nothing is sent to a half-restored database, including statements of transactions that began earlier.
  db.sequelize.addHook('beforeQuery', () => schema.require());
  return {
    db,
    feedPool,
    identity,
    sessions: new SessionWatch({ databaseUrl, pool: feedPool, identity, log }),
    writes,
    schema,
    mayWrite: () => writes.refusal === undefined && schema.absence === undefined,
    connections: {
      start: async () => {
        // Opens a connection of each pool: if they lead to two databases, the second is refused.
        await db.ping();
        await feedPool.query('select 1');
        await db.ping();
        identity.start();
      },
      stop: async () => {
        await identity.close();
        await feedPool.end();
        await db.close();
      },
    },
  };
}
