import { createAdapter } from '@socket.io/redis-adapter';
import type { Server } from 'socket.io';
import { EpochWatch } from './cluster/epoch-watch.ts';
import { RedisHealth } from './cluster/redis-health.ts';
import { RedisPubSub } from './cluster/redis-pubsub.ts';
import { RedisPositionStore } from './cluster/redis-position-store.ts';
import type { RedisTarget } from './config/redis-url.ts';
import type { Config } from './config.ts';
import type { Database } from './database/connection.ts';
import { installationId } from './database/installation.ts';
import type { Metrics } from './ops/metrics.ts';
import { RedisStore } from './limits/redis-store.ts';
import type { Logger } from './logger.ts';

/** All that a node does over Redis. */
export interface RedisParts {
  /** Of keys and channels. */
  prefix: string;
  health: RedisHealth;
  pubsub: RedisPubSub;
  /** Socket.IO's, over which the nodes talk. */
  adapter: Parameters<Server['adapter']>[0];
  epochs: EpochWatch;
  /** Of the last delivered position. */
  positionStore: RedisPositionStore;
  /** Undefined: without limits nothing is counted. */
  limits: RedisStore | undefined;
  /** The database has another epoch now. */
  epochChanged(): void;
  close(): void;
}

export interface RedisPartsOptions {
  config: Readonly<Config>;
  target: RedisTarget;
  db: Pick<Database, 'query'>;
  log: Logger;
  metrics: Metrics;
  /** Of the database that this node follows; empty before it does. */
  epoch: () => string;
}

/** Opens the connections without waiting for them: an unavailable Redis must not prevent a node from starting. */
export async function openRedis(options: RedisPartsOptions): Promise<RedisParts> {
  const { config, target, db, log, metrics, epoch } = options;
  const id = await installationId(db);
  const prefix = config.redisPrefix ?? `tidings:${id}`;
  const health = new RedisHealth({ log, prefix, onFault: (reason) => metrics.redisFaults.inc({ reason }) });
  const epochs = new EpochWatch(epoch, health);
  const pubsub = new RedisPubSub({
    target,
    health,
    log,
    epoch,
    onProbe: (probe) => epochs.heard(probe),
    onDropped: () => metrics.busDropped.inc(),
  });
  const positionStore = new RedisPositionStore({ target, prefix, health, log });
  const limits = config.rateLimits
    ? new RedisStore({ target, prefix, health, log, onUnshared: () => metrics.rateLimitsLocal.inc() })
    : undefined;
  return {
    prefix,
    health,
    pubsub,
    adapter: createAdapter(pubsub.client, pubsub.client, { key: prefix, parser: lenient }),
    epochs,
    positionStore,
    limits,
    epochChanged: () => {
      if (config.redisPrefix !== undefined) return;
      installationId(db).then(
        (now) => epochs.databaseIs(now === id),
        (error: unknown) => log.warn({ err: error }, 'the identity of the database cannot be read'),
      );
    },
    close: () => {
      void positionStore.close();
      pubsub.close();
      limits?.close();
    },
  };
}

/** The nodes speak JSON through `serverSideEmit`; nothing of ours comes as an adapter broadcast, so nothing is read as one. */
const lenient = {
  encode: (message: unknown) => JSON.stringify(message),
  decode: () => [],
};
