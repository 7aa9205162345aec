import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { about } from '../async/loop.ts';
import type { RedisTarget } from '../config/redis-url.ts';

export type RedisClient = Redis | Cluster;

export interface ConnectionOptions {
  /** Shown by `CLIENT LIST`. */
  name: string;
  /** Called for each error of the connection, and of each failed try to make one. */
  onError: (error: Error) => void;
}

type Options = Omit<RedisOptions, 'replyMapping'>;

/** How long a connection may take to be made, and a Sentinel to answer. Milliseconds. */
const CONNECT_TIMEOUT = 2000;

/** Milliseconds until the next try. */
const retry = (attempt: number) => about(Math.min(1000, 50 * 2 ** Math.min(attempt, 5)));

/**
 * A Redis connection that reconnects forever and never rejects without a handler. `maxRetriesPerRequest: null`: with
 * the default a Redis that is away ends in unhandled rejections inside the adapter, which ignores promises. Nothing is
 * queued while it is away; a subscription is not repeated by itself, since ioredis would leave its refusal unhandled.
 */
export function connectRedis(target: RedisTarget, { name, onError }: ConnectionOptions): RedisClient {
  const { username, password, family, database, tls } = target;
  const options: Options = {
    maxRetriesPerRequest: null,
    enableOfflineQueue: false,
    autoResubscribe: false,
    connectTimeout: CONNECT_TIMEOUT,
    keepAlive: 5000,
    connectionName: `tidings-${name}`,
    family,
    // After a failover an old connection may lead to what is a replica now.
    reconnectOnError: (error) => error.message.includes('READONLY'),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
  };
  const client = clientOf(target, options, database, tls);
  client.on('error', onError);
  return client;
}

function clientOf(target: RedisTarget, options: Options, db: number, tls: RedisTarget['tls']): RedisClient {
  const [first] = target.addresses;
  switch (target.kind) {
    case 'single':
      // Its ready check would call INFO, which not every user may, and write to the console on failure.
      return new Redis({ ...options, ...first, db, enableReadyCheck: false, retryStrategy: retry });
    case 'cluster':
      return new Cluster(target.addresses, {
        clusterRetryStrategy: retry,
        redisOptions: options,
        enableOfflineQueue: false,
        // A cluster that is down says so in its replies; ioredis must not resend commands on its own.
        enableReadyCheck: false,
        retryDelayOnClusterDown: 0,
        slotsRefreshTimeout: CONNECT_TIMEOUT,
        // A certificate is for a name: ioredis would resolve it first and compare the address.
        ...(tls ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
      });
    case 'sentinel':
      return new Redis({
        ...options,
        db,
        sentinels: target.addresses,
        name: target.primaryName ?? '',
        sentinelCommandTimeout: CONNECT_TIMEOUT,
        sentinelRetryStrategy: retry,
        retryStrategy: retry,
        ...(target.sentinelUsername === undefined ? {} : { sentinelUsername: target.sentinelUsername }),
        ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
        ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
      });
  }
}
