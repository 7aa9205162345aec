import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { NodeProcess } from './node-process.ts';
import { createDatabase } from './postgres.ts';
import type { TestRedis } from './redis.ts';

/** One service of two worker processes, on a database of its own. */
export interface TwoWorkers {
  service: NodeProcess;
  /** Ends it, and its Redis, and removes what it had. */
  stop(): Promise<void>;
}

/** @param options the Redis that it uses, if any, and what differs in its environment */
export async function startTwoWorkers({
  redis,
  env,
}: {
  redis: Pick<TestRedis, 'url' | 'stop'> | undefined;
  env: Record<string, string>;
}): Promise<TwoWorkers> {
  const database = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'tidings-workers-'));
  const service = new NodeProcess({
    name: 'service',
    env: {
      NODE_ENV: 'test',
      WORKERS: '2',
      PORT: String(await freePort()),
      DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      ...(redis ? { REDIS_URL: redis.url } : {}),
      JWT_SECRET: 'a secret of two workers that is long enough to sign with',
      BCRYPT_COST: '4',
      LOG_LEVEL: 'warn',
      ...env,
    },
  });
  await service.start();
  return {
    service,
    stop: async () => {
      await service.stop();
      await redis?.stop();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
