import { connectRedis, type RedisClient } from '../cluster/redis-connection.ts';
import { describeRedisError, isRedirection, isReply, silent } from '../cluster/redis-faults.ts';
import type { RedisHealth } from '../cluster/redis-health.ts';
import { TooSlow, within } from '../cluster/redis-time-limit.ts';
import type { RedisTarget } from '../config/redis-url.ts';
import type { Logger } from '../logger.ts';
import { type Count, type LimitStore, MEMBERS } from './store.ts';

/** How long a request waits for Redis. Milliseconds. */
const TIME_LIMIT = 100;
/** So much earlier than it is given up here, Redis does not execute a command any more. Milliseconds. */
const MARGIN = 20;
/** How often to check whether Redis can count, and how long that may take. Milliseconds. */
const PROBE_INTERVAL = 1000;
const PROBE_TIMEOUT = 2000;
/** Probes that fail, one after the other, before the connection is made again. */
const RECONNECT_AFTER = 5;
/** How long nothing may have failed before Redis counts as well again. Milliseconds. */
const RECOVERY_TIME = 3000;
/** How long what was learned of Redis's clock holds. Milliseconds. */
const CLOCK_AGE = 30_000;
/** Points to be given back when Redis is there again, at most. */
const MAX_OWED = 1000;

/**
 * Each script is given a deadline by Redis's own clock, and does nothing after it. A Redis that was frozen executes on waking what
 * its callers have given up and counted elsewhere, and ioredis sends unanswered commands again on a new connection.
 */
const scripts = {
  take: `
    local left = redis.call('PTTL', KEYS[1])
    if left > 0 then return {now, redis.call('INCR', KEYS[1]), left} end
    -- In the last millisecond of a window, with 0 left, the key is still there.
    redis.call('SET', KEYS[1], 1, 'PX', ARGV[2])
    return {now, 1, tonumber(ARGV[2])}`,
  taken: `
    return {now, tonumber(redis.call('GET', KEYS[1]) or '0')}`,
  giveBack: `
    local count = tonumber(redis.call('GET', KEYS[1]) or '0')
    if count > 1 then redis.call('DECR', KEYS[1]) elseif count == 1 then redis.call('DEL', KEYS[1]) end
    return {now}`,
  remember: `
    redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now)
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[4]))
    redis.call('PEXPIREAT', KEYS[1], ARGV[3])
    return {now}`,
  knows: `
    for at = 2, #ARGV do
      local till = redis.call('ZSCORE', KEYS[1], ARGV[at])
      if till and tonumber(till) > now then return {now, 1} end
    end
    return {now, 0}`,
  forget: `
    redis.call('DEL', KEYS[1])
    return {now}`,
  probe: `
    redis.call('SET', KEYS[1], now, 'PX', 10000)
    return {now}`,
};
type Script = keyof typeof scripts;

const HEAD = `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    if now > tonumber(ARGV[1]) then return {now} end`;

export interface RedisStoreOptions {
  target: RedisTarget;
  prefix: string;
  health: RedisHealth;
  log: Logger;
  /** A count that should have been shared was not. */
  onUnshared: () => void;
  /** How long a request waits for Redis. Milliseconds. */
  timeLimit?: number;
}

/** Counts and sets in Redis, for all nodes together. It is asked only while it is known to answer, so that nobody waits for it. */
export class RedisStore implements LimitStore {
  readonly #options: RedisStoreOptions;
  readonly #timeLimit: number;
  #client: RedisClient;
  #kind: RedisTarget['kind'];
  /** Whether the last probe came back, and nothing has been too slow since. */
  #answers = false;
  #wrongDatabase = false;
  #failures = 0;
  #failedAt = 0;
  #probing = false;
  /** What has to be added to our clock, in milliseconds, to have Redis's; when that was learned. */
  #clock: { offset: number; at: number } | undefined;
  /** Key → until when there are points to be given back, and how many. */
  readonly #owed = new Map<string, { until: number; points: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#timeLimit = options.timeLimit ?? TIME_LIMIT;
    options.health.expect('limits');
    this.#kind = options.target.kind;
    this.#client = this.#connect(this.#kind);
    this.#timer = setInterval(() => void this.#probe(), PROBE_INTERVAL);
  }

  async take(key: string, seconds: number): Promise<Count | undefined> {
    const answer = await this.#ask('take', key, seconds * 1000);
    if (!answer) this.#options.onUnshared();
    return answer && { consumedPoints: answer[1] ?? 0, msBeforeNext: answer[2] ?? 0 };
  }

  async taken(key: string): Promise<number | undefined> {
    return (await this.#ask('taken', key))?.[1];
  }

  async giveBack(key: string, seconds: number): Promise<void> {
    if (await this.#ask('giveBack', key)) return;
    const owed = this.#owed.get(key);
    if (owed) owed.points += 1;
    else if (this.#owed.size < MAX_OWED)
      this.#owed.set(key, { until: Date.now() + seconds * 1000, points: 1 });
  }

  async remember(set: string, member: string, until: number): Promise<void> {
    await this.#ask('remember', set, member, until, MEMBERS);
  }

  async knows(set: string, members: readonly string[]): Promise<boolean | undefined> {
    const answer = await this.#ask('knows', set, ...members);
    return answer === undefined ? undefined : answer[1] === 1;
  }

  async forget(set: string): Promise<void> {
    await this.#ask('forget', set);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#client.disconnect();
  }

  #connect(kind: RedisTarget['kind']): RedisClient {
    const { target, prefix } = this.#options;
    const onError = (error: Error) => {
      if (describeRedisError(error, prefix).reason === 'wrong_database') this.#wrongDatabase = true;
      this.#failed(error);
    };
    const client = connectRedis({ ...target, kind }, { name: 'limits', onError });
    for (const [name, lua] of Object.entries(scripts))
      client.defineCommand(name, { numberOfKeys: 1, lua: HEAD + lua });
    client.on('connect', () => {
      this.#wrongDatabase = false;
    });
    client.on('close', () => {
      this.#answers = false;
    });
    client.on('ready', () => void this.#recognise(client).then(() => this.#probe()));
    return client;
  }

  /** One address may lead to a cluster, as those of hosted services do. Who may not ask is told so by the first key of another node. */
  async #recognise(client: RedisClient): Promise<void> {
    if (this.#kind !== 'single') return;
    const info = await within(PROBE_TIMEOUT, client.info('cluster')).catch(() => '');
    if (!/^cluster_enabled:1/m.test(info)) return;
    // A cluster that is down says so here; its nodes could not be found, and `MOVED` tells of them when it is back.
    const state = await within(PROBE_TIMEOUT, client.cluster('INFO')).catch(() => '');
    if (client === this.#client && state.includes('cluster_state:ok')) this.#becomeCluster();
  }

  #becomeCluster(): void {
    if (this.#kind !== 'single') return;
    this.#options.log.info('REDIS_URL leads to a Redis Cluster');
    this.#kind = 'cluster';
    this.#answers = false;
    this.#client.disconnect();
    this.#client = this.#connect('cluster');
  }

  /** @returns the answer, whose first item is Redis's clock; undefined if nothing was done */
  async #ask(script: Script, key: string, ...args: (string | number)[]): Promise<number[] | undefined> {
    if (!this.#answers || !this.#clock) return undefined;
    const deadline = Math.floor(Date.now() + this.#clock.offset + this.#timeLimit - MARGIN);
    try {
      const answer = await this.#run(script, key, this.#timeLimit, deadline, ...args);
      return answer.length > 1 || (answer[0] ?? Infinity) <= deadline ? answer : undefined;
    } catch (error) {
      this.#answers = false;
      if (isReply(error)) this.#failed(error);
      return undefined;
    }
  }

  async #run(script: Script, key: string, timeout: number, ...args: (string | number)[]): Promise<number[]> {
    const client = this.#client as unknown as Record<Script, (...args: unknown[]) => Promise<number[]>>;
    const answer = await within(timeout, client[script](`${this.#options.prefix}:${key}`, ...args));
    this.#learn(answer[0] ?? 0);
    return answer;
  }

  /** The nodes of a cluster have a clock each: the one that is most ahead counts, so that none refuses what is in time. */
  #learn(now: number): void {
    const at = Date.now();
    const offset = now - at;
    if (!this.#clock || offset > this.#clock.offset || at - this.#clock.at > CLOCK_AGE)
      this.#clock = { offset, at };
  }

  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const client = this.#client;
    try {
      if (this.#wrongDatabase) return;
      await this.#run('probe', 'probe', PROBE_TIMEOUT, Number.MAX_SAFE_INTEGER);
      if (client !== this.#client) return;
      this.#answers = true;
      this.#failures = 0;
      if (Date.now() - this.#failedAt > RECOVERY_TIME) this.#options.health.prove('limits');
      await this.#payBack();
    } catch (error) {
      this.#answers = false;
      this.#failures += 1;
      this.#failed(error instanceof TooSlow ? silent : error);
      if (this.#failures % RECONNECT_AFTER === 0 && ['ready', 'connect'].includes(client.status))
        client.disconnect(true);
    } finally {
      this.#probing = false;
    }
  }

  /** Otherwise a right password would count as a wrong one for the rest of the window, since Redis was away when it was known to be right. */
  async #payBack(): Promise<void> {
    for (const [key, owed] of this.#owed) {
      while (owed.points > 0 && owed.until > Date.now()) {
        if (!(await this.#ask('giveBack', key))) return;
        owed.points -= 1;
      }
      this.#owed.delete(key);
    }
  }

  #failed(cause: unknown): void {
    if (isRedirection(cause)) this.#becomeCluster();
    else {
      this.#failedAt = Date.now();
      this.#options.health.fail('limits', cause);
    }
  }
}
