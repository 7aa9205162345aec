import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeProcess } from './node-process.ts';
import { createDatabase } from './postgres.ts';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { sharedRedis, type TestRedis } from './redis.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Two nodes of one service as processes of their own, on one database and one Redis. */
export interface TwoNodes {
  first: NodeProcess;
  second: NodeProcess;
  databaseUrl: string;
  /**
   * An address that leads to this node, and to the other one while it is dead: what a load balancer does.
   * @returns its URL
   */
  addressBefore(node: NodeProcess): Promise<string>;
  /** One more node on the same database. */
  another(name: string, env: Record<string, string>): Promise<NodeProcess>;
  stop(): Promise<void>;
}

const SECRET = 'a secret of the two nodes that is long enough to sign with';

/** @param options the Redis of theirs, if the test has plans for it, and what differs in their environment */
export async function startTwoNodes({
  redis: own,
  env: theirs = {},
}: { redis?: TestRedis; env?: Record<string, string> } = {}): Promise<TwoNodes> {
  const database = await createDatabase();
  const redis = own ?? (await sharedRedis());
  const dataDir = await mkdtemp(join(tmpdir(), 'tidings-nodes-'));
  const nodes: NodeProcess[] = [];
  const proxies: TcpProxy[] = [];
  const another = async (name: string, env: Record<string, string>) => {
    const node = new NodeProcess({
      name,
      env: {
        NODE_ENV: 'test',
        PORT: String(await freePort()),
        DATA_DIR: dataDir,
        DATABASE_URL: database.url,
        REDIS_URL: redis.url,
        JWT_SECRET: SECRET,
        BCRYPT_COST: '4',
        RATE_LIMITS: 'off',
        LOG_LEVEL: 'trace',
        ...theirs,
        ...env,
      },
    });
    nodes.push(node);
    await node.start();
    return node;
  };
  const [first, second] = await Promise.all([another('first', {}), another('second', {})]);
  return {
    first,
    second,
    databaseUrl: database.url,
    another,
    addressBefore: async (node) => {
      const proxy = await TcpProxy.start({
        targets: () => [node, node === first ? second : first].map(({ url }) => Number(new URL(url).port)),
      });
      proxies.push(proxy);
      return `http://127.0.0.1:${proxy.port}`;
    },
    stop: async () => {
      for (const proxy of proxies) await proxy.stop();
      for (const node of nodes) await node.stop();
      await redis.stop();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
