import { createAdapter as createWorkersAdapter } from '@socket.io/cluster-adapter';
import { createAdapter } from '@socket.io/redis-adapter';
import { Cluster, Redis } from 'ioredis';
import type { Server } from 'socket.io';
import type { Tally } from '../events.ts';
import type { Batch } from '../feed/follower.ts';
import type { Logger } from '../logger.ts';

/** What nodes tell each other. All of it is a shortcut: what matters is read from PostgreSQL by every node. */
export interface BusMessages {
  /** Events that have just been numbered. */
  events: Batch;
  /** Tallies that have just been committed, in the database of this epoch. */
  tallies: { epoch: string; tallies: Tally[] };
  /** Sessions have been ended: read the revocations now. */
  revoked: null;
}

/** The event under which the nodes talk over the adapter's `serverSideEmit`. */
const CHANNEL = 'tidings';
/** Messages that wait to be written at most; beyond it they are dropped, and read from PostgreSQL by the others. */
const MAX_QUEUED = 1000;

export interface BusOptions {
  io: Server;
  redisUrls: readonly string[];
  /** Without Redis: whether there are other workers on this machine, to be reached through their primary. */
  siblings: boolean;
  log: Logger;
  onDropped: () => void;
}

/**
 * The nodes' fast road to each other: Socket.IO's Redis adapter, `serverSideEmit` without acknowledgement. It may lose,
 * delay, double and reorder, and be away altogether; it must never hold a request up or end the process.
 */
export class Bus {
  readonly #io: Server;
  readonly #publisher: Redis | Cluster | undefined;
  readonly #subscriber: Redis | Cluster | undefined;
  readonly #log: Logger;
  readonly #connected: boolean;

  constructor({ io, redisUrls, siblings, log, onDropped }: BusOptions) {
    this.#io = io;
    this.#log = log;
    if (redisUrls.length === 0) {
      if (siblings) io.adapter(createWorkersAdapter());
      this.#connected = siblings;
      return;
    }
    this.#connected = true;
    this.#publisher = connectRedis(redisUrls, log, 'publisher');
    this.#subscriber = connectRedis(redisUrls, log, 'subscriber');
    io.adapter(
      createAdapter(dropping(this.#publisher, onDropped), guarded(this.#subscriber, log), {
        parser: lenient,
      }),
    );
  }

  /** Redis's health as this node sees it; undefined without Redis. */
  get healthy(): boolean | undefined {
    if (!this.#publisher || !this.#subscriber) return undefined;
    return this.#publisher.status === 'ready' && this.#subscriber.status === 'ready';
  }

  publish<K extends keyof BusMessages>(kind: K, message: BusMessages[K]): void {
    if (this.#connected) this.#io.serverSideEmit(CHANNEL as never, kind, message);
  }

  /** Messages of other nodes. They come from outside the process: what does not look right is ignored. */
  subscribe<K extends keyof BusMessages>(kind: K, listener: (message: BusMessages[K]) => void): void {
    this.#io.on(
      CHANNEL as never,
      ((of: unknown, message: unknown) => {
        if (of !== kind) return;
        try {
          listener(message as BusMessages[K]);
        } catch (error) {
          this.#log.warn({ err: error, kind }, 'a message of another node was ignored');
        }
      }) as never,
    );
  }

  close(): void {
    this.#publisher?.disconnect();
    this.#subscriber?.disconnect();
  }
}

/**
 * A Redis connection that never gives up, never hangs and never throws into the void. `maxRetriesPerRequest: null`:
 * with the default a Redis that is away ends in unhandled rejections inside the adapter, which ignores promises.
 */
export function connectRedis(
  urls: readonly string[],
  log: Logger,
  name: string,
  /** For a connection that somebody waits for: how long a command may take in milliseconds; it then fails, as it does while Redis is away. */
  commandTimeout?: number,
): Redis | Cluster {
  const options = {
    ...(commandTimeout === undefined ? {} : { commandTimeout }),
    maxRetriesPerRequest: null,
    enableOfflineQueue: commandTimeout === undefined,
    connectTimeout: 2000,
    keepAlive: 5000,
    connectionName: `tidings-${name}`,
  };
  const retry = (attempt: number) =>
    Math.min(1000, 50 * 2 ** Math.min(attempt, 5)) * (0.8 + 0.4 * Math.random());
  const [first = ''] = urls;
  const redis =
    urls.length > 1
      ? new Cluster([...urls], { clusterRetryStrategy: retry, redisOptions: options })
      : new Redis(first, { ...options, retryStrategy: retry });
  let down = false;
  redis.on('error', (error: Error) => {
    if (!down)
      log.warn(
        { err: { message: error.message }, name },
        'Redis does not answer; events go through PostgreSQL',
      );
    down = true;
  });
  redis.on('ready', () => {
    if (down) log.info({ name }, 'Redis is back');
    down = false;
  });
  return redis;
}

/** The adapter ignores the promise of `publish`, and an offline queue would grow without a bound: drop instead. */
function dropping<C extends Redis | Cluster>(client: C, onDropped: () => void): C {
  let queued = 0;
  return intercept(client, 'publish', (channel: string, message: string) => {
    if (client.status !== 'ready' || queued >= MAX_QUEUED) {
      onDropped();
      return Promise.resolve(0);
    }
    queued += 1;
    return client
      .publish(channel, message)
      .catch(() => {
        onDropped();
        return 0;
      })
      .finally(() => {
        queued -= 1;
      });
  });
}

/**
 * A message that the adapter cannot read would throw in its listener and end the process. So would a subscription that is cut
 * off by our own end: the adapter takes its subscriptions back when it closes, and ignores these promises as well.
 */
function guarded<C extends Redis | Cluster>(subscriber: C, log: Logger): C {
  const cutOff = (error: unknown) => log.debug({ err: error }, 'a subscription was cut off');
  const client = (['subscribe', 'psubscribe', 'unsubscribe', 'punsubscribe'] as const).reduce(
    (inner, method) =>
      intercept(inner, method, (...args: never[]) =>
        (subscriber[method] as (...args: never[]) => Promise<unknown>)
          .call(subscriber, ...args)
          .catch(cutOff),
      ),
    subscriber,
  );
  return intercept(client, 'on', (event: string, listener: (...args: unknown[]) => unknown) => {
    const guard = (...args: unknown[]) => {
      try {
        void Promise.resolve(listener(...args)).catch(ignore);
      } catch (error) {
        ignore(error);
      }
    };
    const ignore = (error: unknown) => log.warn({ err: error }, 'a message on the Redis channel was ignored');
    subscriber.on(event, event.startsWith('message') || event.startsWith('pmessage') ? guard : listener);
    return client;
  });
}

function intercept<C extends object>(
  client: C,
  method: string,
  replacement: (...args: never[]) => unknown,
): C {
  return new Proxy(client, {
    get(target, property) {
      if (property === method) return replacement;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** The nodes speak JSON through `serverSideEmit`; nothing of ours comes as an adapter broadcast, so nothing is read as one. */
const lenient = {
  encode: (message: unknown) => JSON.stringify(message),
  decode: () => [],
};
