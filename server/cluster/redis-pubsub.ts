import { randomUUID } from 'node:crypto';
import type { Logger } from '../logger.ts';
import { connectRedis, type RedisClient } from './redis-connection.ts';
import { silent } from './redis-faults.ts';
import type { RedisHealth } from './redis-health.ts';
import type { RedisTarget } from '../config/redis-url.ts';

/** The message with which a node checks that Redis delivers. The adapters of other nodes ignore it. */
export interface Probe {
  type: 'tidings:probe';
  node: string;
  number: number;
  /** Of the database that the node follows. */
  epoch: string;
}

export interface RedisPubSubOptions {
  target: RedisTarget;
  health: RedisHealth;
  log: Logger;
  epoch: () => string;
  /** A probe of another node. */
  onProbe: (probe: Probe) => void;
  onDropped: () => void;
}

/** The parts of ioredis that Socket.IO's Redis adapter uses. */
interface AdapterClient {
  on(event: string, listener: Listener): void;
  off(event: string, listener: Listener): void;
  publish(channel: string, message: string | Buffer): Promise<number>;
  subscribe(channels: string[]): Promise<void>;
  unsubscribe(): Promise<void>;
  psubscribe(): Promise<void>;
  punsubscribe(): Promise<void>;
}

type Listener = (channel: Buffer, message: Buffer) => unknown;

/** How often a node checks that its own messages come back. Milliseconds. */
const PROBE_INTERVAL = 1000;
/**
 * Probes that may be missing, one after the other, before Redis counts as silent, and before the connections are made
 * again.
 */
const MISSED = { silent: 2, reconnect: 5 };
/** A probe is no longer than this. Bytes. */
const PROBE_BYTES = 512;
/** Messages that wait to be written at most; beyond it they are dropped, and read from PostgreSQL by the others. */
const MAX_QUEUED = 1000;

/**
 * The two connections of the bus. It subscribes again after each connection and each refusal, and sends itself a
 * message every second on the channel of the adapter: only what has come back proves that events do.
 */
export class RedisPubSub {
  readonly #options: RedisPubSubOptions;
  readonly #publisher: RedisClient;
  readonly #subscriber: RedisClient;
  readonly #node = randomUUID();
  readonly #listeners = new Set<Listener>();
  #channels: string[] = [];
  #subscribed = false;
  #subscribing = false;
  #queued = 0;
  #sent = 0;
  #missed = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RedisPubSubOptions) {
    this.#options = options;
    const { target, health, log } = options;
    health.expect('bus');
    const onError = (error: Error) => health.fail('bus', error);
    // Channels belong to no database: a number that does not exist is no matter here.
    const connect = (name: string) => connectRedis({ ...target, database: 0 }, { name, onError });
    this.#publisher = connect('publisher');
    this.#subscriber = connect('subscriber');
    this.#subscriber.on('ready', () => {
      this.#subscribed = false;
      void this.#subscribe();
    });
    this.#publisher.on('ready', () => this.#probe());
    this.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      if (message.length <= PROBE_BYTES && message.includes('tidings:probe')) this.#heard(message);
      else
        for (const listener of this.#listeners) {
          // A message that the adapter cannot read would throw in its listener and end the process.
          Promise.resolve()
            .then(() => listener(channel, message))
            .catch((error: unknown) =>
              log.warn({ err: error }, 'a message on the Redis channel was ignored'),
            );
        }
    });
  }

  /**
   * The two clients for the adapter. It ignores their promises, so these never reject. Its pattern is not subscribed
   * to: we send no broadcasts, and a Redis user may have rights for channels but not for patterns.
   */
  get client(): AdapterClient {
    const nothing = () => Promise.resolve();
    return {
      on: (event, listener) => {
        if (event === 'messageBuffer') this.#listeners.add(listener);
      },
      off: (_event, listener) => {
        this.#listeners.delete(listener);
      },
      publish: (channel, message) => this.#publish(channel, message),
      subscribe: (channels) => {
        this.#channels = channels;
        this.#timer ??= setInterval(() => this.#tick(), PROBE_INTERVAL);
        return this.#subscribe();
      },
      unsubscribe: nothing,
      psubscribe: nothing,
      punsubscribe: nothing,
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#publisher.disconnect();
    this.#subscriber.disconnect();
  }

  async #subscribe(): Promise<void> {
    if (this.#subscribed || this.#subscribing || this.#channels.length === 0) return;
    if (this.#subscriber.status !== 'ready') return;
    this.#subscribing = true;
    try {
      await this.#subscriber.subscribe(...this.#channels);
      this.#subscribed = true;
      this.#probe();
    } catch (error) {
      this.#options.health.fail('bus', error);
    } finally {
      this.#subscribing = false;
    }
  }

  /** An offline queue would grow without a bound: what cannot be sent now is dropped. */
  async #publish(channel: string, message: string | Buffer): Promise<number> {
    if (this.#publisher.status !== 'ready' || this.#queued >= MAX_QUEUED) {
      this.#options.onDropped();
      return 0;
    }
    this.#queued += 1;
    try {
      return await this.#publisher.publish(channel, message);
    } catch (error) {
      this.#options.onDropped();
      this.#options.health.fail('bus', error);
      return 0;
    } finally {
      this.#queued -= 1;
    }
  }

  #tick(): void {
    void this.#subscribe();
    this.#missed += 1;
    if (this.#missed > MISSED.silent) this.#options.health.fail('bus', silent);
    // A connection whose peer has disappeared silently, or that leads to the server from before a failover.
    if (this.#missed % MISSED.reconnect === 0)
      for (const client of [this.#publisher, this.#subscriber])
        if (['ready', 'connect'].includes(client.status)) client.disconnect(true);
    this.#probe();
  }

  #probe(): void {
    const [channel] = this.#channels;
    if (channel === undefined || !this.#subscribed || this.#publisher.status !== 'ready') return;
    const probe: Probe = {
      type: 'tidings:probe',
      node: this.#node,
      number: (this.#sent += 1),
      epoch: this.#options.epoch(),
    };
    void this.#publish(channel, JSON.stringify(probe));
  }

  #heard(message: Buffer): void {
    try {
      const probe = JSON.parse(message.toString()) as Probe;
      if (probe.node !== this.#node) this.#options.onProbe(probe);
      else if (probe.number > this.#sent - MISSED.silent) {
        this.#missed = 0;
        this.#options.health.prove('bus');
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, 'a message on the Redis channel was ignored');
    }
  }
}
