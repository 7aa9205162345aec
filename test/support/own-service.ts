import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { NodeProcess } from './node-process.ts';
import { createDatabase } from './postgres.ts';
import type { TestRedis } from './redis.ts';

/** The service as a process of its own, or as several workers, on a database of its own. */
export interface OwnService {
  service: NodeProcess;
  /** Ends it, and its Redis, and removes what it had. */
  stop(): Promise<void>;
}

export interface OwnServiceOptions {
  workers: number;
  /** The Redis that it uses, if any. It is stopped with the service. */
  redis: Pick<TestRedis, 'url' | 'stop'> | undefined;
  /** What differs in its environment. */
  env: Record<string, string>;
}

export async function startService({ workers, redis, env }: OwnServiceOptions): Promise<OwnService> {
  const database = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'tidings-workers-'));
  const service = new NodeProcess({
    name: 'service',
    env: {
      NODE_ENV: 'test',
      WORKERS: String(workers),
      PORT: String(await freePort()),
      DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      ...(redis ? { REDIS_URL: redis.url } : {}),
      JWT_SECRET: 'a secret of all workers that is long enough to sign with',
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
