import { setTimeout as sleep } from 'node:timers/promises';
import { Pause } from '../async/pause.ts';
import type { Logger } from '../logger.ts';
import { connectRedis, type RedisClient } from './redis-connection.ts';
import { isRedirection, isReply } from './redis-faults.ts';
import type { RedisHealth } from './redis-health.ts';
import { within } from './redis-time-limit.ts';
import type { RedisTarget } from '../config/redis-url.ts';

/**
 * The last position that was delivered to clients, when its event was written, in milliseconds since 1970, and how far
 * the database's write-ahead log was on disk, in bytes.
 */
interface Position {
  epoch: string;
  seq: number;
  at: number | undefined;
  wal?: number | undefined;
}

export interface RedisPositionStoreOptions {
  target: RedisTarget;
  prefix: string;
  health: RedisHealth;
  log: Logger;
}

/** Between two writes of a process: at least, after one that failed, and at most, since Redis may be emptied. Milliseconds. */
const INTERVAL = 100;
const RETRY = 1000;
const REFRESH = 10_000;
/** How long the start waits for Redis, and anyone for an answer. Milliseconds. */
const TIME_LIMIT = 1000;

/**
 * Stores the newest position of an epoch, from any node. Of two epochs it keeps the last one written: their positions
 * cannot be compared, and nodes have different epochs only for a moment.
 * @returns what was kept before
 */
const KEEP = `
  local before = redis.call('GET', KEYS[1])
  if before then
    local epoch, seq = string.match(before, '^(%S+) (%d+) ')
    local wal = tonumber(string.match(before, '^%S+ %d+ %S+ (%d+)$') or '0')
    seq = tonumber(seq or '0')
    local isNewer = tonumber(ARGV[2]) > seq or (tonumber(ARGV[2]) == seq and tonumber(ARGV[4]) > wal)
    if epoch == ARGV[1] and not isNewer then return before end
  end
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
  return before or ''`;

/**
 * The position that the nodes of this installation have reached, in Redis: outside the database, and kept when every node
 * is replaced. It is written behind the events, within a tenth of a second.
 *
 * It may lag, be old or be lost: then less is noticed. It never contains what was not committed, since only positions
 * read from the log are stored. On each new connection the position in Redis is checked against the log before anything
 * is written, since that was not possible while Redis was unavailable.
 */
export class RedisPositionStore {
  readonly #options: RedisPositionStoreOptions;
  readonly #key: string;
  #kind: RedisTarget['kind'];
  #client: RedisClient;
  /** Whether what Redis has was held against the log, since this connection stands. */
  #compared = false;
  #newest: Position | undefined;
  /** The last position that was written. */
  #kept: Position | undefined;
  #check: (position: Position) => Promise<void> = () => Promise.resolve();
  #running: Promise<void> | undefined;
  /** Until there is another position, or it is time to write this one again. */
  readonly #rest = new Pause();
  readonly #stopping = new AbortController();

  constructor(options: RedisPositionStoreOptions) {
    this.#options = options;
    this.#key = `${options.prefix}:feed-position`;
    this.#kind = options.target.kind;
    this.#client = this.#connect();
  }

  /** @param check holds a position that was told against the log, and rejects if it cannot now */
  onPosition(check: (position: Position) => Promise<void>): void {
    this.#check = check;
  }

  /**
   * The last position delivered to clients before this process began; nothing if Redis has none, or does not answer
   * soon.
   */
  async read(): Promise<Position[]> {
    try {
      await this.#ready();
      const position = parse(await within(TIME_LIMIT, this.#client.get(this.#key)));
      this.#compared = true; // by the caller
      return position ? [position] : [];
    } catch (error) {
      this.#failed(error);
      return [];
    }
  }

  keep(position: Position): void {
    this.#newest = position;
    this.#running ??= this.#run();
    this.#rest.end();
  }

  /** Resolves when the newest position is in Redis, or when that takes too long. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#rest.end();
    await this.#running;
    if (this.#kept !== this.#newest) await this.#write();
    this.#client.disconnect();
  }

  #connect(): RedisClient {
    const { target, log } = this.#options;
    // The bus and the rate limits report an unavailable Redis.
    const onError = (error: Error) => log.debug({ err: error }, 'the position cannot be kept in Redis');
    const client = connectRedis({ ...target, kind: this.#kind }, { name: 'position', onError });
    client.on('close', () => (this.#compared = false));
    return client;
  }

  /** @throws if the first try to connect fails, or takes too long */
  #ready(): Promise<void> {
    const client = this.#client;
    if (client.status === 'ready') return Promise.resolve();
    return within(
      TIME_LIMIT,
      new Promise((resolve, reject) => {
        client.once('ready', () => resolve());
        client.once('close', () => reject(new Error('Redis cannot be reached')));
      }),
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const written = await this.#write();
      await sleep(written ? INTERVAL : RETRY, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted && this.#kept === this.#newest) await this.#rest.for(REFRESH);
    }
  }

  /** @returns whether Redis has it */
  async #write(): Promise<boolean> {
    try {
      if (!this.#compared) {
        await this.#compare(parse(await within(TIME_LIMIT, this.#client.get(this.#key))));
        this.#compared = true;
      }
      const position = this.#newest;
      if (!position) return true;
      const { epoch, seq, at, wal } = position;
      const before = parse(
        await within(
          TIME_LIMIT,
          this.#client.eval(KEEP, 1, this.#key, epoch, String(seq), String(at ?? '-'), String(wal ?? 0)),
        ),
      );
      this.#kept = position;
      // A node that is ahead by a moment, or a log that has become shorter.
      if (before && before.seq > seq) await this.#compare(before);
      this.#options.health.prove('positions');
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  async #compare(before: Position | undefined): Promise<void> {
    // Of another epoch it says nothing of this log.
    if (before && before.epoch === this.#newest?.epoch) await this.#check(before);
  }

  #failed(error: unknown): void {
    const { health, log } = this.#options;
    log.debug({ err: error }, 'the position cannot be kept in Redis');
    if (!isReply(error)) return;
    if (!isRedirection(error)) health.fail('positions', error);
    else if (this.#kind === 'single') {
      // One address that leads to a cluster.
      this.#kind = 'cluster';
      this.#client.disconnect();
      this.#client = this.#connect();
    }
  }
}

function parse(text: unknown): Position | undefined {
  // Of a node of the version before without the last number.
  const [, epoch = '', seq, at, wal] =
    /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) (\d{1,15}) (-|[\d.]+)(?: (\d{1,15}))?$/.exec(
      String(text),
    ) ?? [];
  if (seq === undefined) return undefined;
  return {
    epoch,
    seq: Number(seq),
    at: at === '-' ? undefined : Number(at),
    wal: wal === undefined ? undefined : Number(wal),
  };
}
