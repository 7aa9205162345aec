import { freePort } from '../../server/database/embedded/postmaster.ts';
import { NodeProcess } from './node-process.ts';
import type { World } from './world.ts';

/** What a world needs to share its tokens with another node. */
export const sharedSecret = { JWT_SECRET: 'a secret of both nodes that is long enough to sign with' };

/** One more node on a world's database, as a process of its own. The world was made with `sharedSecret`. */
export async function startAnotherNode(
  world: World,
  name: string,
  env: Record<string, string> = {},
): Promise<NodeProcess> {
  const node = new NodeProcess({
    name,
    env: {
      NODE_ENV: 'test',
      PORT: String(await freePort()),
      DATABASE_URL: world.databaseUrl,
      BCRYPT_COST: '4',
      RATE_LIMITS: 'off',
      LOG_LEVEL: 'trace',
      ...sharedSecret,
      ...env,
    },
  });
  await node.start();
  return node;
}
