import { createAdapter as createWorkersAdapter } from '@socket.io/cluster-adapter';
import type { Server } from 'socket.io';
import type { Tally } from '../protocol.ts';
import type { Batch } from '../log/follower.ts';
import type { Logger } from '../logger.ts';

/** Messages between nodes. They only reduce latency: every node reads the same from PostgreSQL. */
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

export interface BusOptions {
  io: Server;
  redis: { adapter: Parameters<Server['adapter']>[0] } | undefined;
  /** Without Redis: whether there are other workers on this machine, to be reached through their primary. */
  siblings: boolean;
  log: Logger;
}

/**
 * The message bus between nodes: Socket.IO's Redis adapter, `serverSideEmit` without acknowledgement. It may lose,
 * delay, duplicate and reorder messages, and be unavailable; it must never delay a request or end the process.
 */
export class Bus {
  readonly #io: Server;
  readonly #log: Logger;
  readonly #connected: boolean;

  constructor({ io, redis, siblings, log }: BusOptions) {
    this.#io = io;
    this.#log = log;
    this.#connected = redis !== undefined || siblings;
    if (redis) io.adapter(redis.adapter);
    else if (siblings) io.adapter(createWorkersAdapter());
  }

  publish<K extends keyof BusMessages>(kind: K, message: BusMessages[K]): void {
    if (this.#connected) this.#io.serverSideEmit(CHANNEL as never, kind, message);
  }

  /** Messages of other nodes. They come from outside the process: invalid ones are ignored. */
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
}
