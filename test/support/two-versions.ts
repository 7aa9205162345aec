import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readConfig } from '../../server/config.ts';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { examine } from '../../server/doctor/examine.ts';
import { packageRoot } from '../../server/paths.ts';
import { buildTreeOf, type Tree } from '../faults/tree.ts';
import { NodeProcess } from './node-process.ts';
import { createEmptyDatabase } from './postgres.ts';
import { sharedRedis } from './redis.ts';

/** Commits whose nodes run beside those of today in a rolling upgrade. */
export const VERSIONS_BEFORE = {
  /** The last one whose log knew posts alone. */
  posts: 'f33ccd2d8b847621f2b1a93abe3570183d030fb2',
  /** The last one without replies, relations and tags. */
  events: 'd8292d3343193ff8b9cceb982ca87810e4c1d1b8',
  /** The last one without notifications, roles, moderation, mails and second factors. */
  people: 'c1292b34450cfea01687ffb3fba49abf9bdd5c19',
};

/** Two nodes on one database and one Redis, neither of which has been started. */
export interface TwoVersions {
  old: NodeProcess;
  fresh: NodeProcess;
  databaseUrl: string;
  /** What doctor finds wrong, one sentence each. */
  findings(): Promise<string[]>;
  close(): Promise<void>;
}

/**
 * @param env of the new node, beside what both have
 * @returns undefined in a copy without its history, which has no version before
 */
export async function twoVersions(
  before: string,
  env: Record<string, string> = {},
): Promise<TwoVersions | undefined> {
  try {
    await promisify(execFile)('git', ['cat-file', '-e', `${before}^{commit}`], { cwd: packageRoot });
  } catch {
    return undefined;
  }
  const tree = await buildTreeOf(before);
  const database = await createEmptyDatabase();
  const redis = await sharedRedis();
  const dataDir = await mkdtemp(join(tmpdir(), 'tidings-upgrade-'));
  const node = async (name: string, of?: Tree) =>
    new NodeProcess({
      name,
      ...(of === undefined ? {} : { tree: of.root }),
      env: {
        NODE_ENV: 'test',
        PORT: String(await freePort()),
        DATA_DIR: dataDir,
        DATABASE_URL: database.url,
        REDIS_URL: redis.url,
        JWT_SECRET: 'a secret of old and new nodes that is long enough to sign with',
        BCRYPT_COST: '4',
        RATE_LIMITS: 'off',
        LOG_LEVEL: 'trace',
        ...(of === undefined ? env : {}),
      },
    });
  const [old, fresh] = [await node('old', tree), await node('new')];
  return {
    old,
    fresh,
    databaseUrl: database.url,
    findings: async () => {
      const examined = await examine(readConfig({ DATABASE_URL: database.url }), database.url, {
        schema: false,
      });
      return examined
        .filter(({ what }) => what !== 'database')
        .flatMap(({ findings }) => findings.map(({ what }) => what));
    },
    close: async () => {
      await Promise.all([old.kill(), fresh.kill()]);
      await redis.stop();
      await database.drop();
      await tree.remove();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
