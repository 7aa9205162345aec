import { RedisHealth } from '../../server/cluster/redis-health.ts';
import { parseRedisUrl } from '../../server/config/redis-url.ts';
import { RedisStore } from '../../server/limits/redis-store.ts';
import { createLogger } from '../../server/logger.ts';
import { until } from './waiting.ts';

/**
 * The counts of one node in this Redis. Resolves when Redis has answered.
 * @param timeLimit how long a request waits for Redis, where not as in the service. Milliseconds
 */
export async function openRedisStore(
  url: string,
  prefix = 'tidings',
  timeLimit?: number,
): Promise<RedisStore> {
  const log = createLogger('silent');
  const health = new RedisHealth({ log, prefix, onFault: () => undefined });
  const store = new RedisStore({
    target: parseRedisUrl(url),
    prefix,
    health,
    log,
    onUnshared: () => undefined,
    ...(timeLimit !== undefined && { timeLimit }),
  });
  await until('Redis to count', () => health.isWell('limits'));
  return store;
}
